"""How frames reach the server: the one seam between the client's logic and any socket.

A transport opens channels, one for each thread or event loop.  It moves frames and tells whether
there is a connection; requests, deadlines and retries are no concern of it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

Frames = Sequence[Any]
"""Frames of one message: bytes, memoryviews or ``zmq.Frame``."""


class Waiter:
    """Whoever waits on a channel; calling ``wake`` ends the wait."""

    def __init__(self) -> None:
        self.wake: Callable[[], None] = lambda: None


class Channel(Protocol):
    """One line to the server.

    Attributes:
        on_arrival: called, where a loop watches the channel, when something may have arrived.
    """

    on_arrival: Callable[[], None]

    @property
    def connection(self) -> int | None:
        """Number of the present connection, if there is one; what was sent on another is lost."""

    @property
    def problem(self) -> str:
        """Why there is no connection, for a person to read."""

    def now(self) -> float:
        """Return the time in seconds by the clock that ``wait`` goes by."""

    def send(self, frames: Frames) -> int | None:
        """Send a message without waiting; return the connection it went out on, None if none."""

    def receive(self) -> Frames | None:
        """Return the next message that has arrived, without waiting, or None."""

    async def wait(self, waiter: Waiter, seconds: float) -> None:
        """Return when something may have happened, at the latest after so many seconds."""

    def close(self) -> None:
        """Give the line up; whoever uses it afterwards gets ``ClientClosed``."""


class Transport(Protocol):
    """Opens channels to one server."""

    endpoint: str

    def open(self, *, asynchronous: bool) -> Channel:
        """Open a channel.

        Args:
            asynchronous: whether ``wait`` suspends in the running event loop or blocks the thread.
        """

    def close(self) -> None:
        """Release what the channels share; the channels are closed before."""
