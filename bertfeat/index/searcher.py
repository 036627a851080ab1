"""The FAISS side of an index, always derived from the store and never ahead of it.

In memory it catches up with the store before each search.  On disk a snapshot spares the next
opening most of that; it is named and vouched for by the store, so that a snapshot of another
history, or a damaged one, is not used but made anew.
"""

import logging
import os
import uuid
import zlib
from pathlib import Path

import numpy as np

from bertfeat.index.description import IndexDescription
from bertfeat.index.flat import FlatVectors
from bertfeat.index.store import DocumentStore, Snapshot

SNAPSHOTS = "vectors-*.faiss"
READ_BYTES = 1 << 22
DUE_ROWS = 10_000
DUE_SHARE = 0.1
logger = logging.getLogger(__name__)


class Searcher:
    """The vectors of a store, ready for search.

    Attributes:
        revision: state of the store that the vectors in memory show.
        behind: vectors read from the store since the last snapshot.
    """

    def __init__(self, folder: Path, description: IndexDescription, store: DocumentStore) -> None:
        self._folder, self._description, self._store = folder, description, store
        self._vectors: FlatVectors | None = None
        self.revision = self.behind = 0

    def catch_up(self) -> FlatVectors:
        """Return the vectors as the store has them now (inside one of its transactions)."""
        revision = self._store.revision()
        if self._vectors is None or self.revision > revision:
            self._vectors, self.revision = self._start(revision)
        vectors, self._vectors = self._vectors, None
        if self.revision < revision:
            self._apply_changes(vectors)
        self._vectors, self.revision = vectors, revision
        return vectors

    def snapshot_is_due(self) -> bool:
        """Whether so much was read from the store that the next opening should be spared it."""
        total = self._vectors.ntotal if self._vectors is not None else 0
        return self.behind >= max(DUE_ROWS, DUE_SHARE * total)

    def save_snapshot(self) -> None:
        """Write what is in memory beside the store and have the store vouch for it."""
        assert self._vectors is not None, "catch_up comes first; this is a bug"
        old = list(self._folder.glob(SNAPSHOTS))
        path = self._folder / f"vectors-{self.revision}-{uuid.uuid4().hex[:8]}.faiss"
        self._vectors.save(path)
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        with self._store.transaction(write=True):
            self._store.set_snapshot(Snapshot(path.name, self.revision, checksum(path)))
        self.behind = 0
        for file_before in old:
            file_before.unlink(missing_ok=True)

    def rebuild(self) -> None:
        """Forget memory and snapshot and make both anew from the store."""
        self._vectors, self.revision = self._empty(), 0
        with self._store.transaction():
            self.catch_up()
        self.save_snapshot()

    def read_snapshot(self, snapshot: Snapshot) -> FlatVectors:
        """Read a snapshot's file.

        Raises:
            ValueError: it is missing, damaged or of another kind.
        """
        path = self._folder / snapshot.name
        try:
            crc = checksum(path)
        except OSError as error:
            raise ValueError(str(error)) from error
        if crc != snapshot.crc:
            raise ValueError(f"its CRC-32 is {crc:08x} instead of {snapshot.crc:08x}")
        return FlatVectors.load(path, self._description.dim, self._description.metric)

    def _start(self, revision: int) -> tuple[FlatVectors, int]:
        self.behind = 0
        snapshot = self._store.snapshot()
        if snapshot is None or snapshot.revision > revision:
            return self._empty(), 0
        try:
            return self.read_snapshot(snapshot), snapshot.revision
        except ValueError as error:
            logger.warning(
                "%s/%s: %s; the vectors are read from the documents instead",
                self._folder, snapshot.name, error,
            )  # fmt: skip
            return self._empty(), 0

    def _apply_changes(self, vectors: FlatVectors) -> None:
        if vectors.ntotal:
            gone = self._store.gone_since(self.revision)
            vectors.remove(gone)
            self.behind += len(gone)
        for ids, rows in self._store.written_since(self.revision, self._description.dim):
            vectors.add(ids, rows)
            self.behind += len(ids)

    def _empty(self) -> FlatVectors:
        return FlatVectors(self._description.dim, self._description.metric)


def checksum(path: Path) -> int:
    """Return the CRC-32 of a file."""
    crc = 0
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            crc = zlib.crc32(block, crc)
    return crc


def same_vectors(vectors: FlatVectors, ids: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Tell for each id, which must be there, whether its vector equals its row bit by bit."""
    equal: np.ndarray = (vectors.get(ids).view(np.uint32) == rows.view(np.uint32)).all(axis=1)
    return equal
