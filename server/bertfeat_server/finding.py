"""Which running server a command means: the options that say so, and the run files."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from bertfeat_client.errors import ConnectTimeout, Forbidden
from bertfeat_server.ask import port_of, reachable
from bertfeat_server.runfile import RunFile, running

EVERYWHERE = ("*", "0.0.0.0", "::")
YOURS = "your only server on this machine"
Command = TypeVar("Command", bound=Callable[..., Any])


def address(command: Command) -> Command:
    """Decorate a command with ``--endpoint`` and ``--port``."""
    endpoint = click.option(
        "--endpoint", default="", show_default=YOURS, help="The server's endpoint."
    )
    port = click.option(
        "--port", type=int, show_default=YOURS, help="The server's port on this machine."
    )
    return endpoint(port(command))


def find(endpoint: str, port: int | None) -> RunFile:
    """Return the server that is meant; without arguments the only one of this user here.

    Its ``door`` is where to ask it.

    Raises:
        ConnectTimeout: none runs here.
        UsageError: several do.
    """
    servers = running()
    if not endpoint and port is None:
        if not servers:
            raise ConnectTimeout("no server of yours runs on this machine; give --endpoint")
        if len(servers) > 1:
            listed = "\n".join(f"  --endpoint {s.endpoint}   (pid {s.pid})" for s in servers)
            raise click.UsageError(f"several servers run here; choose one:\n{listed}")
        return _local(servers[0])
    for server in servers:
        if server.endpoint == endpoint or (port and port_of(server.endpoint) == port):
            return _local(server)
    endpoint = endpoint or f"tcp://127.0.0.1:{port}"
    return RunFile(0, endpoint, "", endpoint)


def elsewhere(endpoint: str, config: Mapping[str, Any]) -> str:
    """Return where workers of another machine connect.

    Args:
        endpoint: where the server was reached.
        config: its settings.

    Raises:
        Forbidden: it takes none.
    """
    told = str(config["worker_endpoint"])
    if not told:
        raise Forbidden(
            f"the server at {endpoint} takes workers of its own machine only; start it with "
            "--worker-endpoint tcp://HOST:PORT"
        )
    host, port = urlsplit(told).hostname or "", told.rpartition(":")[2]
    # what listens everywhere is reached where the server was
    return f"tcp://{urlsplit(endpoint).hostname}:{port}" if host in EVERYWHERE else told


def _local(server: RunFile) -> RunFile:
    endpoint = reachable(server.endpoint)
    return RunFile(server.pid, endpoint, server.token, server.door or endpoint)
