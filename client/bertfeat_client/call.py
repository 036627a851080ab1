"""One call of a user: its line to the server, its deadline, and how rows become requests."""

from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from bertfeat_client.flight import Flight
from bertfeat_client.items import PROBE, Limits, Rows, listed, read_rows
from bertfeat_client.line import Line
from bertfeat_client.options import EncodeKeywords, TokenKeywords, wire_options
from bertfeat_client.protocol import Message
from bertfeat_client.replies import Replies
from bertfeat_client.truncation import Truncation

MAX_RAGGED_ROWS = 32
"""Texts of one request for token vectors, which are far larger than the texts."""


@dataclass(frozen=True)
class Ask:
    """An operation on texts.

    Attributes:
        op: its name.
        options: those of the request that holds the given rows.
        model: the model's name, None for the server's default.
        max_rows: texts of one request.
        in_flight: requests under way at a time, None for the client's own number.
        priority: its share of a busy server, None for the normal one.
    """

    op: str
    options: Callable[[Rows], Mapping[str, Any]]
    model: str | None = None
    max_rows: int | None = None
    in_flight: int | None = None
    priority: str | None = None

    @classmethod
    def encode(cls, options: EncodeKeywords) -> "Ask":
        """Return the operation that these keywords ask for."""
        wire = wire_options(options, EncodeKeywords.__annotations__)
        is_ragged = str(wire.get("pooling", "")).lower() == "none"
        return cls._of_vectors("encode", wire, MAX_RAGGED_ROWS if is_ragged else None)

    @classmethod
    def tokens(cls, options: TokenKeywords) -> "Ask":
        """Return the operation that asks for the vectors of tokens."""
        wire = wire_options(options, TokenKeywords.__annotations__)
        return cls._of_vectors("tokens", wire, MAX_RAGGED_ROWS)

    @classmethod
    def _of_vectors(cls, op: str, wire: dict[str, Any], max_rows: int | None) -> "Ask":
        model, priority = wire.pop("model", None), wire.pop("priority", None)
        return cls(op, lambda rows: wire, model, max_rows, priority=priority)

    @property
    def may_probe(self) -> bool:
        """Whether a call without texts sends one, to learn the shape of the result."""
        return self.op in ("encode", "tokens")

    @property
    def may_repeat(self) -> bool:
        """Whether it does no harm to ask again for what was answered."""
        return self.op != "index_add"

    def limits(self, info: Mapping[str, Any]) -> Limits:
        """Return the server's limits, or narrower ones of this operation."""
        limits = Limits.of(info)
        if self.max_rows is None:
            return limits
        return replace(limits, max_request_texts=min(limits.max_request_texts, self.max_rows))

    def message(self, rows: Rows) -> Message:
        """Return the request for rows."""
        header = {"op": self.op, "model": self.model, "options": dict(self.options(rows))}
        if self.priority is not None:
            header["priority"] = self.priority
        return Message(header, rows.items)


