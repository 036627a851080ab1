"""The ZeroMQ transport: every channel is a DEALER socket and the monitor that watches it.

The monitor tells when there is a connection and when it broke, so that nothing is queued for a
server that is not there and the requests which were under way can be sent again.  A socket serves
for one connection: what a broken one has received is read, what it still had to send goes with it.
``ZMQ_IMMEDIATE`` would do the second but not the first: it throws away what nobody has read yet.
"""

import asyncio
import itertools
import math
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import zmq

from bertfeat_client.curve import Curve
from bertfeat_client.endings import LINGER_MS, close_socket, end_context, when_gone
from bertfeat_client.errors import ClientClosed, TransportError
from bertfeat_client.transport import Channel, Frames, Waiter

HEARTBEAT_MS = 5_000
HEARTBEAT_TIMEOUT_MS = 15_000
RECONNECT_MS, RECONNECT_MAX_MS = 50, 1_000
SLICE_S = 0.25
"""A blocking wait lasts no longer at a time, so that another thread can close the channel."""
SLICE_UNWATCHED_S = 0.002
POLLIN = int(zmq.POLLIN)
EVENTS = zmq.EVENT_CONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED

NO_SERVER = "something listens there, but not a bertfeat server, or one that wants keys (curve=)"
NO_KEY = "something listens there, but not a server with this key, or one that refuses yours"
_numbers = itertools.count()


class ZeroMQ:
    """Opens DEALER sockets to one endpoint; a process forked off gets a context of its own.

    Args:
        endpoint: the server's.
        curve: keys of an encrypted connection.
    """

    def __init__(self, endpoint: str, curve: Curve | None = None) -> None:
        self.endpoint, self._curve = endpoint, curve
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._pid = -1
        self._finalizer: Callable[[], Any] = lambda: None

    def open(self, *, asynchronous: bool) -> Channel:
        """Connect another socket; the connection comes about in the background."""
        if self._context is None or self._pid != os.getpid():
            self._context, self._pid = zmq.Context(), os.getpid()
            self._context.set(zmq.MAX_SOCKETS, 65_000)
            self._finalizer = when_gone(self, end_context, self._context, self._pid)
        kind = AsyncDealer if asynchronous else Dealer
        return kind(self._context, self.endpoint, self._curve)

    def close(self) -> None:
        """Terminate the context; the sockets are closed before."""
        self._context = None
        self._finalizer()

    def __reduce__(self) -> tuple[type["ZeroMQ"], tuple[Any, ...]]:
        return type(self), (self.endpoint, self._curve)


class Dealer:
    """A channel whose ``wait`` blocks the thread."""

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, curve: Curve | None
    ) -> None:
        self.connection: int | None = None
        self.problem = "is the server running there?"
        self.on_arrival: Callable[[], None] = lambda: None
        self._lock, self._is_closing, self._is_broken = threading.RLock(), False, False
        self._context, self._endpoint, self._curve = context, endpoint, curve
        self._connect()

    def now(self) -> float:
        """Return the monotonic clock's time in seconds."""
        return time.monotonic()

    def send(self, frames: Frames) -> int | None:
        """Send a message if there is a connection."""
        with self._using() as socket:
            self._read_events()
            if self.connection is None:
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
            if frames is None and self._is_broken:
                self._reconnect()
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

    def _connect(self) -> None:
        """Open a socket, which connects in the background."""
        socket = self._context.socket(zmq.DEALER)
        monitor = _monitor(self._context, socket)
        finalizer = when_gone(self, close_socket, socket, monitor, os.getpid())
        socket.linger = LINGER_MS
        # only for literal addresses: with it, "localhost" would not find a server on 127.0.0.1
        socket.ipv6 = "[" in self._endpoint
        socket.sndhwm = socket.rcvhwm = 0
        socket.reconnect_ivl, socket.reconnect_ivl_max = RECONNECT_MS, RECONNECT_MAX_MS
        socket.heartbeat_ivl, socket.heartbeat_timeout = HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS
        try:
            if self._curve is not None:
                self._curve.put_on(socket)
            socket.connect(self._endpoint)
        except zmq.ZMQError as error:
            finalizer()
            raise TransportError(f"cannot connect to {self._endpoint!r}: {error}") from error
        self._socket, self._monitor, self._finalizer = socket, monitor, finalizer

    def _reconnect(self) -> None:
        """Take a fresh socket in place of the one whose connection broke."""
        broken, close = self._socket, self._finalizer
        self._connect()
        broken.linger = 0
        close()
        self._is_broken = False

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
        """Take note of what the monitor saw up to a break; True if it saw anything."""
        seen = False
        while not self._is_broken and _events(self._monitor) & POLLIN:
            seen = True
            (event, _) = struct.unpack("=hi", self._monitor.recv_multipart()[0])
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.connection = next(_numbers)
                self.problem = "the connection broke and did not come back"
            elif event == zmq.EVENT_DISCONNECTED:
                self._is_broken, self.connection = self.connection is not None, None
            elif self.connection is None:
                self.problem = NO_SERVER if self._curve is None else NO_KEY
        return seen


class AsyncDealer(Dealer):
    """A channel whose ``wait`` suspends in the event loop that it was opened in."""

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, curve: Curve | None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._descriptors: list[int] = []
        self._watched = True
        super().__init__(context, endpoint, curve)

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
        self._unwatch()
        self._watched = False
        super().close()

    def _connect(self) -> None:
        super()._connect()
        self._unwatch()
        self._descriptors = [self._socket.fileno(), self._monitor.fileno()]
        try:
            for descriptor in self._descriptors:
                self._loop.add_reader(descriptor, self._arrived)
        except NotImplementedError:  # the default loop of Windows watches no sockets
            self._watched = False

    def _unwatch(self) -> None:
        if self._watched and not self._loop.is_closed():
            for descriptor in self._descriptors:
                self._loop.remove_reader(descriptor)

    def _arrived(self) -> None:
        self.on_arrival()


def _monitor(
    context: "zmq.Context[zmq.Socket[bytes]]", socket: "zmq.Socket[bytes]"
) -> "zmq.Socket[bytes]":
    """Return a socket that tells what becomes of another one's connections."""
    monitor = context.socket(zmq.PAIR)
    # nobody looks between calls, and ZeroMQ's thread would wait until there is room again
    monitor.rcvhwm = 0
    endpoint = f"inproc://monitor-{next(_numbers)}"
    socket.monitor(endpoint, EVENTS)
    monitor.connect(endpoint)
    return monitor


def _events(socket: "zmq.Socket[bytes]") -> int:
    return int(socket.get(zmq.EVENTS))
