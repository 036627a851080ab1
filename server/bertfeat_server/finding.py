"""Which running server a command means, and what is shown to it: options and run files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from bertfeat_client.curve import Curve
from bertfeat_client.errors import ConnectTimeout, Forbidden
from bertfeat_server.ask import ask, port_of, reachable
from bertfeat_server.runfile import RunFile, running

EVERYWHERE = ("*", "0.0.0.0", "::")
YOURS = "your only server on this machine"
Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Access:
    """A running server as a command reaches it.

    Attributes:
        server: the server; its ``door`` is where to ask it.
        token: the admin token, if it is known.
        api_key: one of the server's keys, if it asks for one.
        curve: keys of an encrypted connection; those of one's own on this machine are not.
    """

    server: RunFile
    token: str
    api_key: str
    curve: Curve | None

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """Return what the server answers; raises as :func:`bertfeat_server.ask.ask` does."""
        return ask(
            self.server.door, op, token=self.token, api_key=self.api_key, curve=self.curve, **fields
        )


def access(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a command with the options that reach a server; it gets ``access`` instead."""

    @wraps(command)
    def run(
        *args: Any, endpoint: str, port: int | None, token: str, api_key: str,
        curve: tuple[str, str] | None, **options: Any,
    ) -> Any:  # fmt: skip
        server = find(endpoint, port)
        keys = Curve.read(*curve) if curve and not server.pid else None
        reached = Access(server, token or server.token, api_key, keys)
        return command(*args, access=reached, **options)

    for option in (
        click.option(
            "--curve", nargs=2, type=click.Path(), metavar="SERVER.key ME.key_secret",
            show_default="no encryption", help="Keys of an encrypted server elsewhere.",
        ),
        click.option(
            "--api-key", envvar="BERTFEAT_API_KEY", default="", show_default="none",
            help="Shown to it.",
        ),
        click.option(
            "--token", envvar="BERTFEAT_SERVE_TOKEN", default="", show_default="the run file's",
            help="Admin token of a server on another machine.",
        ),
    ):  # fmt: skip
        run = option(run)
    return address(run)


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
