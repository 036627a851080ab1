"""What a server tells of its work: metrics, their page and dashboard, the log of requests."""

import json
import logging
import os
import re
import signal

import numpy as np
import psutil
import pytest

from bertfeat_server.config import ServerConfig
from bertfeat_server.http.metrics import HISTOGRAMS, Metrics
from bertfeat_server.logs import BUSY_WITH, set_up
from bertfeat_server.tally import Histogram
from broker_stage import Stage
from source_tree import ROOT

prometheus = pytest.importorskip("prometheus_client.parser")
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def stage():
    """A broker that has answered, refused and lost something."""
    stage = Stage(max_batch_tokens=10).hello()
    stage.dispatcher.tally.restarts["broker"] = 2
    stage.client(items=["aa", "aa", "b"], name="1").pump(0.5).serve()
    stage.client(items=[None, "c"], name="2").pump(2.0).serve()
    stage.client(priority="urgent", name="3").client("nonsense", name="4")
    stage.client(items=["x"], name="5").lose().hello("w2").serve()
    return stage


@pytest.fixture
def told(stage):
    """Every sample of the metrics' page: (name, labels) to value."""
    status = stage.client("status", None, name="s").replies[-1][1].header["info"]
    text = Metrics().text(json.loads(json.dumps(status))).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in prometheus.text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_count_what_happened(told):
    assert told["bertfeat_requests_answered_total", ()] == 3
    assert told["bertfeat_request_errors_total", (("code", "invalid_request"),)] == 2
    assert told["bertfeat_text_errors_total", (("code", "invalid_request"),)] == 1
    assert told["bertfeat_duplicate_texts_total", ()] == 1
    assert told["bertfeat_batches_lost_total", ()] == 1
    assert told["bertfeat_restarts_total", (("role", "broker"),)] == 2
    assert told["bertfeat_packed_tokens_total", ()] == 3 * 6
    assert told["bertfeat_padding_tokens_total", ()] == 3 * 2
    assert told["bertfeat_packing_fill_bucket", (("le", "0.7"),)] == 0
    assert told["bertfeat_packing_fill_bucket", (("le", "0.8"),)] == 3
    assert told["bertfeat_non_finite_texts_total", ()] == 3
    assert told["bertfeat_batch_texts_count", ()] == told["bertfeat_batches_total", ()] == 3
    assert told["bertfeat_batch_seconds_sum", ()] == pytest.approx(2.5)
    assert told["bertfeat_request_seconds_bucket", (("le", "0.5"),)] == 2
    assert told["bertfeat_request_seconds_bucket", (("le", "+Inf"),)] == 3


def test_every_metric_is_documented_and_every_documented_one_exists(told):
    exported = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name, _ in told}
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    named = set(re.findall(r"`(bertfeat_\w+)`", page)) - {"bertfeat_client"}
    http = {name for name in named if name.startswith("bertfeat_http_")}
    assert named - http == exported and len(http) == 2
    assert {f"bertfeat_{name}" for name in HISTOGRAMS} <= named


def test_the_dashboard_asks_for_metrics_that_exist():
    dashboard = json.loads((ROOT / "deploy" / "grafana.json").read_text("utf-8"))
    queries = " ".join(t["expr"] for panel in dashboard["panels"] for t in panel["targets"])
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    asked = {re.sub("_bucket$", "", name) for name in re.findall(r"bertfeat_\w+", queries)}
    assert len(asked) > 10 and asked <= set(re.findall(r"`(bertfeat_\w+)`", page))


def test_a_histogram_counts_each_value_once_in_its_bucket():
    rng, histogram = np.random.default_rng(0), Histogram((1, 2, 5))
    values = [*rng.uniform(0, 9, 100), 1, 2, 5]
    for value in values:
        histogram.observe(value)
    told = histogram.as_dict()
    expected = np.histogram(values, [-1, 1 + 1e-9, 2 + 1e-9, 5 + 1e-9, 99])[0]
    assert told["counts"] == expected.tolist() and told["sum"] == pytest.approx(sum(values))


