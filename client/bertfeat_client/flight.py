"""The requests of one call on their way: what to send, when to send it again, when to give up.

Pure state: no sockets, and the time is an argument.
"""

import math
import random
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bertfeat_client.errors import (
    ClientError,
    ConnectionLost,
    Overloaded,
    ServerError,
    ShuttingDown,
    from_wire,
)
from bertfeat_client.protocol import Message, encode_message
from bertfeat_client.transport import Frames, Waiter

NOT_TWICE = frozenset({"index_delete", "stop"})
"""Operations that are not sent again when nobody knows whether they were done."""
NOT_AGAIN = frozenset({"stop"})
"""Operations that are not tried again even if they were refused."""
FIRST_RETRY_S, LAST_RETRY_S = 0.1, 5.0
MAX_TIMEOUT_MS = 86_400_000


@dataclass(eq=False)
class Request:
    """One request until its outcome is known.

    Attributes:
        message: header (``op``, ``model``, ``options`` …) and items.
        sent_on: the connection it went out on, None if it is to be sent.
        not_before: time of the next attempt, after a refusal.
        refusal: what the server said when it last refused.
        outcome: the reply, or the error that ended it.
    """

    message: Message
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    sent_on: int | None = None
    not_before: float = -math.inf
    attempts: int = 0
    refusal: ServerError | None = None
    outcome: Message | ClientError | None = None

    @property
    def op(self) -> str:
        """The operation's name."""
        return str(self.message.header["op"])

    def frames(self, timeout_s: float) -> Frames:
        """Return what to send, with the time that is left."""
        timeout_ms = int(min(max(timeout_s * 1000, 1), MAX_TIMEOUT_MS))
        header = self.message.header | {"id": self.id, "timeout_ms": timeout_ms}
        return encode_message(Message(header, self.message.items))

    def is_due(self, now: float) -> bool:
        """Whether to send it now."""
        return self.outcome is None and self.sent_on is None and now >= self.not_before

    def note_connection(self, connection: int | None) -> None:
        """Take note that there is another connection or none: what was sent may be lost."""
        if self.outcome is not None or self.sent_on in (None, connection):
            return
        self.sent_on = None
        if self.op in NOT_TWICE:
            self.outcome = ConnectionLost(
                f"the connection broke while {self.op} was under way (request {self.id}); it may "
                "or may not have been done: look before you call again"
            )

    def answer(self, reply: Message, now: float, deadline: float, jitter: float) -> None:
        """Take the server's reply; a refusal is tried again if there is time for it.

        Args:
            jitter: 0 … 1, lengthens the pause by up to a half, so that callers do not come back
                all at once.
        """
        if reply.header.get("status") == "ok":
            self.outcome = reply
            return
        error = from_wire(reply.header.get("error"), self.id)
        self.attempts += 1
        pause_s = error.retry_after_s
        if pause_s is None:
            pause_s = min(FIRST_RETRY_S * 2 ** (self.attempts - 1), LAST_RETRY_S)
        again_at = now + max(pause_s, 0) * (1 + jitter / 2)
        is_refusal = isinstance(error, Overloaded | ShuttingDown) and self.op not in NOT_AGAIN
        if not is_refusal or again_at >= deadline:
            self.outcome = error
            return
        self.sent_on, self.not_before, self.refusal = None, again_at, error


class Flight(Waiter):
    """The requests of one call that are under way, oldest first.

    Attributes:
        deadline: time at which the call gives up.
        timeout_s: the seconds that it had.
        jitter: returns a random number, 0 … 1.
    """

    def __init__(
        self, deadline: float, timeout_s: float, jitter: Callable[[], float] = random.random
    ) -> None:
        super().__init__()
        self.deadline, self.timeout_s, self.jitter = deadline, timeout_s, jitter
        self.requests: deque[Request] = deque()

    @property
    def is_ready(self) -> bool:
        """Whether the oldest request has its outcome."""
        return bool(self.requests) and self.requests[0].outcome is not None

    def due(self, now: float) -> list[Request]:
        """Return the requests to send now."""
        return [request for request in self.requests if request.is_due(now)]

    def next_event(self, now: float) -> float:
        """Return when to look again even if nothing arrives: a retry or the deadline."""
        retries = [request.not_before for request in self.requests if request.not_before > now]
        return min([self.deadline, *retries])
