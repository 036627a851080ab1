"""The side of the backend that a process with a handler stands on, whatever it serves.

Model workers and the index process are the same to the broker: a peer that says which operations
it serves, receives one batch at a time and answers it.  This file does the talking::

    worker = BackendWorker(endpoint, token=token, identity=identity)
    worker.connect()                       # heartbeats begin, state "loading"
    handler = load_something_slow()
    worker.run(("search", "index_add", "index_delete"), handler, describe, on_ready=report)

``run`` blocks in the calling thread, which also calls the handler, until the broker drains or
:meth:`BackendWorker.stop` is called.  A batch is a :class:`Message` with the header keys
``request_op``, ``model``, ``options`` (a dict), ``timeout_ms`` (left of the request's time) and
with the request's ``items`` as they came over the wire (strings, ``{"text", "pair"}``,
``{"words"}``, ``{"ids"}``; None where the broker already refused the row).

The handler returns a :class:`Message` with one row for each item: arrays (axis 0 = rows, ragged
ones with ``lengths``), items if the operation has any, and in the header ``info`` (a dict) and
``row_errors`` (row number to :func:`bertfeat_client.errors.to_wire`), failed rows being zero.  It
may raise: an error of the library or of ``bertfeat_client.errors`` is the answer to the whole
batch, any other is logged and retried as a lost batch would be.  Batches of the index operations
hold exactly one request, undivided; ``index_add`` and ``index_delete`` are never retried.

The index process is started as ``index_service.run(endpoint, frontend, folder, *, token,
identity, on_ready, ...)``: it gives ``token`` and ``identity`` to its BackendWorker and
``on_ready`` to ``run``; ``describe()`` returns what ``info`` shows under ``index``, and
:meth:`BackendWorker.announce` sends it anew after the index changed.
"""

import logging
import os
import queue
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import zmq

from bertfeat_client.errors import ConnectTimeout, InternalError, ProtocolError, to_wire
from bertfeat_client.protocol import Message, decode_header, decode_message, encode_message
from bertfeat_server.logs import BUSY_WITH
from bertfeat_server.wire_errors import translate

TASK_OPS = ("predict", "tag")
MODEL_OPS = ("encode", "tokens", "score", "tokenize", *TASK_OPS)
INDEX_OPS = ("search", "index_add", "index_delete")
HEARTBEAT_S = 1.0
BROKER_SILENCE_S = 60.0
"""A broker that says nothing for so long is gone for good; it answers each heartbeat."""
LINGER_MS = 2000
CLOSED = b""
"""Ends the thread that owns the sockets."""

Handler = Callable[[Message], Message]
Describe = Callable[[], Mapping[str, Any]]
logger = logging.getLogger(__name__)


