"""The HTTP process of a supervisor: a web server until its parent lets go."""

import asyncio
import logging
import socket
import warnings
from collections.abc import Mapping
from typing import Any

import uvicorn

from bertfeat.errors import BertFeatError, TruncationWarning
from bertfeat_client import AsyncClient
from bertfeat_client import TruncationWarning as ClientTruncationWarning
from bertfeat_server.access.keys import KeyRing
from bertfeat_server.config import ServerConfig
from bertfeat_server.http.app import App
from bertfeat_server.http.guard import Guard
from bertfeat_server.http.patience import Patience
from bertfeat_server.logs import set_up
from bertfeat_server.parent import Parent

BACKLOG = 512
KEEP_ALIVE_S = 75
GOODBYE_S = 2
logger = logging.getLogger(__name__)


def main(parent: Parent) -> None:
    """Serve HTTP for a supervisor."""
    settings = parent.settings
    config = ServerConfig.from_dict(settings["config"])
    set_up(config)
    for kind in (TruncationWarning, ClientTruncationWarning):
        warnings.simplefilter("ignore", kind)  # rows tell it
    try:
        keys = KeyRing.of(config)
        listener = listen(config.host, config.http or 0)
    except (BertFeatError, OSError) as error:
        parent.tell("failed", reason=f"HTTP cannot be served: {error}")
        return
    asyncio.run(_serve(parent, config, keys, listener))


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket, whose connections send at once what they are given.

    Raises:
        OSError: the port is taken, or the address is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise OSError(
            f"port {port} of {host}: {error.strerror}; --http-port chooses another"
        ) from None
    # asyncio would only do it for sockets that were made with the protocol's number: without it
    # the body of an answer waits until the caller's machine has confirmed the head, 40 ms later
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def reload(app: App, told: Mapping[str, Any]) -> None:
    """Go by other settings from now on; keys that cannot be read stay as they are."""
    config = ServerConfig.from_dict(told)
    set_up(config)
    app.client.timeout_s = config.default_timeout_s
    try:
        app.guard.keys = KeyRing.of(config)
    except BertFeatError as error:
        logger.error("the keys stay as they are: %s", error)


async def _serve(
    parent: Parent, config: ServerConfig, keys: KeyRing | None, listener: socket.socket
) -> None:
    frontend, token = parent.settings["frontend"], parent.settings["token"]
    async with AsyncClient(
        frontend, timeout_s=config.default_timeout_s, header={"token": token}
    ) as client:
        app = App(client, Guard(config, config.host, keys))
        server = uvicorn.Server(uvicorn.Config(
            app.starlette(), log_config=None, access_log=False, lifespan="off", server_header=False,
            limit_concurrency=config.http_max_connections, timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GOODBYE_S,
        ))  # fmt: skip
        loop = asyncio.get_running_loop()

        def let_go() -> None:
            loop.call_soon_threadsafe(setattr, server, "should_exit", True)

        def obey(command: Mapping[str, Any]) -> None:
            if command["command"] == "reload":
                loop.call_soon_threadsafe(reload, app, command["config"])

        parent.watch(obey, let_go)
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        parent.tell("ready", http=f"http://{shown}:{port}")
        watching = asyncio.create_task(Patience(server.server_state.connections).watch())
        await server.serve(sockets=[listener])
        watching.cancel()
