"""From token sequences of many lengths to few well-filled batches: several texts share a row.

A text attends to itself only and counts its positions from 0, so that a row of many short texts
computes what each of them would alone.  Shape letters: R rows, S tokens of a row, B texts.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Protocol

import numpy as np

Inputs = dict[str, np.ndarray]
Rows = list[list[int]]
"""Numbers of the texts that stand in each row of a batch, in their order there."""
DOUBLED_AT = 560
"""A token in a row of so many costs twice what it costs in a very short row, by its attention.

So it was, nearly, in 6 layers of 384 under TensorFlow and under LiteRT.
"""


class TokenSequence(Protocol):
    """What a batch needs of a tokenized text."""

    @property
    def input_ids(self) -> list[int]:
        """Token ids, specials included."""

    @property
    def token_type_ids(self) -> list[int]:
        """0 for the first text, 1 for the second."""


def plan_batches(
    lengths: Sequence[int], max_tokens: int, row_length: Callable[[int], int] = int,
    overhead: int = 0,
) -> Iterator[Rows]:  # fmt: skip
    """Group texts into batches of rows, the longest first, so that memory peaks at once.

    The longest text of a batch sets the length of its rows.  What a row has left is filled with the
    longest text that fits (best fit).  Attention costs the square of the row, so no row begins with
    a text that alone would get less than half of it: shorter ones get a batch of shorter rows,
    unless so few are left that this would cost more than it saves.

    Args:
        lengths: tokens of each text.
        max_tokens: rows × tokens of a row, padding included; a longer text gets its own batch.
        row_length: turns the longest text's tokens into those of a row, by default just those.
        overhead: of a batch, in tokens; see :class:`bertfeat.engine.base.Engine`.

    Yields:
        The rows of each batch; every text once.
    """
    shelf = Shelf(lengths)
    while shelf.texts_left:
        length = row_length(shelf.longest(len(shelf.of_length) - 1))
        most = max(1, max_tokens // max(1, length))
        rows: Rows = []
        while len(rows) < most and (next_text := shelf.longest(length)) >= 0:
            own = row_length(next_text)
            if 2 * own < length and overhead < _cost_of_ending_here(shelf.tokens_left, length, own):
                break
            rows.append(shelf.row(length))
        yield rows


def _cost_of_ending_here(tokens: int, length: int, own: int) -> float:
    """Return what it costs more, in tokens, to lay the last ones in rows of `length` than of `own`.

    That is attention to a longer row, and what the last row has left.
    """
    return tokens * (length - own) / DOUBLED_AT + -tokens % length


class Shelf:
    """Texts that wait for a row, by length."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.of_length: list[list[int]] = [[] for _ in range(max(lengths, default=0) + 1)]
        self.texts_left, self.tokens_left = len(lengths), sum(lengths)
        for text in reversed(range(len(lengths))):
            self.of_length[lengths[text]].append(text)

    def longest(self, limit: int) -> int:
        """Return the length of the longest text of at most ``limit`` tokens, -1 if none."""
        limit = min(limit, len(self.of_length) - 1)
        while limit >= 0 and not self.of_length[limit]:
            limit -= 1
        return limit

    def take(self, length: int) -> int:
        """Return a text of exactly this length and forget it."""
        self.texts_left -= 1
        self.tokens_left -= length
        return self.of_length[length].pop()

    def row(self, space: int) -> list[int]:
        """Take texts until none fits any more into ``space`` tokens."""
        texts: list[int] = []
        while (length := self.longest(space)) >= 0:
            texts.append(self.take(length))
            space -= length
        return texts


def pack(
    texts: Sequence[TokenSequence], rows: Rows, pad_id: int, shape: tuple[int, int, int]
) -> Inputs:
    """Lay texts out in the rows of one batch.

    Args:
        texts: all texts; ``rows`` has the numbers of those in this batch.
        rows: at most R rows of at most S tokens, B texts in all.
        pad_id: fills ``input_ids``.
        shape: (R, S, B), each at least what ``rows`` need.

    Returns:
        int32 (R, S) ``input_ids``, ``token_type_ids``, ``position_ids`` (from 0 in each text) and
        ``attention_mask`` (0 = padding, else the text's number in its row, from 1); int32 (B, S)
        ``token_places``, where each token of a text stands in the flattened rows (behind its end:
        some valid place); int32 (B,) ``lengths``.
    """
    num_rows, num_tokens, num_texts = shape
    order = [text for row in rows for text in row]
    sizes = np.array([len(texts[text].input_ids) for text in order], np.int64)
    lengths = np.zeros(num_texts, np.int32)
    lengths[: len(order)] = sizes
    starts, numbers = _starts(rows, sizes, num_tokens)
    position = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    places = np.repeat(starts, sizes) + position

    def grid(values: np.ndarray | Sequence[int], fill: int = 0) -> np.ndarray:
        flat = np.full(num_rows * num_tokens, fill, np.int32)
        flat[places] = values
        return flat.reshape(num_rows, num_tokens)

    first = np.zeros(num_texts, np.int64)
    first[: len(order)] = starts
    within = np.minimum(np.arange(num_tokens), np.maximum(lengths, 1)[:, None] - 1)
    return {
        "input_ids": grid(_joined([texts[text].input_ids for text in order]), pad_id),
        "token_type_ids": grid(_joined([texts[text].token_type_ids for text in order])),
        "position_ids": grid(position),
        "attention_mask": grid(np.repeat(numbers, sizes)),
        "token_places": (first[:, None] + within).astype(np.int32),
        "lengths": lengths,
    }


def _starts(rows: Rows, sizes: np.ndarray, num_tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where each text begins in the flattened rows, and its number in its row."""
    counts = np.array([len(row) for row in rows])
    row_of = np.repeat(np.arange(len(rows)), counts)
    first_of_row = np.repeat(np.cumsum(counts) - counts, counts)
    before = np.cumsum(sizes) - sizes
    starts = row_of * num_tokens + before - before[first_of_row]
    return starts, np.arange(len(sizes)) - first_of_row + 1


def _joined(lists: Sequence[list[int]]) -> np.ndarray:
    return np.array(list(chain.from_iterable(lists)), np.int32)
