"""The private socket between a server's processes, and the files of ipc sockets."""

import os
import socket
from pathlib import Path

import zmq

from bertfeat.errors import ConfigError
from bertfeat_server.config import ServerConfig
from bertfeat_server.runfile import backend_path, door_path

LONGEST_PATH = 100


def backend_endpoint() -> str:
    """Return where the broker listens for its workers: an ipc socket where there can be one."""
    return _ipc(backend_path(os.getpid())) or "tcp://127.0.0.1:*"


def side_door(config: ServerConfig) -> str:
    """Return where a server that encrypts listens for its owner's processes, empty if it does not.

    The file lies in the runtime folder, which is closed to everybody else.

    Raises:
        ConfigError: there can be no such socket here.
    """
    if not config.curve_secret_key_file:
        return ""
    path = door_path(os.getpid())
    if endpoint := _ipc(path):
        return endpoint
    raise ConfigError(
        f"encryption needs an ipc socket for the server's own processes, and {path} cannot be one: "
        f"its path may have {LONGEST_PATH} bytes; let XDG_RUNTIME_DIR name a shorter folder"
    )


def _ipc(path: Path) -> str:
    short = len(os.fsencode(path)) <= LONGEST_PATH
    return f"ipc://{path}" if zmq.has("ipc") and short else ""


def is_taken(endpoint: str) -> bool:
    """Say whether somebody listens on an ipc path, which ZeroMQ would take over without a word."""
    path = endpoint.removeprefix("ipc://")
    if path == endpoint or not Path(path).exists():
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def remove_socket(endpoint: str) -> None:
    """Remove the file of an ipc endpoint, if there is one."""
    path = endpoint.removeprefix("ipc://")
    if path != endpoint:
        Path(path).unlink(missing_ok=True)
