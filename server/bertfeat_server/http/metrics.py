"""Prometheus metrics: of HTTP counted here, of the server read from its status when asked for."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


HISTOGRAMS = {
    "queue_seconds": "Time from a request's arrival until its first text went to a worker.",
    "compute_seconds": "Time from then until its last text was computed.",
    "request_seconds": "Both together.",
    "batch_seconds": "Time that a worker took for a batch.",
    "batch_tokens": "Estimated tokens of a batch.",
    "batch_texts": "Texts of a batch.",
    "batch_fill": "Tokens of a batch as a share of its budget.",
    "packing_fill": "Tokens of a batch as a share of what was computed, padding included.",
}


class Metrics:
    """What one HTTP process counts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "path", "status")
        self.requests = Counter(
            "bertfeat_http_requests", "Requests over HTTP.", labels, registry=self._registry
        )
        self.seconds = Histogram(
            "bertfeat_http_request_duration_seconds", "Time from request to answer.", ("path",),
            buckets=BUCKETS, registry=self._registry,
        )  # fmt: skip

    def count(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        self.requests.labels(method, path, str(status)).inc()
        self.seconds.labels(path).observe(seconds)

    def text(self, status: Mapping[str, Any] | None) -> bytes:
        """Return everything in Prometheus's format.

        Args:
            status: the server's, None where it does not answer.
        """
        registry = CollectorRegistry()
        registry.register(_Status(status))
        return generate_latest(self._registry) + generate_latest(registry)


class _Status:
    """The figures of a status as metrics."""

    def __init__(self, status: Mapping[str, Any] | None) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Give the metrics."""
        status = self._status
        yield GaugeMetricFamily(
            "bertfeat_up", "Whether the broker answers.", int(status is not None)
        )
        if status is None:
            return
        queue, batches, requests = status["queue"], status["batches"], status["requests"]
        texts = status["texts"]
        for name, text, value in (
            ("ready", "Whether the server is ready.", int(status["ready"])),
            ("uptime_seconds", "Time since the start.", status["uptime_s"]),
            ("queue_tokens", "Estimated tokens that wait.", queue["tokens"]),
            ("queue_tokens_limit", "Estimated tokens that may wait.", queue["max_tokens"]),
            ("requests_open", "Requests without an answer.", queue["requests"]),
            ("batches_running", "Batches that workers have.", batches["running"]),
            ("connections", "Clients that are connected.", status["connections"]),
        ):
            yield GaugeMetricFamily(f"bertfeat_{name}", text, value)
        for name, text, value in (
            ("requests_answered", "Requests answered.", requests["answered"]),
            ("requests_failed", "Requests answered with an error.", requests["failed"]),
            ("batches", "Batches computed.", batches["done"]),
            ("batches_lost", "Batches lost with their worker.", batches["lost"]),
            ("texts", "Texts computed.", batches["rows"]),
            ("tokens", "Estimated tokens computed.", batches["tokens"]),
            ("packed_tokens", "Tokens computed, as counted.", status["computed"]["tokens"]),
            ("padding_tokens", "Padding computed with them.", status["computed"]["padding"]),
            ("truncated_texts", "Texts that were cut.", texts["truncated"]),
            ("duplicate_texts", "Texts that shared another's result.", texts["duplicates"]),
            ("non_finite_texts", "Texts whose vectors were not finite.", texts["non_finite"]),
        ):
            yield CounterMetricFamily(f"bertfeat_{name}", text, value)
        for name, text, label, counts in (
            ("request_errors", "Requests that failed.", "code", requests["errors"]),
            ("text_errors", "Texts that failed alone.", "code", texts["errors"]),
            ("restarts", "Processes that another replaced.", "role", status["restarts"]),
        ):
            yield _by(label, name, text, counts)
        for name, text in HISTOGRAMS.items():
            yield _histogram(f"bertfeat_{name}", text, status["histograms"][name])
        workers = GaugeMetricFamily("bertfeat_workers", "Processes.", labels=("model", "state"))
        kinds = [(one["model"] or "index", one["state"]) for one in status["workers"]]
        for kind in sorted(set(kinds)):
            workers.add_metric(kind, kinds.count(kind))
        yield workers


def _by(label: str, name: str, text: str, counts: Mapping[str, int]) -> Metric:
    metric = CounterMetricFamily(f"bertfeat_{name}", text, labels=[label])
    for value, count in sorted(counts.items()):
        metric.add_metric([value], count)
    return metric


def _histogram(name: str, text: str, told: Mapping[str, Any]) -> Metric:
    bounds = [*(f"{bound:g}" for bound in told["bounds"]), "+Inf"]
    buckets = list(zip(bounds, itertools.accumulate(told["counts"]), strict=True))
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=told["sum"])
