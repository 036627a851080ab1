"""What the broker counts, in the form that Prometheus reads: counters and histograms."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bertfeat_client.protocol import Message
from bertfeat_server.jobs import Batch

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class Histogram:
    """How many observations were at most each bound.

    Args:
        bounds: ascending; beyond the last there is one more bucket.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds, self.sum = bounds, 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def as_dict(self) -> dict[str, Any]:
        """Return bounds, counts of each bucket by itself, and the sum of all values."""
        return {"bounds": list(self.bounds), "counts": self._counts, "sum": round(self.sum, 6)}


def _seconds() -> Histogram:
    return Histogram(SECONDS)


def _sizes() -> Histogram:
    return Histogram(SIZES)


@dataclass
class Tally:
    """The counters and histograms of one broker.

    Attributes:
        queue_seconds: from a request's arrival until its first row was given to a worker.
        compute_seconds: from then until its last row was there.
        request_seconds: both together.
        batch_seconds: what a worker took for a batch.
        batch_tokens, batch_texts: estimated tokens and texts of a batch.
        batch_fill: its tokens as a share of the budget.
        packing_fill: a batch's tokens as a share of what was computed for them, padding included.
        errors: error code to requests that ended with it.
        row_errors: error code to texts that failed in requests that were answered.
        restarts: role of a process to how often another took its place.
        truncated: texts that were cut.
        non_finite: texts whose vectors had NaN or infinity and were withheld.
        duplicates: texts that shared another's computation.
        lost: batches lost with their worker.
        answered: requests that were answered with rows.
        batches, texts, tokens: computed; tokens are estimated.
        packed_tokens, padding_tokens: as the workers counted them.
        connections: clients that are connected.
    """

    queue_seconds: Histogram = field(default_factory=_seconds)
    compute_seconds: Histogram = field(default_factory=_seconds)
    request_seconds: Histogram = field(default_factory=_seconds)
    batch_seconds: Histogram = field(default_factory=_seconds)
    batch_tokens: Histogram = field(default_factory=_sizes)
    batch_texts: Histogram = field(default_factory=_sizes)
    batch_fill: Histogram = field(default_factory=lambda: Histogram(SHARES))
    packing_fill: Histogram = field(default_factory=lambda: Histogram(SHARES))
    errors: Counter[str] = field(default_factory=Counter)
    row_errors: Counter[str] = field(default_factory=Counter)
    restarts: Counter[str] = field(default_factory=Counter)
    truncated: int = 0
    non_finite: int = 0
    duplicates: int = 0
    lost: int = 0
    answered: int = 0
    batches: int = 0
    texts: int = 0
    tokens: int = 0
    packed_tokens: int = 0
    padding_tokens: int = 0
    connections: int = 0

    def request_answered(self, reply: Message, spans: Mapping[str, float]) -> None:
        """Count a request that was answered with rows.

        Args:
            reply: what its caller gets.
            spans: ``queue_ms``, ``compute_ms`` and ``total_ms``.
        """
        self.answered += 1
        self.queue_seconds.observe(spans["queue_ms"] / 1000)
        self.compute_seconds.observe(spans["compute_ms"] / 1000)
        self.request_seconds.observe(spans["total_ms"] / 1000)
        if "truncated" in reply.arrays:
            self.truncated += int(np.count_nonzero(reply.arrays["truncated"]))
        for error in reply.header.get("row_errors", {}).values():
            self.row_errors[str(error.get("code"))] += 1

    def batch_computed(self, batch: Batch, now: float, budget: int) -> None:
        """Count a batch that was computed, of a budget of tokens."""
        self.batches += 1
        self.texts += batch.rows
        self.tokens += batch.tokens
        self.duplicates += batch.rows - len(set(batch.places)) if batch.places else 0
        self.batch_seconds.observe(now - batch.taken_at)
        self.batch_tokens.observe(batch.tokens)
        self.batch_texts.observe(batch.rows)
        self.batch_fill.observe(batch.tokens / budget)

    def work_done(self, work: Mapping[str, int]) -> None:
        """Count what a worker says of a batch: ``tokens``, ``places`` and ``non_finite``."""
        tokens, places = int(work.get("tokens", 0)), int(work.get("places", 0))
        self.packed_tokens += tokens
        self.padding_tokens += places - tokens
        self.non_finite += int(work.get("non_finite", 0))
        if places > 0:
            self.packing_fill.observe(tokens / places)

    def histograms(self) -> dict[str, Any]:
        """Return every histogram under its name."""
        return {
            name: value.as_dict() for name, value in vars(self).items()
            if isinstance(value, Histogram)
        }  # fmt: skip
