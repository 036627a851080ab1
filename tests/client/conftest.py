"""A server that speaks the protocol and computes something checkable, in process or on a socket."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import zmq

from bertfeat_client import AsyncClient, Client
from bertfeat_client.in_process import InProcess
from bertfeat_client.protocol import (
    Message,
    decode_message,
    encode_message,
    float32_to_bfloat16,
)

DIM = 8


def vector_of(text: str, dim: int = DIM) -> np.ndarray:
    """The fake model's vector: unit length, a function of the text alone."""
    seed = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8])
    vector = np.random.default_rng(seed).standard_normal(dim).astype(np.float32)
    return vector / np.linalg.norm(vector)


def text_of(item: Any) -> str:
    """One string for an item as it travels."""
    if isinstance(item, str):
        return item
    return " ".join(item["words"]) if "words" in item else f"{item['text']} || {item['pair']}"


class FakeServer:
    """Answers requests; keeps what it saw in ``requests`` and the ids of cancelled ones.

    ``instead`` may be set to a function that answers some requests itself (a list of messages) and
    leaves the others (None).  ``max_tokens`` is what its model reads.
    """

    def __init__(self) -> None:
        self.info: dict[str, Any] = {
            "version": "0.1.0",
            "protocol": [1, 0],
            "default_model": "fake",
            "limits": {"max_request_texts": 4, "max_text_chars": 50},
            "models": [{"name": "fake", "dim": DIM, "model_hash": "abc", "cross_encoder": False}],
        }
        self.max_tokens = 6
        self.requests: list[Message] = []
        self.cancelled: list[str] = []
        self.index: dict[int, tuple[str, Any]] = {}
        self.changes: dict[str, list[int]] = {}
        self.instead: Callable[[Message], list[Any] | None] = lambda request: None

    vector_of = staticmethod(vector_of)

    def ops(self) -> list[str]:
        """The operations asked for, in order."""
        return [request.header["op"] for request in self.requests]

    def handle(self, request: Message) -> list[Any]:
        """Answer one request."""
        if request.header["op"] == "cancel":
            self.cancelled.append(request.header["id"])
            return []
        self.requests.append(request)
        instead = self.instead(request)
        if instead is not None:
            return instead
        return [getattr(self, "_" + request.header["op"])(request)]

    def reply(self, request: Message, **parts: Any) -> Message:
        """A reply that is well."""
        info = {"precision": "float32", "model_hash": "abc", "model": "fake"}
        header = {"id": request.header["id"], "status": "ok", "info": info}
        return Message(header | parts.pop("header", {}), **parts)

    def refusal(self, request: Message, code: str, **more: Any) -> Message:
        """A reply that refuses the whole request."""
        error = {"code": code, "message": f"{code}, said the server"} | more
        return Message({"id": request.header["id"], "status": "error", "error": error})

    def _info(self, request: Message) -> Message:
        return self.reply(request, header={"info": self.info})

    def _status(self, request: Message) -> Message:
        return self.reply(request, header={"info": {"ready": True, "workers": []}})

    def _stop(self, request: Message) -> Message:
        if request.header.get("token") != "secret":
            return self.refusal(request, "forbidden")
        return self.reply(request, header={"info": {}})

    def _rows(self, request: Message) -> tuple[list[list[str]], dict[str, Any], dict[str, Any]]:
        """The tokens of each row, the arrays that every reply has, and the rows' errors."""
        words = [["[CLS]", *text_of(item).split(), "[SEP]"] for item in request.items]
        arrays = {
            "num_tokens": np.array([len(row) for row in words], np.int32),
            "truncated": np.array([len(row) > self.max_tokens for row in words], bool),
        }
        errors = {}
        for number, item in enumerate(request.items):
            if "!" in text_of(item):
                message = f"texts[{number}]: it shouts"
                errors[str(number)] = {"code": "invalid_request", "message": message}
                words[number] = []
        return words, arrays, {"row_errors": errors} if errors else {}

    def _encode(self, request: Message) -> Message:
        options = request.header["options"]
        words, arrays, header = self._rows(request)
        if options.get("pooling") == "none":
            lengths = np.array([len(row) for row in words], np.int32)
            flat = [vector_of(word) for row in words for word in row]
            arrays |= {"vectors": np.array(flat, np.float32).reshape(-1, DIM), "lengths": lengths}
            return self.reply(request, header=header, arrays=arrays, ragged=frozenset({"vectors"}))
        prompt = options.get("prompt_name", "")
        rows = [
            vector_of(prompt + text_of(item), options.get("dimensions", DIM)) * bool(row)
            for item, row in zip(request.items, words, strict=True)
        ]
        vectors = np.array(rows, np.float32)
        dtype = options.get("dtype", "float32")
        if dtype == "bfloat16":
            arrays["vectors"] = float32_to_bfloat16(vectors)
            return self.reply(
                request, header=header, arrays=arrays, bfloat16=frozenset({"vectors"})
            )
        if dtype == "int8":
            vectors = np.round(vectors * 127)
        return self.reply(
            request, header=header, arrays=arrays | {"vectors": vectors.astype(dtype)}
        )

    def _tokens(self, request: Message) -> Message:
        words, arrays, header = self._rows(request)
        layers = request.header["options"].get("layers", [-1])
        flat = [[vector_of(f"{layer}:{word}") for layer in layers] for row in words for word in row]
        starts = [(number, number + 1) for row in words for number in range(len(row))]
        word_ids = [
            -1 if number in (0, len(row) - 1) else number - 1
            for row in words
            for number in range(len(row))
        ]
        arrays |= {
            "vectors": np.array(flat, np.float32).reshape(-1, len(layers), DIM),
            "lengths": np.array([len(row) for row in words], np.int32),
            "offsets": np.array(starts, np.int32).reshape(-1, 2),
            "word_ids": np.array(word_ids, np.int32),
        }
        ragged = frozenset({"vectors", "offsets", "word_ids"})
        return self.reply(request, header=header, items=words, arrays=arrays, ragged=ragged)

    def _score(self, request: Message) -> Message:
        scores = [[len(item["text"]) - len(item["pair"])] for item in request.items]
        return self.reply(request, arrays={"scores": np.array(scores, np.float32)})

    def _index_add(self, request: Message) -> Message:
        options = request.header["options"]
        fresh = [len(self.index) + number for number in range(len(request.items))]
        ids = self.changes.setdefault(options["request_id"], options.get("ids") or fresh)
        metadata = options.get("metadata") or [None] * len(ids)
        for number, item, about in zip(ids, request.items, metadata, strict=True):
            self.index[number] = (text_of(item), about)
        truncated = np.array([len(text_of(item).split()) > 4 for item in request.items])
        return self.reply(request, arrays={"ids": np.array(ids, np.int64), "truncated": truncated})

    def _index_delete(self, request: Message) -> Message:
        deleted = [self.index.pop(number, None) for number in request.header["options"]["ids"]]
        count = sum(one is not None for one in deleted)
        return self.reply(request, header={"info": {"deleted": count}})

    def _search(self, request: Message) -> Message:
        k = request.header["options"]["k"]
        ids = np.full((len(request.items), k), -1, np.int64)
        scores = np.zeros((len(request.items), k), np.float32)
        items = []
        for row, item in enumerate(request.items):
            found = sorted(
                ((float(vector_of(text) @ vector_of(text_of(item))), number)
                 for number, (text, _) in self.index.items()), reverse=True
            )[:k]  # fmt: skip
            for column, (score, number) in enumerate(found):
                ids[row, column], scores[row, column] = number, score
            items.append(
                [
                    {"text": self.index[number][0], "metadata": self.index[number][1]}
                    for _, number in found
                ]
            )
        return self.reply(request, items=items, arrays={"ids": ids, "scores": scores})


