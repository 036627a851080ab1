"""Sends what the broker has to say, and holds back what a peer is too slow to read.

A socket counts messages, not bytes, and drops what is over.  Here a message that finds no room
waits for it, and how many bytes lie unread is known: large frames are handed to ZeroMQ without a
copy, which tells when it has passed them on.  A peer that lets too much lie for too long gets no
more; what it had asked for is forgotten.
"""

import logging
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import zmq

from bertfeat_server.outbox import Outgoing

# Plain integers, as arithmetic with zmq's enumerations costs more than the sending.
MORE, LAST = int(zmq.SNDMORE | zmq.NOBLOCK), int(zmq.NOBLOCK)
LARGE = int(zmq.COPY_THRESHOLD)
"""Frames from this size on are not copied, so it is known when they are gone."""
PATIENCE_S = 30.0
RETRY_MS = 2
Socket = zmq.Socket[bytes]
Frames = list[bytes | memoryview]
Peer = tuple[bool, bytes]
logger = logging.getLogger(__name__)


@dataclass
class Backlog:
    """What a peer has not read.

    Attributes:
        since: when it last read something.
        under_way: large frames that ZeroMQ holds, with their sizes.
        held: messages that wait here.
        size: the bytes of both.
        gave_up: whether it gets no more until it has read what is under way.
    """

    since: float
    under_way: deque[tuple[zmq.MessageTracker, int]] = field(default_factory=deque)
    held: deque[Frames] = field(default_factory=deque)
    size: int = 0
    gave_up: bool = False

    def note_read(self, now: float) -> None:
        """Strike off what the peer's connection has taken."""
        while self.under_way and self.under_way[0][0].done:
            self.size -= self.under_way.popleft()[1]
            self.since = now

    def hold(self, frames: Frames) -> None:
        """Let a message wait."""
        self.held.append(frames)
        self.size += size_of(frames)

    def strike(self) -> None:
        """Take away the first message that waits."""
        self.size -= size_of(self.held.popleft())

    def give_up(self) -> None:
        """Forget what waits, and take no more."""
        self.gave_up = True
        while self.held:
            self.strike()


class Post:
    """Sends messages over the broker's two sockets.

    Args:
        clients: the socket of the clients.
        workers: the socket of the workers.
        most_bytes: what may lie unread by one client.
    """

    def __init__(self, clients: Socket, workers: Socket, most_bytes: int) -> None:
        self._routers: Mapping[bool, Socket] = {True: clients, False: workers}
        self._most = most_bytes
        self._backlogs: dict[Peer, Backlog] = {}

    @property
    def wait_ms(self) -> float:
        """How long at most to wait before :meth:`send` is called again."""
        return RETRY_MS if any(one.held for one in self._backlogs.values()) else float("inf")

    @property
    def has_backlog(self) -> bool:
        """Whether anything lies unread, as far as is known."""
        return bool(self._backlogs)

    def unread(self, identity: bytes) -> int:
        """Return how many bytes lie unread by a client, as far as is known."""
        backlog = self._backlogs.get((True, identity))
        return backlog.size if backlog is not None else 0

    def hears(self, identity: bytes) -> bool:
        """Say whether a client reads what it asks for."""
        backlog = self._backlogs.get((True, identity))
        return backlog is None or not backlog.gave_up

    def send(self, outbox: deque[Outgoing], now: float) -> list[Peer]:
        """Send what can be sent; return the peers that are gone or do not read."""
        lost = [peer for peer in list(self._backlogs) if not self._go_on(peer, now)]
        while outbox:
            to_client, identity, frames = outbox.popleft()
            peer = to_client, identity
            if peer not in lost and not self._deliver(peer, frames, now):
                lost.append(peer)
        return lost

    def _go_on(self, peer: Peer, now: float) -> bool:
        """Send more of what waits for a peer; say whether it is still worth it."""
        backlog = self._backlogs[peer]
        backlog.note_read(now)
        while backlog.held and (sent := self._try(peer, backlog.held[0], backlog)) is not False:
            if sent is None:
                del self._backlogs[peer]
                return False
            backlog.strike()
            backlog.since = now
        if not backlog.held and not backlog.under_way:
            del self._backlogs[peer]
            return True
        return backlog.gave_up or self._is_patient(peer, backlog, now)

    def _is_patient(self, peer: Peer, backlog: Backlog, now: float) -> bool:
        is_slow, is_much = now - backlog.since > PATIENCE_S, backlog.size > self._most
        if not is_slow and not is_much:
            return True
        logger.warning(
            "a peer reads too slowly: %d bytes lie here, it last read %.0f s ago; it gets no more",
            backlog.size, now - backlog.since,
        )  # fmt: skip
        backlog.give_up()
        return False

    def _deliver(self, peer: Peer, frames: Frames, now: float) -> bool:
        backlog = self._backlogs.get(peer) or Backlog(now)
        if backlog.gave_up:
            return True
        sent = self._try(peer, frames, backlog) if not backlog.held else False
        if sent is None:
            self._backlogs.pop(peer, None)
            return False
        if not sent:
            backlog.hold(frames)
        if backlog.held or backlog.under_way:
            self._backlogs[peer] = backlog
            return self._is_patient(peer, backlog, now)
        return True

    def _try(self, peer: Peer, frames: Frames, backlog: Backlog) -> bool | None:
        """Send a message: True, or False if there is no room, or None if the peer is gone."""
        to_client, identity = peer
        router = self._routers[to_client]
        try:
            router.send(identity, MORE)
            for frame in frames[:-1]:
                _pass(router, frame, MORE, backlog)
            _pass(router, frames[-1], LAST, backlog)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            return None
        return True


def size_of(frames: Iterable[Any]) -> int:
    """Return the bytes of a message."""
    return sum(memoryview(frame).nbytes for frame in frames)


def _pass(router: Socket, frame: bytes | memoryview, flags: int, backlog: Backlog) -> None:
    if len(frame) < LARGE:
        router.send(frame, flags, copy=False)
        return
    tracker = router.send(frame, flags, copy=False, track=True)
    assert tracker is not None
    backlog.under_way.append((tracker, len(frame)))
    backlog.size += len(frame)
