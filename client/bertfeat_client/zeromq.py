"""The ZeroMQ transport: every channel is a DEALER socket and the monitor that watches it.

``ZMQ_IMMEDIATE`` keeps ZeroMQ from queueing for a server that is not there, and the monitor tells
when a connection broke, so that the requests which were under way can be sent again.
"""

import asyncio
import itertools
import math
import os
import struct
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import zmq

from bertfeat_client.errors import ClientClosed, TransportError
from bertfeat_client.transport import Channel, Frames, Waiter

LINGER_MS = 200
HEARTBEAT_MS = 5_000
HEARTBEAT_TIMEOUT_MS = 15_000
RECONNECT_MS, RECONNECT_MAX_MS = 50, 1_000
SLICE_S = 0.25
"""A blocking wait lasts no longer at a time, so that another thread can close the channel."""
SLICE_UNWATCHED_S = 0.002
POLLIN, POLLOUT = int(zmq.POLLIN), int(zmq.POLLOUT)
EVENTS = zmq.EVENT_CONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED

_numbers = itertools.count()


class ZeroMQ:
    """Opens DEALER sockets to one endpoint; a process forked off gets a context of its own."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._pid = -1

    def open(self, *, asynchronous: bool) -> Channel:
        """Connect another socket; the connection comes about in the background."""
        if self._context is None or self._pid != os.getpid():
            self._context, self._pid = zmq.Context(), os.getpid()
            self._context.set(zmq.MAX_SOCKETS, 65_000)
            _when_gone(self, _end, self._context, self._pid)
        return (AsyncDealer if asynchronous else Dealer)(self._context, self.endpoint)

    def close(self) -> None:
        """Terminate the context; the sockets are closed before."""
        context, self._context = self._context, None
        if context is not None:
            _end(context, self._pid)

    def __reduce__(self) -> tuple[type["ZeroMQ"], tuple[str]]:
        return type(self), (self.endpoint,)


class Dealer:
    """A channel whose ``wait`` blocks the thread."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str) -> None:
        self.connection: int | None = None
        self.problem = "is the server running there?"
        self.on_arrival: Callable[[], None] = lambda: None
        self._lock, self._is_closing = threading.RLock(), False
        self._socket = socket = context.socket(zmq.DEALER)
        self._monitor = socket.get_monitor_socket(EVENTS, f"inproc://monitor-{next(_numbers)}")
        self._finalizer = _when_gone(self, _close, socket, self._monitor, os.getpid())
        socket.linger, socket.immediate = LINGER_MS, True
        # only for literal addresses: with it, "localhost" would not find a server on 127.0.0.1
        socket.ipv6 = "[" in endpoint
        socket.sndhwm = socket.rcvhwm = 0
        socket.reconnect_ivl, socket.reconnect_ivl_max = RECONNECT_MS, RECONNECT_MAX_MS
        socket.heartbeat_ivl, socket.heartbeat_timeout = HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            self._finalizer()
            raise TransportError(f"cannot connect to {endpoint!r}: {error}") from error

    def now(self) -> float:
        """Return the monotonic clock's time in seconds."""
        return time.monotonic()

    def send(self, frames: Frames) -> int | None:
        """Send a message if there is a connection."""
        with self._using() as socket:
            self._read_events()
            if self.connection is None or not _events(socket) & POLLOUT:
                return None
            try:
                socket.send_multipart(frames, zmq.NOBLOCK)
            except zmq.Again:
                return None
            return self.connection

    def receive(self) -> Frames | None:
        """Return the next message, or None."""
        with self._using():
            frames = self._take()
            if frames is None and self._read_events():
                # an answer may have come just before the connection broke
                frames = self._take()
            return frames

    async def wait(self, waiter: Waiter, seconds: float) -> None:
        """Block until a message or a change of the connection comes."""
        slice_ms = math.ceil(max(0.0, min(seconds, SLICE_S)) * 1000)
        with self._using() as socket:
            zmq.zmq_poll([(socket, zmq.POLLIN), (self._monitor, zmq.POLLIN)], slice_ms)

    def close(self) -> None:
        """Close the sockets once no other thread is using them."""
        self._is_closing = True
        with self._lock:
            self._finalizer()

    @contextmanager
    def _using(self) -> "Iterator[zmq.Socket[bytes]]":
        with self._lock:
            if self._is_closing:
                raise ClientClosed("the client was closed; make another")
            try:
                yield self._socket
            except zmq.ZMQError as error:
                raise TransportError(f"the connection failed: {error}") from error

    def _take(self) -> Frames | None:
        if not _events(self._socket) & POLLIN:
            return None
        return self._socket.recv_multipart(zmq.NOBLOCK, copy=False)

    def _read_events(self) -> bool:
        """Take note of what the monitor saw; True if it saw anything."""
        seen = False
        while _events(self._monitor) & POLLIN:
            seen = True
            (event, _) = struct.unpack("=hi", self._monitor.recv_multipart()[0])
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.connection = next(_numbers)
                self.problem = "the connection broke and did not come back"
            elif event == zmq.EVENT_DISCONNECTED:
                self.connection = None
            elif self.connection is None:
                self.problem = "something listens there, but not a bertfeat server"
        return seen


class AsyncDealer(Dealer):
    """A channel whose ``wait`` suspends in the event loop that it was opened in."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str) -> None:
        super().__init__(context, endpoint)
        self._loop = asyncio.get_running_loop()
        self._descriptors = [self._socket.fileno(), self._monitor.fileno()]
        self._watched = True
        try:
            for descriptor in self._descriptors:
                self._loop.add_reader(descriptor, self._arrived)
        except NotImplementedError:  # the default loop of Windows watches no sockets
            self._watched = False

    async def wait(self, waiter: Waiter, seconds: float) -> None:
        """Suspend until the waiter is woken; ``on_arrival`` wakes those who are concerned."""
        if not self._watched:
            seconds = min(seconds, SLICE_UNWATCHED_S)
        future = self._loop.create_future()
        waiter.wake = lambda: None if future.done() else future.set_result(None)
        timer = self._loop.call_later(seconds, waiter.wake)
        try:
            await future
        finally:
            timer.cancel()

    def close(self) -> None:
        """Leave the loop and close the sockets."""
        if self._watched and not self._loop.is_closed():
            for descriptor in self._descriptors:
                self._loop.remove_reader(descriptor)
        self._watched = False
        super().close()

    def _arrived(self) -> None:
        self.on_arrival()


def _events(socket: "zmq.Socket[bytes]") -> int:
    return int(socket.get(zmq.EVENTS))


def _when_gone(owner: object, end: Callable[..., None], *what: Any) -> "weakref.finalize[Any, Any]":
    """Let an owner that nobody closed take its sockets along, but not at the interpreter's end."""
    finalizer = weakref.finalize(owner, end, *what)
    finalizer.atexit = False
    return finalizer


def _end(context: "zmq.Context[zmq.Socket[bytes]]", pid: int) -> None:
    if os.getpid() == pid:
        context.destroy(LINGER_MS)


def _close(socket: "zmq.Socket[bytes]", monitor: "zmq.Socket[bytes]", pid: int) -> None:
    # in a forked process they are the parent's
    if os.getpid() == pid and not socket.closed:
        socket.disable_monitor()
        monitor.close(0)
        socket.close()
