"""From token sequences of many lengths to few well-filled, padded batches."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

Inputs = dict[str, np.ndarray]


class TokenSequence(Protocol):
    """What a batch needs of a tokenized text."""

    @property
    def input_ids(self) -> list[int]:
        """Token ids, specials included."""

    @property
    def token_type_ids(self) -> list[int]:
        """0 for the first text, 1 for the second."""


def plan_batches(lengths: Sequence[int], max_tokens: int) -> Iterator[np.ndarray]:
    """Group rows of similar length so that no padded batch passes ``max_tokens``.

    Longest rows come first: memory peaks at once, and padding is what neighbours in length differ
    by.  A row longer than ``max_tokens`` gets a batch of its own.

    Args:
        lengths: tokens of each row.
        max_tokens: rows × longest row of a batch, padding included.

    Yields:
        int64 row numbers of each batch; every row once.
    """
    order = np.argsort(-np.asarray(lengths, np.int64), kind="stable")
    start = 0
    while start < len(order):
        rows = max(1, max_tokens // max(1, lengths[order[start]]))
        yield order[start : start + rows]
        start += rows


def pad(sequences: Sequence[TokenSequence], pad_id: int, shape: tuple[int, int]) -> Inputs:
    """Stack sequences into int32 (B, S) arrays, padded on the right and below.

    Args:
        sequences: at most B rows of at most S tokens.
        pad_id: fills ``input_ids``.
        shape: (B, S).

    Returns:
        ``input_ids``, ``attention_mask`` (1 = real token) and ``token_type_ids``.
    """
    lengths = np.zeros(shape[0], np.int64)
    lengths[: len(sequences)] = [len(sequence.input_ids) for sequence in sequences]
    mask = np.arange(shape[1]) < lengths[:, None]
    ids = np.full(mask.shape, pad_id, np.int32)
    types = np.zeros(mask.shape, np.int32)
    ids[mask] = np.concatenate([np.asarray(s.input_ids, np.int32) for s in sequences])
    types[mask] = np.concatenate([np.asarray(s.token_type_ids, np.int32) for s in sequences])
    return {"input_ids": ids, "attention_mask": mask.astype(np.int32), "token_type_ids": types}