class RouterServer:
    """A fake server on a ROUTER socket, in a thread; may be stopped and started again."""

    def __init__(self, fake: FakeServer, context: zmq.Context, endpoint: str) -> None:
        self.fake, self.context, self.endpoint = fake, context, endpoint
        self.start()

    def start(self) -> None:
        """Bind and serve."""
        self._socket = self.context.socket(zmq.ROUTER)
        self._socket.linger = 0
        self._bind(time.monotonic() + 10)
        self.endpoint = self._socket.last_endpoint.decode().rstrip("\0")
        self._going = threading.Event()
        self._going.set()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _bind(self, until: float) -> None:
        """Bind; ZeroMQ gives a port back a moment after its socket was closed."""
        try:
            self._socket.bind(self.endpoint)
        except zmq.ZMQError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
            self._bind(until)

    def stop(self) -> None:
        """Vanish, with whatever is under way."""
        self._going.clear()
        self._thread.join()

    def _serve(self) -> None:
        with self._socket as socket:
            while self._going.is_set():
                if socket.poll(20):
                    peer, *frames = socket.recv_multipart()
                    for answer in self.fake.handle(decode_message(frames)):
                        frames = encode_message(answer) if isinstance(answer, Message) else answer
                        socket.send_multipart([peer, *frames])


@pytest.fixture
def fake() -> FakeServer:
    """What answers."""
    return FakeServer()


@pytest.fixture
def transport(fake: FakeServer) -> InProcess:
    """The fake server without a socket, on a clock of its own."""
    return InProcess(fake.handle)


@pytest.fixture
def client(transport: InProcess) -> Iterator[Client]:
    """A client of the fake server."""
    with Client(transport=transport, timeout_s=60) as client:
        yield client


@pytest.fixture
def async_client(transport: InProcess) -> AsyncClient:
    """An asynchronous client of the fake server; needs no closing."""
    return AsyncClient(transport=transport, timeout_s=60)


@pytest.fixture
def serve(fake: FakeServer, zmq_context: zmq.Context) -> Iterator[Callable[[str], RouterServer]]:
    """Starts the fake server on an endpoint."""
    servers: list[RouterServer] = []

    def start(endpoint: str) -> RouterServer:
        servers.append(RouterServer(fake, zmq_context, endpoint))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def router(serve: Callable[[str], RouterServer]) -> RouterServer:
    """The fake server on a port of this machine."""
    return serve("tcp://127.0.0.1:*")
