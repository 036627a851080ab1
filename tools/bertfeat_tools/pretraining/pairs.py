"""Rows of two segments out of documents, with the label of the second task.

Source: create_instances_from_document of google-research/bert create_pretraining_data.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Piece = tuple[list[int], list[int]]
"""Token ids of a sentence, and the number of each token's word."""
OBJECTIVES = ("nsp", "sop", "none")


@dataclass(frozen=True)
class Segments:
    """One row before masking.

    Attributes:
        first, second: ids and words of the two segments; the second is empty without a pair.
        label: 0 = the second follows the first, 1 = it does not (Google's numbers).
    """

    first: Piece
    second: Piece
    label: int


@dataclass(frozen=True, kw_only=True)
class PairOptions:
    """How rows are cut.

    Attributes:
        max_seq_len: tokens of a row, [CLS] and [SEP] included.
        objective: ``nsp`` (a random second half of the time), ``sop`` (the two turned round half
            of the time; Lan et al. 2020) or ``none`` (one segment).
        short: part of the rows that are made shorter than they could be.
    """

    max_seq_len: int = 128
    objective: str = "nsp"
    short: float = 0.1

    @property
    def room(self) -> int:
        """Tokens of a row besides the special ones."""
        return self.max_seq_len - (2 if self.objective == "none" else 3)


def rows_of(
    documents: Sequence[Sequence[Piece]], number: int, options: PairOptions,
    rng: np.random.Generator,
) -> Iterator[Segments]:  # fmt: skip
    """Yield the rows of one document.

    Args:
        documents: a random second segment is taken from any other of these.
        number: of the document.
        options: how.
        rng: draws.
    """
    document = documents[number]
    target = _target(options, rng)
    chunk: list[Piece] = []
    place = 0
    while place < len(document):
        chunk.append(document[place])
        place += 1
        if place < len(document) and sum(len(ids) for ids, _ in chunk) < target:
            continue
        if options.objective == "none":
            yield Segments(_cut(_joined(chunk), options.room, rng), ([], []), 0)
        else:
            row, used = _pair(chunk, documents, number, target, options, rng)
            place -= len(chunk) - used  # pieces that a random second segment took the place of
            if row is not None:
                yield row
        chunk = []
        target = _target(options, rng)


def _target(options: PairOptions, rng: np.random.Generator) -> int:
    if rng.random() < options.short:
        return int(rng.integers(2, options.room + 1))
    return options.room


def _pair(
    chunk: list[Piece], documents: Sequence[Sequence[Piece]], number: int, target: int,
    options: PairOptions, rng: np.random.Generator,
) -> tuple[Segments | None, int]:  # fmt: skip
    """Make a pair of a chunk; return it and how many pieces of the chunk it used."""
    end = int(rng.integers(1, len(chunk))) if len(chunk) > 1 else 1
    first = _joined(chunk[:end])
    if options.objective == "nsp" and (len(chunk) == 1 or rng.random() < 0.5):
        second = _random_segment(documents, number, target - len(first[0]), rng)
        return Segments(*_fitted(first, second, options.room, rng), 1), end
    if len(chunk) == 1:
        return None, 1  # nothing follows: without a random second there is no pair
    second = _joined(chunk[end:])
    if options.objective == "sop" and rng.random() < 0.5:
        return Segments(*_fitted(second, first, options.room, rng), 1), len(chunk)
    return Segments(*_fitted(first, second, options.room, rng), 0), len(chunk)


def _random_segment(
    documents: Sequence[Sequence[Piece]], number: int, length: int, rng: np.random.Generator
) -> Piece:
    """Take pieces of another document from a random place on."""
    other = int(rng.integers(len(documents) - 1))
    document = documents[other + (other >= number)]
    start = int(rng.integers(len(document)))
    chosen: list[Piece] = []
    for piece in document[start:]:
        chosen.append(piece)
        if sum(len(ids) for ids, _ in chosen) >= length:
            break
    return _joined(chosen)


def _joined(pieces: Sequence[Piece]) -> Piece:
    """Put pieces behind each other; the words go on counting."""
    ids: list[int] = []
    words: list[int] = []
    for piece_ids, piece_words in pieces:
        shift = words[-1] + 1 if words else 0
        ids += piece_ids
        words += [word + shift for word in piece_words]
    return ids, words


def _fitted(
    first: Piece, second: Piece, room: int, rng: np.random.Generator
) -> tuple[Piece, Piece]:
    """Cut the longer of two, at its front or its back by chance, token by token, until they fit."""
    cuts = {True: [0, 0], False: [0, 0]}  # of the first, of the second: front, back
    sizes = {True: len(first[0]), False: len(second[0])}
    while sum(sizes.values()) > room:
        longer = sizes[True] > sizes[False]
        sizes[longer] -= 1
        cuts[longer][int(rng.random() >= 0.5)] += 1
    return _sliced(first, *cuts[True]), _sliced(second, *cuts[False])


def _cut(piece: Piece, room: int, rng: np.random.Generator) -> Piece:
    excess = max(0, len(piece[0]) - room)
    front = int(rng.binomial(excess, 0.5))
    return _sliced(piece, front, excess - front)


def _sliced(piece: Piece, front: int, back: int) -> Piece:
    stop = len(piece[0]) - back
    return piece[0][front:stop], piece[1][front:stop]
