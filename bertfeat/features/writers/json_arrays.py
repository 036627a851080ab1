"""Pooled vectors as JSON lines: one array a line, every number as short as its dtype allows.

A line that failed is ``null``, so that line numbers stay those of the input.
"""

from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from bertfeat.features.writers.rows import Format, VectorRow


class JsonArrays(Format[VectorRow]):
    """One JSON array a line; nested, one array for each layer, where layers are kept apart."""

    def append(self, row: VectorRow, streams: Sequence[BinaryIO]) -> None:
        """Write the array of one line."""
        text = "null" if row.error is not None else to_json(row.vector)
        streams[0].write(f"{text}\n".encode())


def to_json(vector: np.ndarray) -> str:
    """Write an array of one or two axes as JSON; reading it back gives the same bits."""
    if vector.ndim > 1:
        return f"[{', '.join(map(to_json, vector))}]"
    return f"[{', '.join(vector.astype(np.str_).tolist())}]"
