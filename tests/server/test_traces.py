"""Spans of requests, as a collector receives them."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from bertfeat_server.traces import Traces
from broker_stage import Stage

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
    InMemorySpanExporter,
)

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
def collector():
    """A collector on this machine: its URL and the spans that came."""
    spans = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                spans.extend(span for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces", spans
    server.shutdown()
    server.server_close()


def test_a_servers_spans_reach_the_collector_below_the_callers_trace(start, client, collector):
    url, spans = collector
    server = start("--otlp-endpoint", url)
    talking = client(server.endpoint)
    talking.ask("encode", ["confidential", "b"], traceparent=TRACEPARENT, request_id="mine")
    assert server.end() == 0  # the last spans are sent before the end
    named = {span.name: span for span in spans}
    assert set(named) == {"bertfeat encode", "queue", "compute"}
    request = named["bertfeat encode"]
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    told = {pair.key: pair.value for pair in request.attributes}
    assert told["bertfeat.request"].string_value == "mine"
    assert told["bertfeat.texts"].int_value == 2
    assert "confidential" not in str(spans)
    queue, compute = named["queue"], named["compute"]
    assert queue.parent_span_id == compute.parent_span_id == request.span_id
    assert queue.end_time_unix_nano == compute.start_time_unix_nano
    assert queue.start_time_unix_nano <= queue.end_time_unix_nano <= compute.end_time_unix_nano


@pytest.fixture
def stage():
    """A broker whose spans lie in ``exporter``."""
    stage = Stage().hello()
    stage.exporter = InMemorySpanExporter()
    stage.traces = Traces(stage.exporter)
    stage.dispatcher.ledger._traces = stage.traces
    return stage


def spans_of(stage):
    stage.traces.provider.force_flush()
    return [span for span in stage.exporter.get_finished_spans() if span.parent is None]


def test_every_end_of_a_request_ends_its_span(stage):
    stage.client(items=["a"], name="1").serve()
    stage.client(items=["b"], name="2", timeout_ms=100).pump(1.0)
    stage.client(items=["c"], name="3").client("cancel", None, name="3")
    found = {span.attributes["bertfeat.request"]: span for span in spans_of(stage)}
    ends = {name: span.attributes["bertfeat.outcome"] for name, span in found.items()}
    assert ends == {"1": "ok", "2": "deadline_exceeded", "3": "cancelled"}
    codes = {name: span.status.status_code.name for name, span in found.items()}
    assert codes == {"1": "UNSET", "2": "ERROR", "3": "UNSET"}


def test_without_an_endpoint_nothing_is_traced():
    assert Traces.to("") is None


def test_a_collector_that_is_away_costs_no_answer(start, client):
    server = start("--otlp-endpoint", "http://127.0.0.1:9/v1/traces", "--quiet")
    reply = client(server.endpoint).ask("encode", ["a"])
    assert reply.header["status"] == "ok"
    assert server.end() == 0
