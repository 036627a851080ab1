"""The files that examples are written to: TFRecords, one after the other in turn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Shards:
    """The files of one kind, written in turn."""

    def __init__(self, folder: Path, kind: str, count: int, compress: bool) -> None:
        self._folder, self._kind, self._count, self._compress = folder, kind, count, compress
        self._files: list[Any] = []
        self._next = 0

    def __enter__(self) -> "Shards":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()

    def write(self, rows: Sequence[bytes]) -> None:
        """Write examples, one to each file in turn."""
        if rows and not self._files:
            self._files = [self._opened(number) for number in range(self._count)]
        for row in rows:
            self._files[self._next % len(self._files)].write(row)
            self._next += 1

    def _opened(self, number: int) -> Any:
        import tensorflow as tf

        end = ".tfrecord.gz" if self._compress else ".tfrecord"
        name = f"{self._kind}-{number:05d}-of-{self._count:05d}{end}"
        options = tf.io.TFRecordOptions("GZIP" if self._compress else "")
        return tf.io.TFRecordWriter(str(self._folder / name), options)
