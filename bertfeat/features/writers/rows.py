"""What a writer is handed for each line of the input, and what it does with it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Generic, Protocol, TypeVar

import numpy as np


class Row(Protocol):
    """What all rows have in common."""

    @property
    def index(self) -> int:
        """Number of the input line, from 0."""

    @property
    def truncated(self) -> bool:
        """Whether the line was longer than what was read."""

    @property
    def error(self) -> str | None:
        """Why the line has no vectors, or None."""


@dataclass(frozen=True, eq=False)
class TokenRow:
    """The tokens (or words) of one line.

    Attributes:
        index: number of the input line, from 0.
        tokens: their text.
        spans: characters (start, end) of each in the line, (0, 0) for special tokens.
        vectors: float32 (layers, tokens, hidden).
    """

    index: int
    tokens: Sequence[str]
    spans: Sequence[tuple[int, int]]
    vectors: np.ndarray
    truncated: bool = False
    error: str | None = None


@dataclass(frozen=True, eq=False)
class VectorRow:
    """The vector of one line.

    Attributes:
        index: number of the input line, from 0.
        vector: (dim,) or (layers, dim), any dtype; zero where there is an error.
    """

    index: int
    vector: np.ndarray
    truncated: bool = False
    error: str | None = None


RowT = TypeVar("RowT", bound=Row, contravariant=True)


class Format(Generic[RowT]):
    """How rows become bytes: some streams that only grow, made into one file at the end.

    Growing only is what lets a run be taken up again: cut the streams where they were last known
    to be whole, and go on.

    Attributes:
        streams: suffixes of the growing files; the first one's is empty.
        is_text: whether the first stream is the result as it stands (may go to a pipe, or be
            compressed).
    """

    streams: tuple[str, ...] = ("",)
    is_text = True

    def begin(self, streams: Sequence[BinaryIO]) -> None:
        """Write what comes before all rows."""

    def append(self, row: RowT, streams: Sequence[BinaryIO]) -> None:
        """Write one row."""
        raise NotImplementedError

    def finish(self, parts: Sequence[Path], target: Path) -> None:
        """Make the finished file from the streams' files, in one step that shows it whole."""
        os.replace(parts[0], target)  # noqa: PTH105
