"""``VectorIndex``: text in, neighbours out, nothing lost on a crash."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bertfeat.errors import InputError, RowErrors
from bertfeat.index.description import IndexDescription, describe
from bertfeat.index.documents import (
    HIGHEST_ID,
    Document,
    check_ids,
    check_metadata,
    check_texts,
    check_vectors,
    make_stored,
    name_ids,
)
from bertfeat.index.folder import create_folder
from bertfeat.index.reader import IndexReader, is_vectors

if TYPE_CHECKING:
    from bertfeat.api import Encoder

BATCH_DOCUMENTS = 1024


class VectorIndex(IndexReader):
    """Documents and their vectors in a folder, searched exactly; made by ``create`` or ``open``.

    Any number of processes may read; the first change takes the folder's writer lock until
    ``close``.  Readers see each change whole, from their next call on.  One object may be
    shared by threads, whose calls take turns.
    """

    @classmethod
    def create(
        cls,
        folder: str | Path,
        encoder: "Encoder | None" = None,
        *,
        dim: int | None = None,
        metric: str | None = None,
        model: str | None = None,
        features: Mapping[str, Any] | None = None,
    ) -> "VectorIndex":
        """Make an empty index in a folder that is new or empty, at once or not at all.

        Args:
            encoder: makes the vectors from texts; without it give ``dim``.
            dim: length of vectors that come from elsewhere.
            metric: ``cosine``, ``inner_product`` or ``l2``; by default what the model's folder
                says, else ``cosine``.
            model: the name under which the encoder is found again; its folder unless given.
            features: options of ``Encoder.encode``: ``layers``, ``pooling``, ``dimensions`` …

        Raises:
            IndexStoreError: the folder is not empty or cannot be written to.
            InputError: an option is not acceptable.
        """
        if (encoder is None) == (dim is None):
            raise InputError("create an index either for an encoder or for vectors of a given dim")
        if encoder is not None:
            description = describe(encoder, metric=metric, model=model, features=features)
        else:
            description = IndexDescription(dim=dim or 0, metric=metric or "cosine")
        create_folder(Path(folder), description)
        return cls(folder, encoder)

    def add(
        self,
        items: Any,
        ids: Any = None,
        *,
        metadata: Any = None,
        texts: Sequence[str] | None = None,
        replace: bool = False,
        request_id: str | None = None,
    ) -> np.ndarray:
        """Add documents, all of them or none; they are on the disk when this returns.

        Args:
            items: texts, or vectors, an array of numbers of shape (n, dim).
            ids: one whole number for each, from 0 to 2^63 - 2; by default those after the highest
                id ever used, so that a deleted document's id does not come back.
            metadata: one mapping (of what JSON holds) or None for each.
            texts: the texts that belong to vectors.
            replace: write over documents of the same ids instead of refusing.
            request_id: names this change; one that was already made under this name (among the
                latest 10,000 changes) is not made again and gives the same ids.

        Returns:
            The ids, int64 (n,).

        Raises:
            InputError: ids are in use (the message names them), or an argument is not acceptable.
            IndexStoreError: the dimension is wrong, another writer holds the index, the disk is
                full …
            RowErrors: texts that the encoder refused; nothing was added.
        """
        vectors, texts = self._vectors_and_texts(items, texts)
        documents = make_stored(texts, check_metadata(metadata, len(vectors)))
        asked = None if ids is None else check_ids(ids, len(vectors))
        with self._change():
            done = self._store.answered(request_id) if request_id is not None else None
            if done is not None:
                return _same_change(done, len(vectors), str(request_id))
            chosen = self._choose_ids(asked, len(vectors), replace)
            if chosen:
                self._store.put(chosen, documents, vectors)
            if request_id is not None:
                self._store.remember(request_id, chosen)
        return np.array(chosen, np.int64)

    def add_documents(
        self,
        documents: Iterable[Document],
        *,
        replace: bool = False,
        batch_documents: int = BATCH_DOCUMENTS,
    ) -> Iterator[np.ndarray]:
        """Add any number of documents, a batch at a time, in bounded memory.

        Yields:
            The ids, int64, of each batch once it is on the disk.  A batch has ids of its
            documents' own or numbered ones, not both.

        Raises:
            As :meth:`add`; batches already yielded stay.  Rows of ``RowErrors`` count from the
            first document of all.
        """
        source, before = iter(documents), 0
        while batch := list(islice(source, batch_documents)):
            own = [document.id for document in batch if document.id is not None]
            if own and len(own) < len(batch):
                raise InputError(
                    f"{len(own)} of {len(batch)} documents have an id; give one to all or to none"
                )
            texts = [document.text for document in batch]
            metadata = [document.metadata for document in batch]
            try:
                ids = self.add(texts, own or None, metadata=metadata, replace=replace)
            except RowErrors as error:
                renumbered = {before + row: reason for row, reason in error.errors.items()}
                raise RowErrors(renumbered, error.vectors) from error
            before += len(ids)
            yield ids

    def delete(self, ids: Any) -> int:
        """Delete documents; ids that are not there are no error.

        Returns:
            How many there were.
        """
        asked = check_ids(ids)
        with self._change():
            return self._store.delete(asked) if self._store.existing(asked) else 0

    def rebuild(self) -> int:
        """Make the FAISS file anew from the documents; return how many there are."""
        with self._turn:
            self._lock.acquire()
            self._searcher.rebuild()
        return self.ntotal

    def lock(self) -> None:
        """Take the writer lock now instead of at the first change.

        Raises:
            IndexStoreError: another writer holds it.
        """
        with self._turn:
            self._lock.acquire()

    @contextmanager
    def _change(self) -> Iterator[None]:
        with self._turn:
            self._lock.acquire()
            with self._store.transaction(write=True):
                yield

    def _choose_ids(self, asked: list[int] | None, rows: int, replace: bool) -> list[int]:
        if asked is None:
            start = self._store.next_id()
            if start + rows - 1 > HIGHEST_ID:
                raise InputError(f"no {rows} ids are left after {start - 1}; give ids yourself")
            return list(range(start, start + rows))
        if not replace and (used := self._store.existing(asked)):
            raise InputError(
                f"{len(used)} id(s) are in use: {name_ids(used)}; choose others, or write over "
                "them (replace=True, --replace)"
            )
        return asked

    def _vectors_and_texts(
        self, items: Any, texts: Sequence[str] | None
    ) -> tuple[np.ndarray, Sequence[str] | None]:
        """Return the vectors, float32 (n, dim), of what is to be added, and its texts."""
        if is_vectors(items):
            vectors = items
            texts = None if texts is None else check_texts(texts)
        elif texts is not None:
            raise InputError("texts= belongs to vectors, but the items are texts themselves")
        else:
            texts = check_texts([items] if isinstance(items, str) else list(items))
            vectors = self._encode(texts, self.description.document_prompt)
        return check_vectors(vectors, self.description.dim, self.description.metric), texts


def _same_change(ids: np.ndarray, rows: int, request_id: str) -> np.ndarray:
    """Return the ids that a request gave when it came first."""
    if len(ids) != rows:
        raise InputError(
            f"request_id {request_id!r} stands for a change of {len(ids)} documents, now {rows} "
            "came; give each change a name of its own"
        )
    return ids
