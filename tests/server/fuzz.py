"""Malformed messages for every port: mutations of good ones, and bytes that never were any."""

import json
import random
import socket
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import zmq

from bertfeat_client.protocol import Message, encode_message

STRANGE = [
    None, True, False, 0, -1, 2**63, 2**200, 1e308, 0.1, "", "x", "x" * 5000, "\0", "\ud800", [],
    {}, [[[[]]]], {"a": {"b": []}}, ["a"] * 50, {"text": "a"}, {"words": [1]}, {"ids": [-1]},
    "stop", {"ids": [2**70]}, "index_add", "join", "hello", "batch", "result", "cancel", "encode",
]  # fmt: skip
OPS = ["encode", "tokens", "score", "tokenize", "search", "index_add", "index_delete", "info",
       "status", "stop", "join", "cancel", "hello", "heartbeat", "result", "bye"]  # fmt: skip
ARRAYS = {"vectors": np.ones((2, 3), np.float32), "lengths": np.array([1, 1], np.int32)}


def frames(rng: random.Random) -> list[bytes]:
    """Return one message for the native ports, most of the time a broken one."""
    header = {
        "op": rng.choice(OPS), "id": str(rng.random()), "options": {"layers": -1},
        "timeout_ms": 5000, "model": None, "token": "guess", "priority": "high", "key": "k",
        "state": "ready", "ops": ["encode"], "pid": 1, "info": {}, "row_errors": {},
    }  # fmt: skip
    for _ in range(rng.choice([0, 1, 1, 2, 5])):
        header[rng.choice([*header, "v", "items", "arrays", "new"])] = rng.choice(STRANGE)
    items = [rng.choice([*STRANGE, "a text", "other"]) for _ in range(rng.randrange(4))]
    arrays = ARRAYS if rng.random() < 0.2 else {}
    message = Message(header, items if rng.random() < 0.8 else None, arrays)
    return mangled([bytes(frame) for frame in encode_message(message)], rng)


def old_frames(rng: random.Random) -> list[bytes]:
    """Return one message for bert-as-service's port."""
    body = rng.choice([json.dumps(rng.choice(STRANGE)).encode("utf-8", "replace"), b'["a"]',
                       b"SHOW_CONFIG", b"SHOW_STATUS", b"TERMINATION"])  # fmt: skip
    return mangled([b"fuzz", body, str(rng.randrange(9)).encode(), b"1"], rng)


def mangled(message: list[bytes], rng: random.Random) -> list[bytes]:
    """Break a message's bytes and frames, or leave them."""
    for _ in range(rng.choice([0, 0, 1, 3])):
        place = rng.randrange(len(message))
        frame = bytearray(message[place])
        kind = rng.randrange(6)
        if kind == 0 and frame:
            frame[rng.randrange(len(frame))] = rng.randrange(256)
        elif kind == 1:
            del frame[rng.randrange(len(frame) + 1) :]
        elif kind == 2:
            frame += rng.randbytes(rng.randrange(40))
        elif kind == 3:
            message.insert(place, bytes(frame))
        elif kind == 4 and len(message) > 1:
            message.pop(place)
            continue
        else:
            frame = bytearray(rng.randbytes(rng.randrange(60)))
        message[place] = bytes(frame)
    return message


def send(kind: int, endpoint: str, make, count: int, seed: int) -> None:
    """Send so many messages from one socket, reading whatever comes back.

    Raises:
        AssertionError: the port took none for a while.
    """
    rng = random.Random(seed)
    with zmq.Context() as context, context.socket(kind) as sender:
        sender.linger = 1000
        sender.connect(endpoint)
        for number in range(count):
            assert sender.poll(30_000, zmq.POLLOUT), f"{endpoint} takes nothing any more"
            sender.send_multipart(make(rng), zmq.NOBLOCK)
            while kind == zmq.DEALER and number % 50 == 0 and sender.poll(0):
                sender.recv_multipart()


def http_requests(routes: list[tuple[str, str]], rng: random.Random) -> Iterator[bytes]:
    """Give requests without end: known routes with strange bodies and heads, and noise."""
    names = ["texts", "inputs", "input", "query", "documents", "model", "k", "pooling", "new",
             "encoding_format", "dimensions", "truncate", "sentences"]  # fmt: skip
    values = [*STRANGE, "a text", ["a", "b"]]
    while True:
        method, path = rng.choice(routes)
        body = {rng.choice(names): rng.choice(values) for _ in range(rng.randrange(5))}
        data = json.dumps(rng.choice([body, body, rng.choice(STRANGE)])).encode()
        if rng.random() < 0.2:
            [data] = mangled([data], rng)[:1]
        kind = rng.choice(["application/json"] * 6 + ["text/plain", "", "application/json; x"])
        head = [f"{rng.choice([method, method, method, 'PUT', 'OPTIONS'])} {path} HTTP/1.1",
                rng.choice(["Host: 127.0.0.1", "Host: 127.0.0.1", "Host: evil.example", "Host:"]),
                f"Content-Type: {kind}", f"Content-Length: {len(data)}"]  # fmt: skip
        if rng.random() < 0.2:
            head.append(rng.choice([
                "Origin: http://evil.example", "Authorization: Bearer x", "Content-Length: -1",
                "X-Request-Id: " + "y" * 300, "Expect: 100-continue", "Transfer-Encoding: chunked",
            ]))  # fmt: skip
        raw = "\r\n".join(head).encode() + b"\r\n\r\n" + data
        yield rng.randbytes(50) + b"\r\n\r\n" if rng.random() < 0.02 else raw


def send_http(port: int, routes: list[tuple[str, str]], count: int, seed: int) -> None:
    """Send so many requests, on one connection as long as the server keeps it."""
    rng = random.Random(seed)
    requests, connection = http_requests(routes, rng), None
    for _ in range(count):
        with suppress(OSError):
            connection = connection or socket.create_connection(("127.0.0.1", port), timeout=0.1)
            connection.sendall(next(requests))
            if _answered(connection):
                continue
        if connection is not None:
            connection.close()
        connection = None
    if connection is not None:
        connection.close()


def _answered(connection: socket.socket) -> bool:
    """Read one answer; False if the connection is of no use any more."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return False
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    if head.startswith(b"HTTP/1.1 100") or b"content-length" not in lines:
        return False
    missing = int(lines[b"content-length"]) - len(body)
    while missing > 0:
        part = connection.recv(65536)
        if not part:
            return False
        missing -= len(part)
    return lines.get(b"connection") != b"close"
