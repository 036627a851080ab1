"""Prometheus metrics: of HTTP counted here, of the server read from its status when asked for."""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


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
        for name, text, value in (
            ("ready", "Whether the server is ready.", int(status["ready"])),
            ("uptime_seconds", "Time since the start.", status["uptime_s"]),
            ("queue_tokens", "Estimated tokens that wait.", queue["tokens"]),
            ("queue_tokens_limit", "Estimated tokens that may wait.", queue["max_tokens"]),
            ("requests_open", "Requests without an answer.", queue["requests"]),
            ("batches_running", "Batches that workers have.", batches["running"]),
        ):
            yield GaugeMetricFamily(f"bertfeat_{name}", text, value)
        for name, text, value in (
            ("requests_answered", "Requests answered.", requests["answered"]),
            ("requests_failed", "Requests answered with an error.", requests["failed"]),
            ("batches", "Batches computed.", batches["done"]),
            ("batches_lost", "Batches lost with their worker.", batches["lost"]),
            ("texts", "Texts computed.", batches["rows"]),
            ("tokens", "Estimated tokens computed.", batches["tokens"]),
        ):
            yield CounterMetricFamily(f"bertfeat_{name}", text, value)
        workers = GaugeMetricFamily("bertfeat_workers", "Processes.", labels=("model", "state"))
        kinds = [(one["model"] or "index", one["state"]) for one in status["workers"]]
        for kind in sorted(set(kinds)):
            workers.add_metric(kind, kinds.count(kind))
        yield workers
