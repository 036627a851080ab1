"""Answers on their way to old clients, which listen to a topic of their own.

A publisher throws away what nobody listens to, and what its reader is too slow for: such a client
then waits for ever.  Here an answer waits until its client listens and has room, for a while and
within a bound.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import zmq

PATIENCE_S = 60.0
"""How long an answer waits for a client that does not listen."""
MAX_WAITING_BYTES = 256 * 2**20
"""Bytes of answers that wait; beyond it the oldest are dropped."""
SEND_HIGH_WATER_MARK = 64
"""Answers in ZeroMQ's own queue for one client."""
logger = logging.getLogger(__name__)
Frames = Sequence[Any]


class Mailbox:
    """The publishing socket, and what waits for its listeners.

    Args:
        socket: an XPUB that is bound already.
        now: the clock that patience goes by.
    """

    def __init__(
        self, socket: "zmq.Socket[bytes]", now: Callable[[], float] = time.monotonic
    ) -> None:
        self._socket, self._now = socket, now
        self._listeners: Counter[bytes] = Counter()
        self._waiting: deque[tuple[float, Frames]] = deque()
        self._bytes = 0

    @staticmethod
    def prepare(socket: "zmq.Socket[bytes]") -> None:
        """Set what must be set before the socket is bound: topics are admitted one by one."""
        socket.setsockopt(zmq.XPUB_MANUAL, 1)
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        socket.sndhwm = SEND_HIGH_WATER_MARK

    def __len__(self) -> int:
        return len(self._waiting)

    def post(self, frames: Frames) -> None:
        """Send an answer, at once or later."""
        self.listen()
        if self._listeners[frames[0]] and self._send(frames):
            return
        self._waiting.append((self._now() + PATIENCE_S, frames))
        self._bytes += _size(frames)
        while self._bytes > MAX_WAITING_BYTES:
            self._drop(self._waiting.popleft()[1], "too many answers wait")

    def listen(self) -> None:
        """Take in who began to listen and who went away."""
        while True:
            try:
                message = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            topic, begins = message[1:], message[:1] == b"\x01"
            if not topic:
                continue  # who listens to everything reads the answers of others
            self._socket.setsockopt(zmq.SUBSCRIBE if begins else zmq.UNSUBSCRIBE, topic)
            self._listeners[topic] += 1 if begins else -1
            if self._listeners[topic] <= 0:
                del self._listeners[topic]

    def deliver(self) -> None:
        """Send what can be sent by now and drop what has waited too long."""
        waiting, self._waiting = self._waiting, deque()
        held: set[bytes] = set()  # an answer never overtakes another of the same client
        for until, frames in waiting:
            topic = frames[0]
            if topic not in held and self._listeners[topic] and self._send(frames):
                self._bytes -= _size(frames)
            elif until < self._now():
                self._drop(frames, f"its client did not listen for {PATIENCE_S:.0f} s")
            else:
                held.add(topic)
                self._waiting.append((until, frames))

    def _send(self, frames: Frames) -> bool:
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return False
        return True

    def _drop(self, frames: Frames, why: str) -> None:
        self._bytes -= _size(frames)
        logger.warning("an answer to the bert-as-service client %r was dropped: %s",
                       frames[0][:40], why)  # fmt: skip


def _size(frames: Frames) -> int:
    return sum(memoryview(frame).nbytes for frame in frames)