def test_the_log_of_requests_names_ids_and_outcomes_and_no_texts(caplog):
    caplog.set_level(logging.INFO, "bertfeat_server.requests")
    stage = Stage().hello().client(items=["confidential"], request_id="r-1", traceparent=TRACE)
    stage.serve().client(items=["confidential"], name="2", timeout_ms=100, traceparent="bad trace")
    stage.pump(1.0)
    first, second = (record.fields for record in caplog.records)
    assert (first["request"], first["request_id"], first["traceparent"]) == ("1", "r-1", TRACE)
    assert (first["outcome"], first["texts"], second["outcome"]) == ("ok", 1, "deadline_exceeded")
    assert "traceparent" not in second and "confidential" not in caplog.text


def test_requests_are_logged_only_where_that_was_asked_for(start, client):
    quiet, loud = start(), start("--log-requests", "--log-json")
    for server in (quiet, loud):
        client(server.endpoint).ask("encode", ["a"], request_id="mine")
    lines = [json.loads(line) for line in loud.errors.read_text().splitlines() if "mine" in line]
    assert [line["outcome"] for line in lines] == ["ok"]
    assert lines[0]["total_ms"] > 0 and lines[0]["logger"] == "bertfeat_server.requests"


def test_what_workers_and_the_broker_log_names_the_requests_of_the_batch(start, client, wait_for):
    server = start("--log-json", "--quiet")
    client(server.endpoint).ask("encode", ["RAISE"], request_id="mine")
    client(server.endpoint).ask("encode", ["CRASH"], request_id="yours")
    lines = [json.loads(line) for line in server.errors.read_text().splitlines()]
    surprise = next(line for line in lines if "a surprise" in line.get("traceback", ""))
    assert surprise["requests"] == ["mine"] and surprise["batch"] > 0
    lost = [line for line in lines if line.get("requests") == ["yours"]]
    assert [line["logger"] for line in lost] == ["bertfeat_server.outcomes"] * 2
    assert "RAISE" not in surprise["message"]


def test_a_line_for_people_ends_with_the_requests(capsys):
    set_up(ServerConfig())
    busy = BUSY_WITH.set({"batch": 3, "requests": ["a", "b"]})
    logging.getLogger("bertfeat_server.x").warning("trouble")
    BUSY_WITH.reset(busy)
    logging.getLogger("bertfeat_server.x").warning("none")
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(": trouble batch=3 requests=['a', 'b']") and second.endswith(": none")


def test_workers_tell_what_they_computed_and_which_processes_were_replaced(start, client, wait_for):
    server = start("--quiet")
    talking = client(server.endpoint)
    reply = talking.ask("encode", ["one two", "NAN", "three"])
    assert list(reply.header["row_errors"]) == ["1"]
    status = server.status()
    assert status["computed"] == {"tokens": 4 + 3, "padding": 3 * 32 - 7}
    assert status["texts"]["non_finite"] == 1 and status["restarts"] == {"broker": 0}
    assert status["connections"] >= 1
    os.kill(status["workers"][0]["pid"], signal.SIGKILL)
    wait_for(lambda: server.status()["restarts"] == {"broker": 0, "worker": 1})
    broker = next(pid for pid in server.pids() if role_of(pid) == "broker")
    os.kill(broker, signal.SIGKILL)
    wait_for(lambda: server.status()["restarts"] == {"broker": 1})


def role_of(pid):
    """The broker is the process that listens on the server's endpoint."""
    paths = [one.laddr for one in psutil.Process(pid).net_connections("unix")]
    return "broker" if any("front-" in str(path) for path in paths) else "other"


def test_a_line_of_the_log_names_few_of_a_lost_batchs_requests(caplog):
    stage = Stage().hello().client(items=["a"])
    for number in range(10):
        stage.client(items=["b"], name=f"r{number}")
    stage.serve().lose()
    [line] = [record for record in caplog.records if "is lost" in record.message]
    assert line.message.endswith("r0, r1, r2, r3, r4, r5, r6, r7 and 2 more")
    assert len(line.fields["requests"]) == 10
