"""From lines to rows of pooled vectors, whatever encoder makes them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bertfeat.features.pooled import EncodeInfo
from bertfeat.features.reader import Line, LineReader
from bertfeat.features.token_rows import row_error
from bertfeat.features.writers.rows import VectorRow

Encode = Callable[[list[str]], tuple[np.ndarray, EncodeInfo]]


@dataclass(frozen=True)
class VectorRows:
    """Computes the rows of a chunk of lines.

    Attributes:
        encode: vectors of texts and what happened to each.
        zero: the vector of a line that failed.
    """

    encode: Encode
    zero: np.ndarray

    def __call__(self, lines: Sequence[Line], reader: LineReader) -> Iterator[VectorRow]:
        """Yield one row for each line, in order."""
        good = [line for line in lines if line.error is None]
        vectors, info = self.encode([line.text for line in good])
        at = {line.index: row for row, line in enumerate(good)}
        for line in lines:
            row = at.get(line.index)
            if row is None:
                yield VectorRow(line.index, self.zero, error=line.error)
            elif row in info.errors:
                where = reader.where(line.index)
                yield VectorRow(line.index, self.zero, error=row_error(info.errors[row], where))
            else:
                yield VectorRow(line.index, vectors[row], bool(info.truncated[row]))
