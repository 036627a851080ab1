"""Rows of tokens as examples: [CLS], segments, [SEP], masked, under Google's keys."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bertfeat.errors import InputError
from bertfeat.tokenization import Tokenizer
from bertfeat_tools.pretraining.documents import Document
from bertfeat_tools.pretraining.masking import Masking, Tokens, mask_tokens
from bertfeat_tools.pretraining.pairs import OBJECTIVES, PairOptions, Piece, Segments

KINDS = ("mask", "same", "random")


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """How examples are made.

    Attributes:
        pairs: how rows are cut.
        masking: which tokens are predicted.
        dynamic: leave the masking to training, anew in each epoch.
        copies: times each document is gone through, masked differently each time.
        segmented: words stand between spaces in the text (Chinese); whole words are these.
        held_out_every: every so many-th document is held out; 0 = none.
        seed: of everything random.
        shards: files.
        compress: pack them with gzip.
    """

    pairs: PairOptions = field(default_factory=PairOptions)
    masking: Masking = field(default_factory=Masking)
    dynamic: bool = False
    copies: int = 1
    segmented: bool = False
    held_out_every: int = 0
    seed: int = 12345
    shards: int = 1
    compress: bool = False

    def __post_init__(self) -> None:
        if self.pairs.objective not in OBJECTIVES:
            raise InputError(
                f"objective={self.pairs.objective!r} is none of {', '.join(OBJECTIVES)}"
            )


def make_example(
    segments: Segments, tokenizer: Tokenizer, options: BuildOptions, tokens: Tokens,
    rng: np.random.Generator, count: Counter[str],
) -> dict[str, np.ndarray]:  # fmt: skip
    """Return a row under Google's keys, filled up to its full length; counts what it holds."""
    (first, words), (second, later) = segments.first, segments.second
    cls, sep = tokenizer.cls_id, tokenizer.sep_id
    ids = [cls, *first, sep, *([*second, sep] if second else [])]
    shift = (words[-1] + 1) if words else 0
    places = [None, *words, None, *([*(w + shift for w in later), None] if second else [])]
    types = [0] * (len(first) + 2) + [1] * (len(ids) - len(first) - 2)
    length = options.pairs.max_seq_len
    example = {
        "input_mask": _filled([1] * len(ids), length),
        "segment_ids": _filled(types, length),
        "next_sentence_labels": np.array([segments.label], np.int32),
    }
    count.update(rows=1, tokens=len(ids), labels=segments.label)
    if options.dynamic:
        numbers = [-1 if word is None else word for word in places]
        return {
            **example,
            "input_ids": _filled(ids, length),
            "word_ids": _filled(numbers, length, -1),
        }
    seen, chosen, labels = mask_tokens(ids, places, options.masking, tokens, rng)
    kinds = np.where(seen[chosen] == tokens.mask_id, 0, np.where(seen[chosen] == labels, 1, 2))
    count.update({KINDS[kind]: int(n) for kind, n in enumerate(np.bincount(kinds, minlength=3))})
    most = options.masking.most
    return {
        **example, "input_ids": _filled(seen, length),
        "masked_lm_positions": _filled(chosen, most), "masked_lm_ids": _filled(labels, most),
        "masked_lm_weights": _filled(np.ones(len(chosen)), most).astype(np.float32),
    }  # fmt: skip


def tokens_of(tokenizer: Tokenizer) -> Tokens:
    """Return what masking must know of a vocabulary; names in brackets are special."""
    names = [tokenizer.id_to_token(number) or "[]" for number in range(tokenizer.vocab_size)]
    ordinary = [n for n, name in enumerate(names) if not (name[0] == "[" and name[-1] == "]")]
    return Tokens(tokenizer.mask_id, np.array(ordinary, np.int32))


def pieces_of(document: Document, tokenizer: Tokenizer, segmented: bool) -> list[Piece]:
    """Tokenize the sentences of a document; those without tokens are left out."""
    found = []
    for text in document:
        encoding = tokenizer.encode(text.split() if segmented else text)
        inside = [n for n, special in enumerate(encoding.special_tokens_mask) if not special]
        words = [int(encoding.word_ids[n] or 0) for n in inside]
        if inside:
            found.append(([encoding.input_ids[n] for n in inside], words))
    return found


def _filled(values: Any, length: int, value: int = 0) -> np.ndarray:
    filled = np.full(length, value, np.int32)
    filled[: len(values)] = values
    return filled
