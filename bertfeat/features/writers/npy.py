"""Pooled vectors as a NumPy file, appended to: the header gets its number of rows at the end."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy_format

from bertfeat.features.writers.rows import Format, VectorRow


class Npy(Format[VectorRow]):
    """One array, first axis the lines; the rows of failed lines are zero."""

    is_text = False

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        """Set the shape and dtype of one row."""
        self.shape, self.dtype = shape, dtype.newbyteorder("<")

    def begin(self, streams: Sequence[BinaryIO]) -> None:
        """Write the header of an empty array."""
        self._write_header(streams[0], 0)

    def append(self, row: VectorRow, streams: Sequence[BinaryIO]) -> None:
        """Write one row of the array."""
        streams[0].write(np.ascontiguousarray(row.vector, self.dtype).data)

    def finish(self, parts: Sequence[Path], target: Path) -> None:
        """Put the number of rows into the header."""
        self.count_rows(parts[0])
        os.replace(parts[0], target)  # noqa: PTH105

    def count_rows(self, part: Path) -> None:
        """Set the header's number of rows by the file's size."""
        with part.open("r+b") as file:
            # NumPy pads headers so that the first axis may grow in place.
            self._write_header(file, 0)
            content = part.stat().st_size - file.tell()
            file.seek(0)
            self._write_header(file, content // (int(np.prod(self.shape)) * self.dtype.itemsize))

    def _write_header(self, file: BinaryIO, rows: int) -> None:
        header = {
            "descr": npy_format.dtype_to_descr(self.dtype),
            "fortran_order": False,
            "shape": (rows, *self.shape),
        }
        npy_format.write_array_header_1_0(file, header)
