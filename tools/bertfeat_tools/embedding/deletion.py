"""Texts without most of their words, for a decoder that writes the whole texts again."""

from collections.abc import Sequence

import numpy as np

from bertfeat.tokenization import Encoding
from bertfeat_tools.training.batches import Batch, padded

DELETED = 0.6
"""Chance of each word to be deleted: the best in Wang et al. 2021."""


def damaged(encodings: Sequence[Encoding], pad_id: int, seed: int, rows: np.ndarray) -> Batch:
    """Return the batch of some texts, damaged, with the whole ones' ids as targets, int32 (B, S).

    What is deleted follows from the seed and the rows alone.
    """
    rng = np.random.default_rng((seed, *rows))
    left = [left_over(encodings[row], rng) for row in rows]
    ids = padded(left, pad_id)
    return {
        "input_ids": ids,
        "attention_mask": padded([[1] * len(row) for row in left]),
        "token_type_ids": np.zeros_like(ids),
        "targets": padded([encodings[row].input_ids for row in rows], pad_id),
    }


def left_over(encoding: Encoding, rng: np.random.Generator) -> list[int]:
    """Delete words, with all their tokens; one word at least is left, and [CLS] and [SEP] are."""
    words = sorted({word for word in encoding.word_ids if word is not None})
    kept = {word for word, drawn in zip(words, rng.random(len(words)), strict=True)
            if drawn > DELETED}  # fmt: skip
    if words and not kept:
        kept = {words[rng.integers(len(words))]}
    pairs = zip(encoding.input_ids, encoding.word_ids, strict=True)
    return [token for token, word in pairs if word is None or word in kept]
