"""One question to a running server, for the commands that look after it."""

import time
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import zmq

from bertfeat_client.curve import Curve
from bertfeat_client.errors import ConnectTimeout, from_wire
from bertfeat_client.protocol import Message, decode_message, encode_message


def ask(
    endpoint: str,
    op: str,
    *,
    token: str = "",
    api_key: str = "",
    curve: Curve | None = None,
    timeout_s: float = 5.0,
    **fields: Any,
) -> dict[str, Any]:
    """Ask the server itself, say for ``info`` or ``status``, and return the reply's ``info``.

    Args:
        endpoint: where the server listens.
        op: the operation.
        token: the admin token; all but ``info`` and ``status`` need it.
        api_key: one of the server's keys, where it asks for one.
        curve: keys of an encrypted connection, where the server wants one.
        timeout_s: how long to wait for the answer.
        **fields: of the operation; ``id`` may be among them.

    Raises:
        ConnectTimeout: nobody answered in time.
        ServerError: the server refused.
    """
    name = fields.pop("id", None) or uuid.uuid4().hex
    shown = {name: one for name, one in (("token", token), ("key", api_key)) if one}
    question = Message({"op": op, "id": name} | fields | shown)
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.ipv6 = "[" in endpoint
        if curve is not None:
            curve.put_on(dealer)
        dealer.connect(endpoint)
        dealer.send_multipart(encode_message(question))
        if not dealer.poll(int(timeout_s * 1000)):
            raise ConnectTimeout(
                f"no server answered at {endpoint} within {timeout_s:g} s; one that encrypts "
                "answers only with its key and yours (--curve)"
            )
        reply = decode_message(dealer.recv_multipart())
    if reply.header.get("status") != "ok":
        raise from_wire(reply.header.get("error") or {}, name)
    return dict(reply.header.get("info") or {})


def wait_until_ready(endpoint: str, token: str, timeout_s: float) -> dict[str, Any]:
    """Ask until the server says that it is ready, and return its ``info``.

    Raises:
        ConnectTimeout: it did not in time.
    """
    end = time.monotonic() + timeout_s
    while not ask(endpoint, "status", token=token, timeout_s=timeout_s)["ready"]:
        if time.monotonic() > end:
            raise ConnectTimeout(f"the server at {endpoint} was not ready within {timeout_s:g} s")
        time.sleep(0.02)
    return ask(endpoint, "info", token=token, timeout_s=timeout_s)


def default_model(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a server's ``info`` says of the model that answers if none is named."""
    found: dict[str, Any] = next(
        model for model in info["models"] if model["name"] == info["default_model"]
    )
    return found


def reachable(endpoint: str) -> str:
    """Return where this machine reaches an endpoint that listens on all addresses."""
    for everywhere in ("//0.0.0.0:", "//*:"):
        endpoint = endpoint.replace(everywhere, "//127.0.0.1:")
    return endpoint.replace("//[::]:", "//[::1]:")


def port_of(endpoint: str) -> int | None:
    """Return the TCP port of an endpoint, None for an ipc one."""
    return urlsplit(endpoint).port if endpoint.startswith("tcp://") else None
