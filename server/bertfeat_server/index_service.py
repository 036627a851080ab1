"""The index process: serves search and changes of one index, encoding through the broker.

To the broker's backend it is a worker, to its frontend an ordinary client, so that encoding for
the index queues with everybody's and searching never holds a model up.  It holds the writer lock
of the folder.

A change is on the disk before it is answered, and the broker does not repeat one whose answer was
lost.  A caller who does not know whether an addition was made may send it again without doubling
it: with ``ids`` of its own it is refused as in use; with the option ``request_id`` (any string of
the caller's, the same both times) it is answered with the ids that it got the first time.
"""

import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.errors import InputError
from bertfeat.index import VectorIndex
from bertfeat.index.documents import check_ids, check_metadata, check_texts
from bertfeat_client import EncodeInfo, TruncationWarning
from bertfeat_client.errors import DeadlineExceeded, InvalidRequest, NotFound
from bertfeat_client.protocol import Message
from bertfeat_server.backend import INDEX_OPS, BackendWorker
from bertfeat_server.index_encoder import BrokerEncoder, TextEncoder
from bertfeat_server.rows import to_item, wire_row_errors

MAX_K = 10_000
OPTIONS: dict[str, dict[str, type]] = {
    "search": {"k": int, "index": str},
    "index_add": {
        "ids": list, "metadata": list, "replace": bool, "request_id": str, "index": str,
    },
    "index_delete": {"ids": list, "index": str},
}  # fmt: skip


class IndexHandler:
    """Answers the batches of one index, each of which is one request.

    Args:
        index: open, its writer lock taken.
        encoder: makes the vectors.
        on_change: called after a change, before it is answered.
    """

    def __init__(
        self, index: VectorIndex, encoder: TextEncoder, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self._index, self._encoder, self._on_change = index, encoder, on_change
        self._name = index.folder.absolute().name
        self._ops = {"search": self._search, "index_add": self._add, "index_delete": self._delete}

    def __call__(self, batch: Message) -> Message:
        """Answer a batch; see :mod:`bertfeat_server.backend`."""
        end = time.monotonic() + float(batch.header["timeout_ms"]) / 1000
        op = str(batch.header["request_op"])
        options = check_options(op, batch.header.get("options") or {})
        name = options.pop("index", self._name)
        if name != self._name:
            raise NotFound(f"no index {name!r:.60} here; this server has {self._name!r}")
        return self._ops[op](batch.items or [], options, end)

    def describe(self) -> dict[str, Any]:
        """Return what ``info`` says of the index."""
        info = self._index.info()
        names = "documents", "next_id", "dim", "metric", "kind", "model", "model_hash"
        return {"name": self._name} | {name: info[name] for name in names}

    def _search(self, items: list[Any], options: dict[str, Any], end: float) -> Message:
        k = options.get("k", 10)
        if not 1 <= k <= MAX_K:
            raise InvalidRequest(f"k: expected 1 to {MAX_K}, got {k}")
        prompt = self._index.description.query_prompt
        vectors, info = self._encoder.encode([to_item(item) for item in items], prompt, end)
        rows = [row for row in range(len(items)) if row not in info.errors]
        found = self._index.search(vectors[rows], k)
        ids = np.full((len(items), k), -1, np.int64)
        scores = np.full((len(items), k), -np.inf, np.float32)
        ids[rows], scores[rows] = found.ids, found.scores
        hits: list[Any] = [[] for _ in items]
        for row, neighbours in zip(rows, found, strict=True):
            hits[row] = [{"text": hit.text, "metadata": hit.metadata} for hit in neighbours]
        arrays = {"ids": ids, "scores": scores, "truncated": info.truncated}
        return Message(_header(info, info.errors), hits, arrays)

    def _add(self, items: list[Any], options: dict[str, Any], end: float) -> Message:
        own, metadata = options.get("ids"), check_metadata(options.get("metadata"), len(items))
        own = None if own is None else check_ids(own, len(items))
        errors = _not_storable(items)
        prompt = self._index.description.document_prompt
        given = [None if row in errors else item for row, item in enumerate(items)]
        vectors, info = self._encoder.encode(given, prompt, end)
        if time.monotonic() >= end:
            raise DeadlineExceeded("the texts were encoded too late; nothing was added")
        errors = dict(info.errors) | errors
        rows = [row for row in range(len(items)) if row not in errors]
        ids = np.full(len(items), -1, np.int64)
        ids[rows] = self._index.add(
            vectors[rows],
            None if own is None else [own[row] for row in rows],
            metadata=[metadata[row] for row in rows],
            texts=[items[row] for row in rows],
            replace=options.get("replace", False),
            request_id=options.get("request_id"),
        )
        self._on_change()
        return Message(_header(info, errors), arrays={"ids": ids, "truncated": info.truncated})

    def _delete(self, items: list[Any], options: dict[str, Any], end: float) -> Message:
        if "ids" not in options:
            raise InvalidRequest("index_delete needs the option ids, a list of whole numbers")
        deleted = self._index.delete(options["ids"])
        self._on_change()
        return Message({"info": {"deleted": deleted}})


def check_options(op: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return an operation's options, those that are None left out.

    Raises:
        InvalidRequest: one is unknown or of another type.
    """
    given = {name: value for name, value in options.items() if value is not None}
    known = OPTIONS[op]
    if unknown := sorted(set(given) - set(known)):
        raise InvalidRequest(
            f"unknown option(s) {', '.join(unknown)}; {op} has {', '.join(sorted(known))}"
        )
    for name, value in given.items():
        if not isinstance(value, known[name]) or (known[name] is int and isinstance(value, bool)):
            raise InvalidRequest(f"{name}: expected {known[name].__name__}, got {value!r:.60}")
    return given


def run(
    backend: str,
    frontend: str,
    folder: Path,
    *,
    token: str = "",
    identity: str = "",
    on_ready: Callable[[], None] | None = None,
) -> None:
    """Serve an index until the broker drains.

    Args:
        backend: the broker's endpoint for workers.
        frontend: the broker's endpoint for clients.
        folder: the index.
        token: proves that this process belongs to the server.
        identity: its name among all processes.
        on_ready: called once the model is known and the vectors are in memory.

    Raises:
        IndexStoreError: there is no index, another process writes it, or none of the server's
            models made it.
    """
    warnings.simplefilter("ignore", TruncationWarning)
    worker = BackendWorker(backend, token=token, identity=identity)
    with VectorIndex.open(folder) as index:
        index.lock()
        encoder = BrokerEncoder(frontend, index.description, token)
        handler = IndexHandler(index, encoder, worker.announce)
        worker.connect()
        try:
            encoder.find_model()
            index.search(np.ones((1, index.description.dim), np.float32), 1)
        except BaseException:
            worker.close()
            raise
        worker.run(INDEX_OPS, handler, handler.describe, on_ready)
        encoder.close()


def _not_storable(items: list[Any]) -> dict[int, Exception]:
    """Return the rows that an index cannot keep: it holds single texts."""
    errors: dict[int, Exception] = {}
    for row, item in enumerate(items):
        try:
            check_texts([item])
        except InputError as error:
            errors[row] = InputError(str(error).replace("texts[0]", f"texts[{row}]", 1))
    return errors


def _header(info: EncodeInfo, errors: Mapping[int, Exception]) -> dict[str, Any]:
    about = {"model": info.model, "model_hash": info.model_hash, "precision": info.precision}
    return {"info": about, "row_errors": wire_row_errors(errors)}
