"""The truth of an index: documents and their vectors in one SQLite file.

Each change is one transaction of SQLite's write-ahead log, synced to the disk before it counts as
done, and has a number, the revision, so that anything derived from the store (a FAISS index in
memory or in a file) can ask what changed since it last looked.  What is deleted leaves its number
in ``deletions`` for the same reason.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bertfeat.errors import IndexStoreError

FILE = "documents.sqlite"
CHUNK_ROWS = 4096
REMEMBERED_REQUESTS = 10_000
BUSY_S = 30.0
SCHEMA = """
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL, next_id INTEGER NOT NULL,
    snapshot TEXT, snapshot_revision INTEGER NOT NULL, snapshot_crc INTEGER NOT NULL
);
INSERT INTO state VALUES (1, 0, 0, NULL, 0, 0);
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, text TEXT, metadata TEXT,
    vector BLOB NOT NULL
);
CREATE INDEX documents_by_revision ON documents (revision);
CREATE TABLE deletions (id INTEGER PRIMARY KEY, revision INTEGER NOT NULL);
CREATE INDEX deletions_by_revision ON deletions (revision);
CREATE TABLE requests (key TEXT PRIMARY KEY, revision INTEGER NOT NULL, ids BLOB NOT NULL);
CREATE INDEX requests_by_revision ON requests (revision);
"""
AMONG = "id IN (SELECT value FROM json_each(?))"


class Stored(NamedTuple):
    """A document as it is kept: its text and its metadata, either of them or both None."""

    text: str | None
    metadata: dict[str, Any] | None


class Snapshot(NamedTuple):
    """The FAISS file that the store vouches for, the revision it holds and its CRC-32."""

    name: str
    revision: int
    crc: int


class DocumentStore:
    """Documents by id in ``documents.sqlite``; reads are consistent within :meth:`transaction`.

    Raises:
        IndexStoreError: the file is missing, damaged, locked for long or on a full disk.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._db: sqlite3.Connection | None = None
        if not self.path.is_file():
            raise IndexStoreError(f"{self.path} is missing; restore the index from a copy")
        with self._telling():
            self._db = _connect(self.path, "rw" if os.access(folder, os.W_OK) else "ro")
            self.revision()

    @classmethod
    def create(cls, folder: Path) -> None:
        """Write an empty store into a folder that has none."""
        db = _connect(folder / FILE, "rwc")
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
        db.close()

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[None]:
        """See one state of the store, or change it wholly or not at all."""
        with self._telling():
            self._execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield
                self._execute("COMMIT")
            except BaseException:
                if self._open().in_transaction:
                    self._execute("ROLLBACK")
                raise

    def revision(self) -> int:
        """Number of the latest change."""
        return self._number("SELECT revision FROM state")

    def next_id(self) -> int:
        """One more than the highest id ever used."""
        return self._number("SELECT next_id FROM state")

    def count(self) -> int:
        """Number of documents."""
        return self._number("SELECT count(*) FROM documents")

    def existing(self, ids: Sequence[int]) -> list[int]:
        """Return those of ``ids`` that are in use, in ascending order."""
        rows = self._execute(f"SELECT id FROM documents WHERE {AMONG} ORDER BY id", _json(ids))
        return [row[0] for row in rows]

    def put(self, ids: Sequence[int], documents: Sequence[Stored], vectors: np.ndarray) -> None:
        """Write documents, over those that have the same ids (inside a write transaction).

        Args:
            vectors: float32 (n, dim).
        """
        revision = self._new_revision()
        blobs = (row.astype("<f4", copy=False).tobytes() for row in vectors)
        metadata = (None if d.metadata is None else dump_metadata(d.metadata) for d in documents)
        texts = (document.text for document in documents)
        rows = zip(ids, [revision] * len(ids), texts, metadata, blobs, strict=True)
        self._open().executemany("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?)", rows)
        self._execute("UPDATE state SET next_id = max(next_id, ?)", max(ids, default=-1) + 1)

    def delete(self, ids: Sequence[int]) -> int:
        """Delete documents (inside a write transaction); return how many there were."""
        revision = self._new_revision()
        sql = f"INSERT OR REPLACE INTO deletions SELECT id, ? FROM documents WHERE {AMONG}"
        self._execute(sql, revision, _json(ids))
        return self._execute(f"DELETE FROM documents WHERE {AMONG}", _json(ids)).rowcount

    def fetch(self, ids: Sequence[int]) -> dict[int, Stored]:
        """Return the documents of those ids that exist."""
        sql = f"SELECT id, text, metadata FROM documents WHERE {AMONG}"
        rows = self._execute(sql, _json(ids))
        return {
            row[0]: Stored(row[1], None if row[2] is None else json.loads(row[2])) for row in rows
        }

    def answered(self, key: str) -> np.ndarray | None:
        """Return the ids that the change remembered under ``key`` gave, or None."""
        row = self._execute("SELECT ids FROM requests WHERE key = ?", key).fetchone()
        return None if row is None else np.frombuffer(row[0], "<i8").astype(np.int64)

    def remember(self, key: str, ids: Sequence[int]) -> None:
        """Note what a change gave, for :meth:`answered` (inside its write transaction)."""
        revision = self.revision()
        blob = np.asarray(ids, "<i8").tobytes()
        self._execute("INSERT INTO requests VALUES (?, ?, ?)", key, revision, blob)
        self._execute("DELETE FROM requests WHERE revision <= ?", revision - REMEMBERED_REQUESTS)

    def gone_since(self, revision: int) -> np.ndarray:
        """Return ids, int64 (n,), deleted or written anew after ``revision``."""
        rows = self._execute(
            "SELECT id FROM deletions WHERE revision > ? "
            "UNION SELECT id FROM documents WHERE revision > ?", revision, revision,
        )  # fmt: skip
        return np.fromiter((row[0] for row in rows), np.int64)

    def written_since(self, revision: int, dim: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ids, int64 (n,), and vectors, float32 (n, dim), written after ``revision``."""
        cursor = self._execute("SELECT id, vector FROM documents WHERE revision > ?", revision)
        while rows := cursor.fetchmany(CHUNK_ROWS):
            ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
            yield ids, _vectors(rows, dim, self.path)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield (id, revision, text, metadata, vector) as stored, ids ascending."""
        yield from self._execute("SELECT * FROM documents ORDER BY id")

    def snapshot(self) -> Snapshot | None:
        """Return the FAISS file that belongs to this store, if one was made."""
        row = self._execute(
            "SELECT snapshot, snapshot_revision, snapshot_crc FROM state"
        ).fetchone()
        return None if row[0] is None else Snapshot(*row)

    def set_snapshot(self, snapshot: Snapshot) -> None:
        """Vouch for another FAISS file (inside a write transaction)."""
        sql = "UPDATE state SET snapshot = ?, snapshot_revision = ?, snapshot_crc = ?"
        self._execute(sql, *snapshot)

    def damage(self) -> list[str]:
        """Return what SQLite's own check finds wrong with the file."""
        found = [row[0] for row in self._execute("PRAGMA integrity_check(20)")]
        return [] if found == ["ok"] else found

    def close(self) -> None:
        """Close the file; twice does nothing."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _new_revision(self) -> int:
        self._execute("UPDATE state SET revision = revision + 1")
        return self.revision()

    def _number(self, sql: str) -> int:
        return int(self._execute(sql).fetchone()[0])

    def _execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return self._open().execute(sql, values)

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            raise IndexStoreError(f"the index {self.path.parent} was closed; open it again")
        return self._db

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise IndexStoreError(
                f"{self.path}: {error}; if the disk is in order, restore the index from a copy"
            ) from error


def dump_metadata(metadata: Mapping[str, Any]) -> str:
    """Return metadata as JSON; raises ValueError or TypeError where JSON cannot hold it."""
    return json.dumps(metadata, ensure_ascii=False, allow_nan=False)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # Readers of a write-ahead log write beside it. Where they cannot, the main file is complete
    # if nothing is left in the log.
    wal = path.with_name(f"{path.name}-wal")
    idle = mode == "ro" and not (wal.is_file() and wal.stat().st_size)
    suffix = "&immutable=1" if idle else ""
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}{suffix}",
        uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False,
    )  # fmt: skip
    db.execute("PRAGMA synchronous = FULL")
    return db


def _json(ids: Sequence[int]) -> str:
    return json.dumps([int(number) for number in ids])


def _vectors(rows: Sequence[tuple[Any, ...]], dim: int, path: Path) -> np.ndarray:
    """Join the rows' last columns to float32 (n, dim)."""
    joined = b"".join(row[-1] for row in rows)
    if any(len(row[-1]) != 4 * dim for row in rows):
        raise IndexStoreError(f"{path} holds a vector that is not of {dim} dimensions; run verify")
    return np.frombuffer(joined, "<f4").astype(np.float32, copy=False).reshape(-1, dim)
