"""A transport without sockets: a function plays the server, and time passes only when awaited.

It is for tests.  Messages go through the same frames as over ZeroMQ, so nothing that the protocol
cannot carry gets through here either.
"""

import heapq
import itertools
from collections.abc import Callable, Iterable
from typing import Any

from bertfeat_client.errors import ClientClosed
from bertfeat_client.protocol import Message, decode_message, encode_message
from bertfeat_client.transport import Frames, Waiter

Handler = Callable[[Message], Iterable["Message | Later | Frames"]]
"""Takes a request and returns what the server sends now: replies to it, to others, or none."""


class Later:
    """A reply that arrives after some seconds of the transport's own time."""

    def __init__(self, seconds: float, reply: "Message | Frames") -> None:
        self.seconds, self.reply = seconds, reply


class InProcess:
    """Opens channels to a function.

    Attributes:
        time: seconds; moves on when a channel waits.
        connection: number of the present connection, None after :meth:`disconnect`.
    """

    def __init__(self, handler: Handler, endpoint: str = "in-process") -> None:
        self.handler, self.endpoint = handler, endpoint
        self.time = 0.0
        self.connection: int | None = 0
        self.channels: list[InProcessChannel] = []
        self.closed = False

    def open(self, *, asynchronous: bool) -> "InProcessChannel":
        """Open a channel; both kinds are the same, since nothing here ever blocks."""
        self.channels.append(InProcessChannel(self))
        return self.channels[-1]

    def close(self) -> None:
        """Take note that the client was closed."""
        self.closed = True

    def disconnect(self) -> None:
        """Break the connection: replies under way are lost."""
        self.connection = None
        for channel in self.channels:
            channel.lose()

    def connect(self, number: int) -> None:
        """Let the server come back."""
        self.connection = number


class InProcessChannel:
    """A line to the function; ``wait`` moves the transport's time instead of waiting."""

    def __init__(self, transport: InProcess) -> None:
        self.on_arrival: Callable[[], None] = lambda: None
        self.problem = "it was disconnected"
        self._transport = transport
        self._queue: list[tuple[float, int, Frames]] = []
        self._order = itertools.count()
        self._closed = False

    @property
    def connection(self) -> int | None:
        """The transport's connection."""
        return self._transport.connection

    def now(self) -> float:
        """Return the transport's time."""
        return self._transport.time

    def send(self, frames: Frames) -> int | None:
        """Hand a message to the function and queue what it answers."""
        self._check_open()
        connection = self.connection
        if connection is None:
            return None
        for answer in self._transport.handler(decode_message([bytes(frame) for frame in frames])):
            self._put(answer, self._transport.time)
        return connection

    def receive(self) -> Frames | None:
        """Return the next answer whose time has come."""
        self._check_open()
        if self._queue and self._queue[0][0] <= self._transport.time:
            return heapq.heappop(self._queue)[2]
        return None

    async def wait(self, waiter: Waiter, seconds: float) -> None:
        """Let time pass up to the next answer, at most so many seconds."""
        until = self._transport.time + seconds
        self._transport.time = min([until, *(at for at, _, _ in self._queue[:1])])

    def close(self) -> None:
        """Refuse all that comes after."""
        self._closed = True

    def lose(self) -> None:
        """Forget the answers under way."""
        self._queue.clear()

    def _put(self, answer: Any, at: float) -> None:
        if isinstance(answer, Later):
            answer, at = answer.reply, at + answer.seconds
        frames = encode_message(answer) if isinstance(answer, Message) else answer
        heapq.heappush(self._queue, (at, next(self._order), [bytes(frame) for frame in frames]))

    def _check_open(self) -> None:
        if self._closed:
            raise ClientClosed("the client was closed; make another")
