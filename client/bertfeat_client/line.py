"""A channel and the calls on it: gives each reply to its request and waits for outcomes.

The coroutines here await nothing but the channel.  On a blocking channel they never suspend, so
the same code serves :class:`~bertfeat_client.Client` and :class:`~bertfeat_client.AsyncClient`.
"""

import asyncio
from contextlib import suppress
from typing import Any

from bertfeat_client.errors import (
    ClientClosed,
    ClientError,
    ConnectTimeout,
    ProtocolError,
    ReplyTimeout,
    TransportError,
    from_wire,
)
from bertfeat_client.flight import Flight, Request
from bertfeat_client.protocol import Message, decode_header, decode_message, encode_message
from bertfeat_client.transport import Channel, Frames


class Line:
    """One thread's or event loop's line to the server.

    Attributes:
        info: what the server says of itself, None when unknown or of an earlier connection.
        info_lock: held by whoever is asking for it.
    """

    def __init__(self, channel: Channel, endpoint: str) -> None:
        self.endpoint = endpoint
        self.info: dict[str, Any] | None = None
        self.info_lock = asyncio.Lock()
        self._channel = channel
        self._connection = channel.connection
        self._was_heard = False
        self._open: dict[str, tuple[Request, Flight]] = {}
        channel.on_arrival = self._on_arrival

    def now(self) -> float:
        """Return the channel's time."""
        return self._channel.now()

    def start(self, message: Message, flight: Flight) -> None:
        """Add a request to a flight and send it if that can be done at once."""
        request = Request(message)
        flight.requests.append(request)
        self._open[request.id] = request, flight
        self._pump(flight)

    async def settle(self, flight: Flight) -> Message:
        """Wait for the oldest request of a flight and return its reply.

        Raises:
            ClientError: it failed, or the flight's deadline passed.
        """
        request = flight.requests[0]
        while request.outcome is None:
            now = self.now()
            if flight.due(now):
                self._pump(flight)
            if request.outcome is None:
                await self._wait(request, flight, now)
        del self._open[flight.requests.popleft().id]
        if isinstance(request.outcome, ClientError):
            raise request.outcome
        return request.outcome

    def abandon(self, flight: Flight) -> None:
        """Forget what is left of a flight and tell the server, which may drop it then."""
        while flight.requests:
            request = flight.requests.popleft()
            del self._open[request.id]
            if request.outcome is None and request.sent_on is not None:
                self._cancel(request)

    def close(self) -> None:
        """Close the channel; calls that are waiting end with ``ClientClosed``."""
        self._channel.close()
        self._end_all(ClientClosed("the client was closed while a call was under way"))

    async def _wait(self, request: Request, flight: Flight, now: float) -> None:
        """Wait for something to arrive, and take it unless whoever watches the channel has."""
        if now >= flight.deadline:
            raise self._expired(request, flight)
        await self._channel.wait(flight, flight.next_event(now) - now)
        if request.outcome is None:
            self._take_arrived()

    def _pump(self, flight: Flight) -> None:
        """Send what is due and take what arrived, until there is nothing left to do at once."""
        while True:
            connection, now = self._connection, self.now()
            for request in flight.due(now):
                request.sent_on = self._channel.send(request.frames(flight.deadline - now))
            # sending may hide an arrival, or a new connection, from whoever watches the channel
            self._take_arrived()
            if self._connection == connection:
                return

    def _on_arrival(self) -> None:
        """Take what arrived, in an event loop's callback, which must not raise."""
        try:
            self._take_arrived()
        except TransportError as error:
            self._end_all(error)

    def _take_arrived(self) -> None:
        while (frames := self._channel.receive()) is not None:
            self._dispatch(frames)
        if self._channel.connection != self._connection:
            self._connection, self.info = self._channel.connection, None
            for request, flight in self._open.values():
                request.note_connection(self._connection)
                flight.wake()

    def _dispatch(self, frames: Frames) -> None:
        try:
            reply = decode_message(frames)
        except ProtocolError as error:
            self._refuse(frames, error)
            return
        self._was_heard = True
        request_id = reply.header.get("id")
        if not request_id:
            self._end_all(from_wire(reply.header.get("error")))
        elif request_id in self._open:
            request, flight = self._open[request_id]
            request.answer(reply, self.now(), flight.deadline, flight.jitter())
            flight.wake()

    def _refuse(self, frames: Frames, error: ProtocolError) -> None:
        """End the request that a broken reply belongs to; all if that cannot be told."""
        try:
            request, flight = self._open[decode_header(frames[0])["id"]]
        except (ProtocolError, LookupError, TypeError):
            self._end_all(error)
        else:
            request.outcome = error
            flight.wake()

    def _end_all(self, error: ClientError) -> None:
        for request, flight in list(self._open.values()):
            request.outcome = request.outcome or error
            flight.wake()

    def _cancel(self, request: Request) -> None:
        # whoever closed the channel has dropped the request too
        with suppress(TransportError):
            self._channel.send(encode_message(Message({"op": "cancel", "id": request.id})))
        self._on_arrival()  # which sending may hide

    def _expired(self, request: Request, flight: Flight) -> ClientError:
        if request.refusal is not None:
            return request.refusal
        within = f"within {flight.timeout_s:g} s"
        if self._channel.connection is None or not self._was_heard:
            is_silent = self._channel.connection is not None
            problem = "what listens there stays silent" if is_silent else self._channel.problem
            return ConnectTimeout(f"no server answered at {self.endpoint} {within}: {problem}")
        return ReplyTimeout(
            f"the server at {self.endpoint} did not answer {request.op} {within} (request "
            f"{request.id}); send fewer texts in one call or give the client a longer timeout_s"
        )
