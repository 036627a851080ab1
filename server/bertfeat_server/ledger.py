"""The requests that are not answered yet, and their answers on the way."""

import itertools
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

from bertfeat_client.errors import ServerError, to_wire
from bertfeat_client.protocol import Message
from bertfeat_server.jobs import Batch, Job, Key, Part, identity
from bertfeat_server.replies import Piece, Reply, error_reply
from bertfeat_server.request_log import log_request
from bertfeat_server.requests import Request
from bertfeat_server.shares import Flow
from bertfeat_server.tally import Tally
from bertfeat_server.traces import Traces

RECENT = 1000
"""Answers whose times are told together."""


@dataclass(slots=True)
class Entry:
    """One open request: who asked, what, and what is known of the answer."""

    caller: bytes
    request: Request
    reply: Reply
    deadline: float
    opened_at: float
    begun_at: float | None = None
    span: Any = None

    def timing(self, now: float) -> dict[str, float]:
        """Return how long it waited, was computed, and took in all, in milliseconds.

        What was answered without having been given out joined a batch that ran: it never waited.
        """
        begun = self.begun_at if self.begun_at is not None else self.opened_at
        spans = {
            "queue_ms": begun - self.opened_at, "compute_ms": now - begun,
            "total_ms": now - self.opened_at,
        }  # fmt: skip
        return {name: round(1000 * seconds, 3) for name, seconds in spans.items()}


def distinct(items: list[Any]) -> tuple[list[Any], list[int] | None, dict[Hashable, int]]:
    """Return each item once, where among these every item is (None if all differ), and an index."""
    unique: list[Any] = []
    first: dict[Hashable, int] = {}
    places = []
    for item in items:
        place = first.setdefault(identity(item), len(unique))
        if place == len(unique):
            unique.append(item)
        places.append(place)
    return unique, places if len(unique) < len(items) else None, first


class Ledger:
    """All open requests.  Each ends with exactly one message, unless its caller gave it up.

    Args:
        send: called with the caller and the message when a request has its answer.
        tally: counts them.
        traces: makes spans of them, or None.
    """

    def __init__(
        self, send: Callable[[bytes, Message], None], tally: Tally, traces: Traces | None = None
    ) -> None:
        self._tally, self._traces = tally, traces
        self._spans_ms: deque[float] = deque(maxlen=RECENT)
        self._send = send
        self._entries: dict[int, Entry] = {}
        self._tickets: dict[tuple[bytes, str], int] = {}
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[int]:
        return iter(list(self._entries))

    def open(self, caller: bytes, request: Request, share: bytes, now: float) -> Job | None:
        """Enter a request; None if it is open already, sent again by an anxious caller.

        Args:
            caller: the connection that is to be answered.
            request: what it asks for.
            share: whose turn is used up.
            now: the present.
        """
        if (caller, request.id) in self._tickets:
            return None
        ticket, deadline = next(self._numbers), now + request.timeout_s
        reply = Reply(len(request.costs), request.row_errors)
        span = self._traces.begin(request) if self._traces else None
        self._entries[ticket] = Entry(caller, request, reply, deadline, now, span=span)
        self._tickets[caller, request.id] = ticket
        items = request.items or ()
        text = identity(items[0]) if len(items) == 1 and not request.whole else None
        return Job(
            ticket, Flow(share, request.priority), request.key, request.costs, deadline,
            request.whole, request.retry, text,
        )  # fmt: skip

    def message(self, batch: Batch, now: float) -> Message:
        """Return what a worker is sent for a batch: all its parts have the same options."""
        entries = [self.entry(part) for part in batch.parts]
        for entry in entries:
            entry.begun_at = entry.begun_at or now
        request = entries[0].request
        header = {
            "op": "batch", "id": batch.number, "request_op": request.op, "model": request.model,
            "options": request.options,
            "timeout_ms": int(1000 * (max(entry.deadline for entry in entries) - now)),
            "requests": self.names(batch),
        }  # fmt: skip
        if request.items is None:
            return Message(header)
        items: list[Any] = []
        for part, entry in zip(batch.parts, entries, strict=True):
            items += (entry.request.items or [])[part.start : part.stop]
        if not request.whole:
            items, batch.places, texts = distinct(items)
            batch.texts = texts if batch.is_open else {}
        return Message(header, items)

    def entry(self, part: Part) -> Entry:
        """Return the entry of a part that the scheduler gave out."""
        return self._entries[part.job.ticket]

    def names(self, batch: Batch) -> list[str]:
        """Return what logs call the requests of a batch that have no answer yet."""
        entries = (self._entries.get(part.job.ticket) for part in batch.parts)
        return [entry.request.known_as for entry in entries if entry is not None]

    def key(self, ticket: int) -> Key:
        """Return what the rows of an open request are merged by."""
        return self._entries[ticket].request.key

    def deliver(self, part: Part, piece: Piece, now: float) -> None:
        """Put computed rows into their answer; send it if it is complete."""
        if entry := self._entries.get(part.job.ticket):
            entry.reply.add(part.start, part.stop, piece)
            self._finish(part.job.ticket, entry, now)

    def refuse(self, part: Part, error: ServerError, now: float) -> None:
        """Note that rows failed for good; send the answer if it is complete."""
        if entry := self._entries.get(part.job.ticket):
            entry.reply.refuse(part.start, part.stop, error)
            self._finish(part.job.ticket, entry, now)

    def fail(self, ticket: int, error: ServerError) -> None:
        """Answer a whole request with an error."""
        if entry := self._end(ticket, error.code, {}):
            self._tally.errors[error.code] += 1
            self._send(entry.caller, error_reply(entry.request.id, to_wire(error)))

    def drop(self, ticket: int) -> None:
        """Strike out a request that nobody waits for any more."""
        self._end(ticket, "cancelled", {})

    def latency_ms(self) -> dict[str, float | None]:
        """Return the median and the 99th percentile of the last answers' times."""
        spans = sorted(self._spans_ms)
        at = {"p50": 0.5, "p99": 0.99}
        return {name: spans[int(q * (len(spans) - 1))] if spans else None for name, q in at.items()}

    def find(self, caller: bytes, name: Any) -> int | None:
        """Return the ticket of a caller's request."""
        return self._tickets.get((caller, name)) if isinstance(name, str) else None

    def of(self, caller: bytes) -> list[int]:
        """Return the tickets of all of a caller's requests."""
        return [ticket for owner, ticket in self._items() if owner == caller]

    def _items(self) -> list[tuple[bytes, int]]:
        return [(owner, ticket) for (owner, _), ticket in self._tickets.items()]

    def _end(self, ticket: int, outcome: str, timing: dict[str, float]) -> Entry | None:
        """Strike out a request, and let log and trace say how it ended."""
        entry = self._entries.pop(ticket, None)
        if entry is not None:
            del self._tickets[entry.caller, entry.request.id]
            log_request(entry.request, outcome, timing)
            if self._traces is not None:
                self._traces.end(entry.span, outcome, timing)
        return entry

    def _finish(self, ticket: int, entry: Entry, now: float) -> None:
        if entry.reply.complete:
            message = entry.reply.message(entry.request.id)
            timing = entry.timing(now)
            self._end(ticket, "ok", timing)
            self._tally.request_answered(message, timing)
            self._spans_ms.append(timing["total_ms"])
            if "info" in message.header:
                message.header["info"] = message.header["info"] | {"timing": timing}
            self._send(entry.caller, message)
