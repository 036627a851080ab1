"""Vectors on disk under keys, read through memory maps: written once, read at memory speed.

A segment is two files, ``<id>.bin`` (the rows, end to end) and ``<id>.json`` (key to first row and
number of rows).  Both are renamed into place when whole, the index last, so a process that is
killed loses the segment that it was writing and nothing else, and any number of processes may
write at once.
"""

import json
import os
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bertfeat.checkpoints.cache import cache_folder


@dataclass
class VectorStore:
    """The segments of one kind of vectors.

    Attributes:
        folder: theirs alone.
        shape: of the vector of one word, say (layers, hidden).
        dtype: ``float16`` or ``float32``.
        limit_bytes: when more is stored, the segments that were written first go.
    """

    folder: Path
    shape: tuple[int, ...]
    dtype: str = "float16"
    limit_bytes: int = 20 * 2**30
    _places: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    _maps: dict[str, np.ndarray] = field(default_factory=dict)

    def get(self, keys: Collection[str]) -> dict[str, np.ndarray]:
        """Return the vectors under those of the keys that are stored.

        They are mapped from disk, one row a word.
        """
        if not self._places.keys() >= set(keys):
            self._refresh()
        places = {key: self._places[key] for key in keys if key in self._places}
        return {
            key: self._maps[segment][start : start + rows]
            for key, (segment, start, rows) in places.items()
        }

    def put(self, vectors: Mapping[str, np.ndarray]) -> None:
        """Write vectors, one row a word, as one new segment.

        Raises:
            OSError: the disk is full or cannot be written; what was stored is as it was.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        segment = uuid.uuid4().hex
        starts, at = {}, 0
        for key, rows in vectors.items():
            starts[key] = (at, len(rows))
            at += len(rows)
        data, index = (self.folder / f"{segment}{end}.partial" for end in (".bin", ".json"))
        try:
            with data.open("wb") as file:
                for rows in vectors.values():
                    file.write(np.ascontiguousarray(rows, self.dtype).tobytes())
                os.fsync(file.fileno())
            index.write_text(json.dumps(starts), "utf-8")
            data.rename(data.with_suffix(""))
            index.rename(index.with_suffix(""))
        finally:
            data.unlink(missing_ok=True)
            index.unlink(missing_ok=True)
        self._drop_oldest()

    def _refresh(self) -> None:
        """Take up segments that were written since, by whomever."""
        for path in sorted(self.folder.glob("*.json")):
            if path.stem in self._maps:
                continue
            try:
                starts = json.loads(path.read_text("utf-8"))
                rows = sum(count for _, count in starts.values())
                shape = (rows, *self.shape)
                data = path.with_suffix(".bin")
                self._maps[path.stem] = (
                    np.memmap(data, self.dtype, "r", shape=shape) if rows
                    else np.empty(shape, self.dtype)
                )  # fmt: skip
            except (OSError, ValueError):
                continue  # dropped by another process, or cut off by a full disk: computed again
            self._places |= {key: (path.stem, *place) for key, place in starts.items()}

    def _drop_oldest(self) -> None:
        segments = sorted(self.folder.glob("*.bin"), key=lambda path: path.stat().st_mtime)
        total = sum(path.stat().st_size for path in segments)
        for path in segments[:-1]:
            if total <= self.limit_bytes:
                break
            total -= path.stat().st_size
            path.with_suffix(".json").unlink(missing_ok=True)
            path.unlink(missing_ok=True)


def store_folder(kind: str) -> Path:
    """Return where the cache keeps vectors of a kind."""
    return cache_folder() / "features" / kind
