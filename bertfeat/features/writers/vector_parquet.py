"""Pooled vectors as Parquet: ``index``, ``embedding`` (null where a line failed) and ``error``."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from bertfeat.checkpoints.whole_file import whole_file
from bertfeat.features.writers.npy import Npy
from bertfeat.features.writers.rows import VectorRow

ROWS = 4096
"""Rows of a row group."""


class VectorParquet(Npy):
    """Gathers rows as a NumPy file, beside it the errors, and turns both into Parquet."""

    streams = ("", ".errors")

    def append(self, row: VectorRow, streams: Sequence[BinaryIO]) -> None:
        """Write one row, and its error if it has one."""
        super().append(row, streams)
        if row.error is not None:
            streams[1].write(json.dumps([row.index, row.error]).encode() + b"\n")

    def finish(self, parts: Sequence[Path], target: Path) -> None:
        """Write the Parquet file block by block."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.count_rows(parts[0])
        vectors = np.load(parts[0], mmap_mode="r")
        with parts[1].open(encoding="utf-8") as file:
            errors = dict(json.loads(line) for line in file)
        kind = pa.from_numpy_dtype(self.dtype)
        for size in reversed(self.shape[1:]):
            kind = pa.list_(kind, size)
        # Not of a fixed size: pyarrow before 26 cannot read those where one is null.
        kind = pa.list_(kind)
        schema = pa.schema({"index": pa.int64(), "embedding": kind, "error": pa.string()})
        with whole_file(target) as temporary, pq.ParquetWriter(temporary, schema) as writer:
            for start in range(0, len(vectors), ROWS):
                block = np.array(vectors[start : start + ROWS])
                writer.write_batch(_batch(schema, start, block, errors))
        for part in parts:
            part.unlink()


def _batch(schema: Any, start: int, block: np.ndarray, errors: dict[int, str]) -> Any:
    import pyarrow as pa

    indices = np.arange(start, start + len(block))
    found = [errors.get(index) for index in indices.tolist()]
    failed = np.array([error is not None for error in found])
    values = pa.array(block[~failed].ravel())
    for size in reversed(block.shape[2:]):
        values = pa.FixedSizeListArray.from_arrays(values, size)
    stops = np.cumsum(np.where(failed, 0, block.shape[1]), dtype=np.int32)
    offsets = pa.array(np.concatenate([np.zeros(1, np.int32), stops]))
    embedding = pa.ListArray.from_arrays(offsets, values, mask=pa.array(failed))
    return pa.record_batch([indices, embedding, pa.array(found, pa.string())], schema=schema)