class Call:
    """What the steps of one call share.

    Args:
        line: where the requests go.
        timeout_s: seconds from now until the call ends with an error.
        max_in_flight: requests that are under way at a time.
        header: fields of each request's header.
    """

    def __init__(
        self, line: Line, timeout_s: float, max_in_flight: int, header: Mapping[str, Any]
    ) -> None:
        self._line, self._timeout_s, self._max_in_flight = line, timeout_s, max_in_flight
        self._header = header
        self._deadline = line.now() + timeout_s

    async def ask(self, op: str, **header: Any) -> dict[str, Any]:
        """Send a request without texts and return the reply's ``info``."""
        async with aclosing(self._replies(_each([Message({"op": op} | header)]))) as replies:
            info: dict[str, Any] = (await anext(replies)).header.get("info") or {}
            return info

    async def info(self) -> dict[str, Any]:
        """Return what the server says of itself; asked for once on each connection."""
        async with self._line.info_lock:
            if self._line.info is None:
                self._line.info = await self.ask("info")
            return self._line.info

    async def model(self, name: str | None) -> dict[str, Any]:
        """Return what the server says of a model, by default of its own default model.

        A model that is still loading is waited for.

        Raises:
            NotFound: the server has no such model.
        """
        model = _find_model(await self.info(), name)
        if "model_hash" not in model:
            await self.gather(Ask.encode({"model": name}), PROBE)
            self._line.info = None
            model = _find_model(await self.info(), name)
        return model

    async def gather(self, ask: Ask, texts: Any) -> Replies:
        """Send texts in as many requests as it takes and return all replies.

        If the server changes its model meanwhile, all are sent once more to the new one, unless
        that would change something twice.

        Warns:
            TruncationWarning: texts were cut.

        Raises:
            InvalidRequest: these are no texts at all, or a request was refused as a whole.
            ClientError: the server cannot be reached, is late, or failed.
        """
        items, is_single = listed(texts)
        limits = ask.limits(await self.info())
        rows = read_rows(items, limits, is_single=is_single)
        chunks = list(rows.chunks(limits)) if rows.items or ask.may_probe else []
        found = Replies(rows, chunks, await self._answers(ask, chunks))
        if found.is_mixed and ask.may_repeat:
            found = Replies(rows, chunks, await self._answers(ask, chunks))
        Truncation.tell(found.truncated())
        return found

    async def stream(
        self, ask: Ask, texts: Any, batch_size: int
    ) -> AsyncGenerator[tuple[int, Replies], None]:
        """Send texts batch by batch as they come and yield the replies to each batch, in order.

        Yields:
            The number of the batch's first text, and its replies.
        """
        limits = ask.limits(await self.info())
        sent: deque[tuple[int, Rows, Rows]] = deque()

        async def messages() -> AsyncIterator[Message]:
            async for first, items in _batches(texts, min(batch_size, limits.max_request_texts)):
                rows = read_rows(items, limits, first)
                sent.append((first, rows, rows.whole()))
                yield ask.message(sent[-1][2])

        async with aclosing(self._replies(messages(), is_lasting=True)) as replies:
            async for reply in replies:
                first, rows, chunk = sent.popleft()
                yield first, Replies(rows, [chunk], [reply], first)

    async def _answers(self, ask: Ask, chunks: Sequence[Rows]) -> list[Message]:
        messages = _each(ask.message(chunk) for chunk in chunks)
        async with aclosing(self._replies(messages, ask.in_flight)) as replies:
            return [reply async for reply in replies]

    async def _replies(
        self,
        messages: AsyncIterable[Message],
        in_flight: int | None = None,
        *,
        is_lasting: bool = False,
    ) -> AsyncGenerator[Message, None]:
        """Send requests, at most so many at a time, and yield their replies in order.

        Args:
            messages: the requests.
            in_flight: how many may be under way or waiting to be yielded.
            is_lasting: the time-out counts anew for each reply.
        """
        flight, most = Flight(self._deadline, self._timeout_s), in_flight or self._max_in_flight
        try:
            async for message in messages:
                flight.deadline = self._next_deadline(is_lasting)
                message.header |= self._header
                self._line.start(message, flight)
                while flight.is_ready or len(flight.requests) >= most:
                    yield await self._line.settle(flight)
                    flight.deadline = self._next_deadline(is_lasting)
            while flight.requests:
                yield await self._line.settle(flight)
                flight.deadline = self._next_deadline(is_lasting)
        finally:
            self._line.abandon(flight)

    def _next_deadline(self, is_lasting: bool) -> float:
        return self._line.now() + self._timeout_s if is_lasting else self._deadline


def _find_model(info: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    name = name or info.get("default_model")
    models: list[dict[str, Any]] = info.get("models") or []
    return next((model for model in models if model.get("name") == name), {})


async def _each(messages: Iterable[Message]) -> AsyncIterator[Message]:
    for message in messages:
        yield message


async def _batches(texts: Any, size: int) -> AsyncIterator[tuple[int, list[Any]]]:
    """Cut an iterable, asynchronous or not, into lists; each with its first item's number."""
    first = 0
    if not isinstance(texts, AsyncIterable):
        source = iter(texts)
        while batch := list(islice(source, size)):
            yield first, batch
            first += len(batch)
        return
    batch = []
    async for text in texts:
        batch.append(text)
        if len(batch) == size:
            yield first, batch
            first, batch = first + size, []
    if batch:
        yield first, batch
