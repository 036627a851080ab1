"""How ZeroMQ's sockets and contexts come to their end, also when nobody closes them."""

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

import zmq

LINGER_MS = 200
END_S = 2.0


def when_gone(owner: object, end: Callable[..., None], *what: Any) -> "weakref.finalize[Any, Any]":
    """Let an owner that nobody closed take its sockets along, but not at the interpreter's end."""
    finalizer = weakref.finalize(owner, end, *what)
    finalizer.atexit = False
    return finalizer


def end_context(context: "zmq.Context[zmq.Socket[bytes]]", pid: int) -> None:
    """Terminate a context, but wait for no socket that a signal cut off while it was made."""
    if os.getpid() == pid:
        ending = threading.Thread(target=context.destroy, args=(LINGER_MS,), daemon=True)
        ending.start()
        ending.join(END_S)


def close_socket(socket: "zmq.Socket[bytes]", monitor: "zmq.Socket[bytes]", pid: int) -> None:
    """Close a socket and its monitor; in a forked process they are the parent's."""
    if os.getpid() == pid and not socket.closed:
        socket.disable_monitor()
        monitor.close(0)
        socket.close()
