"""Spans of requests in OpenTelemetry, below the traces that callers bring."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from bertfeat_server.requests import Request

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

EXPORT_TIMEOUT_S = 5
NS = 1_000_000
"""Of a millisecond."""


class Traces:
    """Makes a span for each request, with one for its wait and one for its computation.

    Names and attributes say no text.  Whatever the environment variables of OpenTelemetry's SDK
    set (``OTEL_SERVICE_NAME``, ``OTEL_TRACES_SAMPLER``, ``OTEL_EXPORTER_OTLP_HEADERS`` …) holds.

    Args:
        exporter: sends spans away, from a thread of its own.
    """

    def __init__(self, exporter: "SpanExporter") -> None:
        from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource.create({SERVICE_NAME: "bertfeat"}).merge(
            OTELResourceDetector().detect()
        )
        self.provider = TracerProvider(resource=resource)
        self.provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self.provider.get_tracer("bertfeat_server")

    @classmethod
    def to(cls, endpoint: str) -> Self | None:
        """Send spans to a collector, OTLP over HTTP; without an endpoint make none.

        Args:
            endpoint: its URL for traces, such as ``http://127.0.0.1:4318/v1/traces``.
        """
        if not endpoint:
            return None
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return cls(OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_TIMEOUT_S))

    def begin(self, request: Request) -> "Span":
        """Begin a request's span, a child of its ``traceparent`` if it has one."""
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        parent = TraceContextTextMapPropagator().extract(request.trace)
        return self._tracer.start_span(
            f"bertfeat {request.op}", parent, SpanKind.SERVER,
            {
                "bertfeat.request": request.known_as, "bertfeat.model": request.model,
                "bertfeat.texts": len(request.costs), "bertfeat.tokens": sum(request.costs),
            },
        )  # fmt: skip

    def end(self, span: "Span", outcome: str, timing: Mapping[str, float]) -> None:
        """End a request's span.

        Args:
            span: what :meth:`begin` gave.
            outcome: ``ok``, ``cancelled`` or the error's code.
            timing: ``queue_ms`` and ``compute_ms``, where it was computed.
        """
        from opentelemetry.trace import StatusCode, set_span_in_context

        end = time.time_ns()
        for name in ("compute", "queue") if timing else ():
            begin = end - int(timing[f"{name}_ms"] * NS)
            part = self._tracer.start_span(name, set_span_in_context(span), start_time=begin)
            part.end(end)
            end = begin
        if outcome not in ("ok", "cancelled"):
            span.set_status(StatusCode.ERROR, outcome)
        span.set_attribute("bertfeat.outcome", outcome)
        span.end()
