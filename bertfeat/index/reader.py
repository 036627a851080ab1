"""The reading side of an index: opening, searching, looking at it."""

import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from bertfeat.errors import IndexStoreError, InputError
from bertfeat.index.description import VERSION, read_description
from bertfeat.index.documents import SearchResult, check_ids, check_vectors, make_hits
from bertfeat.index.lock import WriterLock
from bertfeat.index.searcher import Searcher
from bertfeat.index.store import DocumentStore, Stored
from bertfeat.index.verify import Report, verify

if TYPE_CHECKING:
    from bertfeat.api import Encoder


class IndexReader:
    """An open index without its changes; :class:`VectorIndex` adds those.

    Attributes:
        folder: where the index lies.
        description: what its vectors are.
        encoder: turns texts into vectors; without it the index takes vectors only.
    """

    def __init__(self, folder: str | Path, encoder: "Encoder | None" = None) -> None:
        self.folder = Path(folder)
        self.description = read_description(self.folder)
        self.encoder: Encoder | None = None
        if encoder is not None:
            self.attach(encoder)
        self._store = DocumentStore(self.folder)
        self._searcher = Searcher(self.folder, self.description, self._store)
        self._lock = WriterLock(self.folder)
        self._turn = threading.RLock()

    @classmethod
    def open(cls, folder: str | Path, encoder: "Encoder | None" = None) -> Self:
        """Open an index for searching and, from the first change on, for writing.

        Raises:
            IndexStoreError: there is none, it is damaged, or the encoder is another model's.
        """
        return cls(folder, encoder)

    def attach(self, encoder: "Encoder") -> None:
        """Let texts be turned into vectors by an encoder from now on.

        Raises:
            IndexStoreError: it is another model's than the index was made with.
        """
        self.description.check_model(encoder.model_hash, str(encoder.folder))
        self.encoder = encoder

    def search(self, queries: Any, k: int = 10) -> SearchResult:
        """Find the ``k`` nearest documents of each query, as brute force would.

        Args:
            queries: texts (anything that ``Encoder.encode`` takes), one bare text, or vectors,
                an array of numbers of shape (n, dim).
            k: at least 1; may be more than there are documents.

        Raises:
            InputError: ``k`` or a query is not acceptable.
            IndexStoreError: the vectors have another dimension, or texts came without an encoder.
        """
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
            raise InputError(f"k={k!r} is not a positive whole number")
        if not is_vectors(queries):
            texts = [queries] if isinstance(queries, str) else list(queries)
            queries = self._encode(texts, self.description.query_prompt)
        asked = check_vectors(queries, self.description.dim, self.description.metric, "queries")
        with self._turn:
            with self._store.transaction():
                ids, scores = self._searcher.catch_up().search(asked, int(k))
                documents = self._store.fetch(np.unique(ids).tolist())
            if self._searcher.snapshot_is_due():
                self._try_snapshot()
        return SearchResult(ids, scores, make_hits(ids, scores, documents))

    def get(self, ids: Any) -> dict[int, Stored]:
        """Return text and metadata of those ids that exist."""
        with self._turn, self._store.transaction():
            return self._store.fetch(check_ids(ids))

    @property
    def ntotal(self) -> int:
        """Number of documents."""
        with self._turn, self._store.transaction():
            return self._store.count()

    def info(self) -> dict[str, Any]:
        """Return what there is to know about the index, as JSON can hold it."""
        with self._turn, self._store.transaction():
            snapshot = self._store.snapshot()
            numbers = {
                "documents": self._store.count(),
                "next_id": self._store.next_id(),
                "revision": self._store.revision(),
                "snapshot_revision": snapshot.revision if snapshot else None,
            }
        size = sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())
        made = {"folder": str(self.folder), "version": VERSION} | vars(self.description)
        return made | numbers | {"bytes": size}

    def verify(self) -> Report:
        """Compare store, documents and FAISS file."""
        with self._turn:
            return verify(self.folder, self.description, self._store)

    def close(self) -> None:
        """Close the files and give the writer lock back; twice does nothing."""
        with self._turn:
            self._store.close()
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _encode(self, texts: list[Any], prompt: str | None) -> np.ndarray:
        if not texts:
            return np.empty((0, self.description.dim), np.float32)
        if self.encoder is None:
            raise IndexStoreError(
                "texts need an encoder; open the index with "
                f"VectorIndex.open(folder, Encoder.load({self.description.model!r}))"
            )
        vectors: np.ndarray = self.encoder.encode(texts, **self.description.options(prompt))
        return vectors

    def _try_snapshot(self) -> None:
        """Save a snapshot if nobody else writes here; it only spares time later."""
        held = self._lock.held
        try:
            if self._lock.try_acquire():
                self._searcher.save_snapshot()
        except OSError:
            return
        finally:
            if not held:
                self._lock.release()


def is_vectors(items: Any) -> bool:
    """Whether items are vectors already: an array of numbers."""
    return isinstance(items, np.ndarray) and items.dtype.kind in "fiu"
