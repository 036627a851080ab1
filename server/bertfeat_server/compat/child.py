"""The process that serves bert-as-service's clients, until its parent lets go."""

import asyncio
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import zmq
import zmq.asyncio

from bertfeat.errors import TruncationWarning
from bertfeat_client import AsyncClient
from bertfeat_client import TruncationWarning as ClientTruncationWarning
from bertfeat_server.compat.bridge import Bridge, each
from bertfeat_server.compat.mailbox import Mailbox
from bertfeat_server.config import ServerConfig
from bertfeat_server.logs import reload_log, set_up
from bertfeat_server.parent import Parent

AT_ONCE = 256
"""Requests that are under way; further ones wait in their clients' sockets."""
GOODBYE_MS = 1000
LOOK_S, IDLE_S = 0.01, 0.1
"""Time between two looks at who listens, while answers wait for that and while none does."""


@dataclass
class Orders:
    """What to do when the supervisor says something or is gone, until it serves and while."""

    obey: Callable[[Mapping[str, Any]], None] = reload_log
    end: Callable[[], None] = lambda: os._exit(0)


def main(parent: Parent) -> None:
    """Serve old clients for a supervisor."""
    settings = parent.settings
    config = ServerConfig.from_dict(settings["config"])
    set_up(config)
    for kind in (TruncationWarning, ClientTruncationWarning):
        warnings.simplefilter("ignore", kind)  # this protocol cannot tell it
    # from here on: whatever hangs while it begins must not outlive the supervisor
    orders = Orders()
    parent.watch(lambda command: orders.obey(command), lambda: orders.end())
    try:
        with _sockets(config) as (requests, answers):
            asyncio.run(_serve(parent, config, orders, requests, answers))
    except zmq.ZMQError as error:
        ports = ",".join(map(str, config.compat_in_out))
        parent.tell(
            "failed",
            reason=f"bert-as-service's ports {ports} of {config.host} cannot be listened on: "
            f"{error.strerror}; --compat-ports chooses others",
        )


@contextmanager
def _sockets(
    config: ServerConfig,
) -> "Iterator[tuple[zmq.asyncio.Socket, zmq.Socket[bytes]]]":
    context = zmq.asyncio.Context()
    requests, answers = context.socket(zmq.PULL), zmq.Context(context).socket(zmq.XPUB)
    Mailbox.prepare(answers)
    requests.maxmsgsize = config.max_message_bytes
    try:
        for socket, port in zip((requests, answers), config.compat_in_out, strict=True):
            socket.ipv6 = ":" in config.host
            socket.bind(f"tcp://{config.url_host}:{port}")
        yield requests, answers
    finally:
        requests.close(linger=0)
        answers.close(linger=GOODBYE_MS)
        context.term()


async def _serve(
    parent: Parent,
    config: ServerConfig,
    orders: Orders,
    requests: "zmq.asyncio.Socket",
    answers: "zmq.Socket[bytes]",
) -> None:
    mailbox, ended = Mailbox(answers), asyncio.Event()
    frontend, token = parent.settings["frontend"], parent.settings["token"]
    async with AsyncClient(
        frontend, timeout_s=config.default_timeout_s, header={"token": token}
    ) as client:
        bridge = Bridge(client, config.compat_show_tokens, mailbox.post)
        tasks = [
            asyncio.create_task(each(requests.recv_multipart, bridge.answer, AT_ONCE)),
            asyncio.create_task(_attend(mailbox)),
        ]
        loop = asyncio.get_running_loop()

        def let_go() -> None:
            loop.call_soon_threadsafe(ended.set)

        def obey(command: Mapping[str, Any]) -> None:
            reload_log(command)
            if command["command"] == "reload":
                client.timeout_s = command["config"]["default_timeout_s"]

        orders.obey, orders.end = obey, let_go
        parent.tell("ready", compat=f"{config.host} {','.join(map(str, config.compat_in_out))}")
        waits = asyncio.create_task(ended.wait())
        await asyncio.wait([*tasks, waits], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


async def _attend(mailbox: Mailbox) -> None:
    while True:
        mailbox.listen()
        mailbox.deliver()
        await asyncio.sleep(LOOK_S if len(mailbox) else IDLE_S)
