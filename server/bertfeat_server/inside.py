"""A client's transport for processes of the server itself: each request shows the server's token.

What such a process asks for serves a request that was let in already, so the broker takes it also
while it drains.
"""

from collections.abc import Callable

from bertfeat_client.protocol import decode_message, encode_message
from bertfeat_client.transport import Channel, Frames, Waiter
from bertfeat_client.zeromq import ZeroMQ


class Inside(ZeroMQ):
    """Opens channels that show a token.

    Args:
        endpoint: the broker's endpoint for clients.
        token: the server's.
    """

    def __init__(self, endpoint: str, token: str) -> None:
        super().__init__(endpoint)
        self._token = token

    def open(self, *, asynchronous: bool) -> Channel:
        """Connect another socket."""
        return WithToken(super().open(asynchronous=asynchronous), self._token)


class WithToken:
    """A channel that adds a token to what is sent."""

    def __init__(self, channel: Channel, token: str) -> None:
        self._channel, self._token = channel, token
        self.now, self.receive = channel.now, channel.receive
        self.close = channel.close

    @property
    def on_arrival(self) -> Callable[[], None]:
        """Called, where a loop watches the channel, when something may have arrived."""
        return self._channel.on_arrival

    @on_arrival.setter
    def on_arrival(self, call: Callable[[], None]) -> None:
        self._channel.on_arrival = call

    @property
    def connection(self) -> int | None:
        """Number of the present connection."""
        return self._channel.connection

    @property
    def problem(self) -> str:
        """Why there is no connection."""
        return self._channel.problem

    def send(self, frames: Frames) -> int | None:
        """Send a message with the token in its header."""
        message = decode_message(frames)
        message.header["token"] = self._token
        return self._channel.send(encode_message(message))

    async def wait(self, waiter: Waiter, seconds: float) -> None:
        """Return when something may have happened."""
        await self._channel.wait(waiter, seconds)
