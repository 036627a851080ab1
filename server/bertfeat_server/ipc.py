"""The private socket between a server's processes, and the files of ipc sockets."""

import os
from pathlib import Path

import zmq

from bertfeat_server.runfile import backend_path

LONGEST_PATH = 100


def backend_endpoint() -> str:
    """Return where the broker listens for its workers: an ipc socket where there can be one."""
    path = backend_path(os.getpid())
    short = len(os.fsencode(path)) <= LONGEST_PATH
    return f"ipc://{path}" if zmq.has("ipc") and short else "tcp://127.0.0.1:*"


def remove_socket(endpoint: str) -> None:
    """Remove the file of an ipc endpoint, if there is one."""
    path = endpoint.removeprefix("ipc://")
    if path != endpoint:
        Path(path).unlink(missing_ok=True)