class BackendWorker:
    """A process's connection to the broker's backend.

    A thread owns the socket, so that a long batch does not look like a dead process.

    Args:
        endpoint: the broker's backend.
        token: proves to the broker that this process belongs to the server.
        identity: name of this process among all; by default a random one.
    """

    def __init__(self, endpoint: str, *, token: str = "", identity: str = "") -> None:
        self.endpoint, self.token = endpoint, token
        self.identity = identity or f"worker-{uuid.uuid4().hex[:12]}"
        self._context = zmq.Context()
        self._inbox: queue.SimpleQueue[list[zmq.Frame] | None] = queue.SimpleQueue()
        self._outbox = self._context.socket(zmq.PUSH)
        self._outbox.bind("inproc://outbox")
        self._hello: dict[str, Any] = {}
        self._describe: Describe = dict
        self._stopping = self._dismissed = self._deserted = False
        self._heard_at = 0.0
        self._thread = threading.Thread(target=self._talk, name="backend", daemon=True)

    def connect(self, model: str | None = None) -> None:
        """Begin to talk: the broker lists this process as loading."""
        self._hello = {
            "op": "hello", "state": "loading", "ops": [], "token": self.token,
            "pid": os.getpid(), "model": model, "info": {},
        }  # fmt: skip
        self._thread.start()
        self._say(self._hello)

    def run(
        self,
        ops: Sequence[str],
        handler: Handler,
        describe: Describe,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        """Serve batches until the broker drains or :meth:`stop` is called, then say goodbye.

        Args:
            ops: the operations that the handler answers.
            handler: turns a batch into its result; see the module's docstring.
            describe: what the broker may tell callers about this process.
            on_ready: called once the broker was told that this process is ready.

        Raises:
            ConnectTimeout: the broker has been silent for ``BROKER_SILENCE_S``.
        """
        self._describe = describe
        self._hello = self._hello | {"state": "ready", "ops": list(ops)}
        self.announce()
        if on_ready is not None:
            on_ready()
        while (frames := self._inbox.get()) is not None and not self._stopping:
            self._answer(frames, handler)
        self.close()
        if self._deserted:
            raise ConnectTimeout(f"the broker at {self.endpoint} is gone")

    def announce(self) -> None:
        """Tell the broker anew what ``describe`` says (call it where the handler is called)."""
        self._hello = self._hello | {"info": dict(self._describe())}
        self._say(self._hello)

    def stop(self) -> None:
        """End :meth:`run` after the batch in hand; safe in a signal handler."""
        self._stopping = True
        self._inbox.put(None)

    def close(self) -> None:
        """Say goodbye, unless the broker did, and end the connection."""
        if not self._dismissed:
            self._say({"op": "bye"})
        self._outbox.send(CLOSED)
        self._thread.join()
        self._outbox.close()
        self._context.term()

    def _answer(self, frames: list[zmq.Frame], handler: Handler) -> None:
        try:
            batch = decode_message(frames)
        except ProtocolError:
            logger.exception("the broker sent frames that are no message")
            return
        self._outbox.send_multipart(encode_message(_handle(batch, handler)), copy=False)

    def _say(self, header: Mapping[str, Any]) -> None:
        self._outbox.send_multipart(encode_message(Message(dict(header))))

    def _talk(self) -> None:
        """Own the sockets: pass batches in and results out, and beat."""
        with self._context.socket(zmq.DEALER) as dealer, self._context.socket(zmq.PULL) as results:
            dealer.setsockopt_string(zmq.ROUTING_ID, self.identity)
            dealer.linger = LINGER_MS
            dealer.connect(self.endpoint)
            results.connect("inproc://outbox")
            poller = zmq.Poller()
            poller.register(dealer, zmq.POLLIN)
            poller.register(results, zmq.POLLIN)
            self._heard_at = time.monotonic()
            beat_at, going = time.monotonic() + HEARTBEAT_S, True
            while going:
                ready = dict(poller.poll(max(0, int((beat_at - time.monotonic()) * 1000) + 1)))
                if results in ready:
                    frames = results.recv_multipart(copy=False)
                    going = frames[0].bytes != CLOSED
                    if going:
                        self._send(dealer, frames)
                if dealer in ready:
                    self._pass_in(dealer)
                if time.monotonic() >= beat_at:
                    self._beat(dealer)
                    beat_at = time.monotonic() + HEARTBEAT_S

    def _beat(self, dealer: "zmq.Socket[bytes]") -> None:
        self._send(dealer, encode_message(Message({"op": "heartbeat"})))
        if time.monotonic() - self._heard_at > BROKER_SILENCE_S and not self._deserted:
            self._deserted = self._dismissed = True
            dealer.linger = 0
            self.stop()

    def _pass_in(self, dealer: "zmq.Socket[bytes]") -> None:
        frames = dealer.recv_multipart(copy=False)
        self._heard_at = time.monotonic()
        try:
            op = decode_header(frames[0]).get("op")
        except ProtocolError:
            logger.exception("the broker sent frames that are no message")
            return
        if op == "drain":
            self._dismissed, dealer.linger = True, 0
            self.stop()
        elif op == "who":
            self._send(dealer, encode_message(Message(self._hello)))
        elif op == "batch":
            self._inbox.put(frames)

    def _send(self, dealer: "zmq.Socket[bytes]", frames: Sequence[Any]) -> None:
        try:
            dealer.send_multipart(frames, zmq.NOBLOCK, copy=False)
        except zmq.Again:
            logger.warning("the broker at %s takes no messages; one was dropped", self.endpoint)


def _handle(batch: Message, handler: Handler) -> Message:
    number = batch.header.get("id")
    BUSY_WITH.set({"batch": number, "requests": batch.header.get("requests", [])})
    try:
        result = handler(batch)
    except Exception as error:
        known = translate(error)
        if known is None:
            logger.exception("batch %s failed", number)
            known = InternalError(f"the worker failed with {type(error).__name__}")
        return Message({"op": "failed", "id": number, "error": to_wire(known)})
    finally:
        BUSY_WITH.set(None)
    result.header = {"op": "result", "id": number} | result.header
    return result
