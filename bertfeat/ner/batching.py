"""Sentences of word vectors, or of characters, as the arrays that a network takes."""

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any

import numpy as np

from bertfeat.ner.settings import TaggerSettings

MULTIPLE = 8
"""Rows are filled up to a multiple of so many words, so that few shapes are compiled."""

Rows = Sequence[np.ndarray]


def network_inputs(settings: TaggerSettings, rows: Rows) -> dict[str, np.ndarray]:
    """Fill up rows to one array.

    Args:
        settings: whether they are vectors or characters.
        rows: float (words, L, H) each, or int (words,).

    Returns:
        ``vectors`` float (B, S, L, H) or ``characters`` int32 (B, S), and ``mask`` bool (B, S).
    """
    mask = word_mask(rows)
    dtype = rows[0].dtype if settings.encoder else np.dtype(np.int32)
    filled = np.zeros((*mask.shape, *rows[0].shape[1:]), dtype)
    for place, row in enumerate(rows):
        filled[place, : len(row)] = row
    return {"vectors" if settings.encoder else "characters": filled, "mask": mask}


def word_mask(rows: Sequence[Sized]) -> np.ndarray:
    """Return where the words of rows stand, bool (B, S); S is a multiple of ``MULTIPLE``."""
    length = -(-max(1, *map(len, rows)) // MULTIPLE) * MULTIPLE
    mask: np.ndarray = np.arange(length) < np.array([len(row) for row in rows])[:, None]
    return mask


def character_rows(settings: TaggerSettings, words: Iterable[Sequence[str]]) -> list[np.ndarray]:
    """Return the numbers of words in the trainable table, int32 (words,); 1 = unknown."""
    numbers = {word: place for place, word in enumerate(settings.characters, 2)}
    return [np.array([numbers.get(w, 1) for w in row], np.int32) for row in words]


def emissions(
    inputs: Callable[[Sequence[Any]], dict[str, Any]], network: Callable[[dict[str, Any]], Any],
    rows: Sequence[Any], size: Callable[[Any], int] = len, batch_size: int = 2048,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:  # fmt: skip
    """Run a network over sentences in batches of like size.

    Args:
        inputs: what the network takes, ``mask`` among it, of some rows.
        network: from that to scores.
        rows: the sentences.
        size: of a row, in words or tokens.
        batch_size: rows times the largest, in the same.

    Yields:
        Numbers of sentences (B,), scores float32 (B, S, T) and mask bool (B, S).
    """
    sizes = np.array([size(row) for row in rows], int)
    order = np.argsort(sizes, kind="stable")
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * sizes[order[stop]] <= batch_size:
            stop += 1
        numbers = order[start:stop]
        batch = inputs([rows[number] for number in numbers])
        yield numbers, np.asarray(network(batch)), batch["mask"]
        start = stop
