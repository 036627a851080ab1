"""Which line a caller uses: one for each thread or event loop, fresh ones after a fork."""

import asyncio
import os
import threading

from bertfeat_client.errors import ClientClosed
from bertfeat_client.line import Line
from bertfeat_client.transport import Transport


class Lines:
    """The lines of one client object.

    Args:
        transport: opens the channels.
        asynchronous: whether callers are event loops or threads.
    """

    def __init__(self, transport: Transport, *, asynchronous: bool) -> None:
        self._transport, self._asynchronous = transport, asynchronous
        self._closed = False
        self._start()

    def here(self) -> Line:
        """Return the line of the running event loop or thread, opening it if need be.

        Raises:
            ClientClosed: the client object was closed.
        """
        if self._pid != os.getpid():
            self._start()
        owner = asyncio.get_running_loop() if self._asynchronous else threading.current_thread()
        line = self._lines.get(owner)
        return line if line is not None else self._open(owner)

    def close(self) -> None:
        """Close all lines and what they share; calls that are under way end with an error."""
        if self._pid != os.getpid():
            self._start()
        with self._lock:
            self._closed = True
            for line in self._lines.values():
                line.close()
            self._lines.clear()
            self._transport.close()

    def _start(self) -> None:
        self._pid, self._lock = os.getpid(), threading.Lock()
        self._lines: dict[asyncio.AbstractEventLoop | threading.Thread, Line] = {}

    def _open(self, owner: asyncio.AbstractEventLoop | threading.Thread) -> Line:
        with self._lock:
            if self._closed:
                raise ClientClosed("the client was closed; make another")
            for other in [other for other in self._lines if _is_gone(other)]:
                self._lines.pop(other).close()
            channel = self._transport.open(asynchronous=self._asynchronous)
            line = self._lines[owner] = Line(channel, self._transport.endpoint)
            return line


def _is_gone(owner: asyncio.AbstractEventLoop | threading.Thread) -> bool:
    if isinstance(owner, threading.Thread):
        return not owner.is_alive()
    return owner.is_closed()
