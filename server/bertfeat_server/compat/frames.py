"""bert-as-service's messages: what its client pushes, and what it expects to be published.

A request is ``[identity, body, request id, rows]``, where the body is a command or a JSON list of
texts or of word lists; an answer is ``[identity, JSON, (bytes,) request id]``.  The protocol has no
answer that says "no": an array of a kind that does not exist makes the client raise, and its name
is what the client shows, so that is where our reason goes.  (bert-serving-client 1.10.0,
``BertClient._recv_ndarray``.)
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

VERSION = "1.10.0"
"""The server's version that the client insists on."""
COMMANDS = (b"SHOW_CONFIG", b"SHOW_STATUS", b"TERMINATION")
MAX_IDENTITY_BYTES = 255
MAX_ID_DIGITS = 18


class Refusal(Exception):
    """A message that is not served.

    Attributes:
        address: whom to tell, None if that cannot be known.
    """

    def __init__(self, reason: str, address: "Address | None" = None) -> None:
        super().__init__(reason)
        self.address = address


@dataclass(frozen=True)
class Address:
    """Where an answer goes: the topic that its client listens to, and its number there."""

    identity: bytes
    request_id: bytes


@dataclass(frozen=True)
class Asked:
    """A request of an old client.

    Attributes:
        address: where the answer goes.
        command: one of ``COMMANDS``, or None if texts are to be encoded.
        texts: strings or lists of words.
    """

    address: Address
    command: bytes | None = None
    texts: tuple[Any, ...] = ()


def read(frames: Sequence[bytes]) -> Asked:
    """Read what a client pushed.

    Raises:
        Refusal: it is not what such a client sends, or not what can be served.
    """
    if len(frames) != 4:
        raise Refusal(f"{len(frames)} frames came where identity, body, id and rows are due")
    identity, body, request_id, rows = frames
    if not 0 < len(identity) <= MAX_IDENTITY_BYTES:
        raise Refusal(f"an identity has 1 to {MAX_IDENTITY_BYTES} bytes, got {len(identity)}")
    if not _is_number(request_id):
        raise Refusal(f"a request id is a decimal number, got {request_id[:40]!r}")
    address = Address(identity, request_id)
    if body in COMMANDS:
        return Asked(address, body)
    texts = _texts(body, address)
    if not _is_number(rows) or int(rows) != len(texts):
        raise Refusal(f"{len(texts)} texts came where {rows[:40]!r} were announced", address)
    return Asked(address, None, tuple(texts))


def json_answer(address: Address, value: Any) -> list[bytes]:
    """Return the answer to a command."""
    return [address.identity, json.dumps(value).encode(), address.request_id]


def vectors_answer(
    address: Address, vectors: np.ndarray, tokens: list[list[str]] | None
) -> list[Any]:
    """Return the answer with vectors, float32 (rows, …), and where asked each row's tokens."""
    about: dict[str, Any] = {"dtype": vectors.dtype.name, "shape": vectors.shape}
    if tokens is not None:
        about["tokens"] = tokens
    values = np.ascontiguousarray(vectors).reshape(-1).view(np.uint8).data
    return [address.identity, json.dumps(about).encode(), values, address.request_id]


def error_answer(address: Address, reason: str) -> list[bytes]:
    """Return an answer that makes the client raise and show the reason."""
    kind = "error of the server: " + reason.replace(",", ";")  # NumPy splits kinds at commas
    about = json.dumps({"dtype": kind, "shape": [0]}).encode()
    return [address.identity, about, b"", address.request_id]


def _is_number(frame: bytes) -> bool:
    return frame.isdigit() and len(frame) <= MAX_ID_DIGITS


def _texts(body: bytes, address: Address) -> list[Any]:
    try:
        texts = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"the body is neither a command nor JSON: {error}", address) from error
    if not isinstance(texts, list) or not texts:
        raise Refusal("the body is no list of texts, or an empty one", address)
    for row, text in enumerate(texts):
        words = text if isinstance(text, list) else [text]
        if not all(isinstance(word, str) for word in words):
            raise Refusal(f"text {row} is neither a string nor a list of words", address)
    return texts
