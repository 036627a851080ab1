"""A load test: callers that ask one after another, or requests that come at a rate of their own.

In the second kind a request's time counts from when it was due, not from when there was room to
send it: a server that stalls is seen to stall.
"""

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bertfeat_client import AsyncClient, ClientError

WORDS = ("the", "river", "runs", "slowly", "past", "an", "old", "mill", "where", "people", "bring",
         "grain", "and", "talk", "about", "weather", "bread", "machines", "letters")  # fmt: skip
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
Z95 = 1.96


@dataclass(frozen=True, kw_only=True)
class Load:
    """What to send.

    Attributes:
        callers: how many ask at a time, each waiting for its answer; of a rate, how many at most.
        rate: requests per second, None for as many as the callers get through.
        texts: texts of one request.
        words: a text has one of these numbers of words.
        seconds: how long to measure, after ``warm_up_s``.
        warm_up_s: how long before that.
        seed: of the texts and of the times of a rate.
    """

    callers: int = 16
    rate: float | None = None
    texts: int = 1
    words: tuple[int, ...] = (4, 12, 40)
    seconds: float = 10.0
    warm_up_s: float = 2.0
    seed: int = 0


@dataclass
class Report:
    """What came of it.

    Attributes:
        seconds: from the beginning of what is measured to the last answer.
        latencies_ms: of the requests that were answered.
        texts: texts that were answered.
        tokens: their tokens.
        queue_ms, compute_ms: what the server said of each request.
        errors: kind of error to how many.
    """

    seconds: float
    latencies_ms: list[float] = field(default_factory=list)
    texts: int = 0
    tokens: int = 0
    queue_ms: list[float] = field(default_factory=list)
    compute_ms: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON can hold them."""
        n = len(self.latencies_ms)
        spread = Z95 * math.sqrt(n) / self.seconds  # as of independent arrivals
        return {
            "seconds": round(self.seconds, 3),
            "requests": n,
            "requests_per_s": round(n / self.seconds, 2),
            "requests_per_s_95": [round(n / self.seconds + s, 2) for s in (-spread, spread)],
            "texts_per_s": round(self.texts / self.seconds, 2),
            "tokens_per_s": round(self.tokens / self.seconds, 1),
            "latency_ms": quantiles(self.latencies_ms),
            "queue_ms": quantiles(self.queue_ms),
            "compute_ms": quantiles(self.compute_ms),
            "errors": dict(self.errors),
        }


async def run(client: AsyncClient, load: Load, now: Any = time.perf_counter) -> Report:
    """Put load on a server and return what came of it."""
    tester = _Tester(client, load, now)
    await (tester.closed() if load.rate is None else tester.open())
    return tester.report


def quantiles(values: Sequence[float]) -> dict[str, Any]:
    """Return p50, p90 and p99, each with the 95 % interval that its rank's spread gives."""
    ordered, n = sorted(values), len(values)
    found: dict[str, Any] = {}
    for name, q in QUANTILES.items():
        spread = Z95 * math.sqrt(n * q * (1 - q))
        ranks = [min(n - 1, max(0, round(n * q + s - 0.5))) for s in (0, -spread, spread)]
        value, low, high = (round(ordered[rank], 3) if n else None for rank in ranks)
        found |= {name: value, f"{name}_95": [low, high]}
    return found


class _Tester:
    def __init__(self, client: AsyncClient, load: Load, now: Any) -> None:
        self._client, self._load, self._now = client, load, now
        self._random = random.Random(load.seed)
        self._begin = now() + load.warm_up_s
        self._end = self._begin + load.seconds
        self.report = Report(load.seconds)

    async def closed(self) -> None:
        """Let every caller ask again as soon as it has its answer."""

        async def ask() -> None:
            while (due := self._now()) < self._end:
                await self._one(due)

        await asyncio.gather(*(ask() for _ in range(self._load.callers)))

    async def open(self) -> None:
        """Send at random times of the given rate, whatever is still under way."""
        assert self._load.rate is not None
        places, tasks = asyncio.Semaphore(self._load.callers), set[asyncio.Task[None]]()
        due = self._now()

        async def ask(due: float) -> None:
            async with places:
                await self._one(due)

        while (due := due + self._random.expovariate(self._load.rate)) < self._end:
            await asyncio.sleep(due - self._now())
            tasks.add(task := asyncio.create_task(ask(due)))
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)

    async def _one(self, due: float) -> None:
        texts = [self._text() for _ in range(self._load.texts)]
        try:
            _, info = await self._client.encode(texts, return_info=True)
        except ClientError as error:
            if due >= self._begin:
                self.report.errors[type(error).__name__] += 1
            await asyncio.sleep(0.01)  # a server that is away must not be asked in a tight loop
            return
        ended = self._now()
        if due < self._begin:
            return
        report = self.report
        report.seconds = max(report.seconds, ended - self._begin)
        report.latencies_ms.append(1000 * (ended - due))
        report.texts += len(texts)
        report.tokens += int(info.num_tokens.sum())
        report.queue_ms.append(info.timing.get("queue_ms", 0.0))
        report.compute_ms.append(info.timing.get("compute_ms", 0.0))

    def _text(self) -> str:
        length = self._random.choice(self._load.words)
        return " ".join(self._random.choices(WORDS, k=length))
