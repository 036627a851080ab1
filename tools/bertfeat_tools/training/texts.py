"""Texts as training reads them: tokenized once, padded batch by batch."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from bertfeat.errors import InputError
from bertfeat.tokenization import Encoding, Tokenizer
from bertfeat_tools.training.batches import Batch, padded


class Tokens(Protocol):
    """A tokenized text, or a window of one: special tokens included, not padded."""

    @property
    def input_ids(self) -> Sequence[int]:
        """Number of each token."""

    @property
    def token_type_ids(self) -> Sequence[int]:
        """0 for the first text's tokens, 1 for the second's."""

    def __len__(self) -> int:
        """Tokens."""


def tokenized(items: Iterable[Any], tokenizer: Tokenizer, limit: int) -> list[Encoding]:
    """Tokenize texts or pairs, cut on the right.

    Args:
        items: strings or pairs.
        tokenizer: the model's.
        limit: tokens read of each.

    Raises:
        InputError: an item cannot be tokenized.
    """
    found = tokenizer.encode_batch(list(items), max_length=limit)
    for encoding in found:
        if isinstance(encoding, InputError):
            raise encoding
    return found  # type: ignore[return-value]


def encoder_inputs(rows: Sequence[Tokens], pad_id: int) -> Batch:
    """Return the encoder's inputs, int32 (B, S) each."""
    return {
        "input_ids": padded([list(row.input_ids) for row in rows], pad_id),
        "attention_mask": padded([[1] * len(row) for row in rows]),
        "token_type_ids": padded([list(row.token_type_ids) for row in rows]),
    }


def computed(
    rows: Sequence[Tokens], pad_id: int, compute: Callable[[Batch], Any], batch_size: int = 32
) -> list[np.ndarray]:
    """Compute something of each text, in batches of like length.

    Args:
        rows: in any order.
        pad_id: fills up short ones.
        compute: takes the encoder's inputs and returns (B, …).
        batch_size: texts.

    Returns:
        Its row for each text, in the order given.
    """
    found: list[np.ndarray] = [np.empty(0)] * len(rows)
    order = np.argsort([len(row) for row in rows], kind="stable")
    for first in range(0, len(order), batch_size):
        numbers = order[first : first + batch_size]
        values = np.asarray(compute(encoder_inputs([rows[n] for n in numbers], pad_id)))
        for number, value in zip(numbers, values, strict=True):
            found[number] = value
    return found
