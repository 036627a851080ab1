"""Real processes and sockets around a fake encoder: what a running server promises."""

import json
import os
import signal
import socket
import time

import numpy as np
import psutil
import pytest
from fake_encoder import vector_of

from bertfeat_client.protocol import Message, encode_message


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One server for the tests that do it no harm."""
    from conftest import Server

    folder = tmp_path_factory.mktemp("shared")
    server = Server(folder, "--endpoint", f"ipc://{folder}/front.ipc", "--max-request-texts", "500")
    yield server.wait_ready()
    assert server.end() == 0


def expected(texts, scale=1.0):
    return np.stack([vector_of(text, scale) for text in texts])


def gone(pids) -> bool:
    return not any(psutil.pid_exists(pid) for pid in pids)


def test_texts_come_back_as_vectors(shared, client):
    texts = ["one", "two three", "日本語", ""]
    reply = client(shared.endpoint).ask("encode", texts)
    np.testing.assert_array_equal(reply.arrays["vectors"], expected(texts))
    assert reply.arrays["num_tokens"].tolist() == [3, 4, 3, 2]
    assert reply.arrays["truncated"].tolist() == [False] * 4
    info = {"precision": "float32", "model_hash": "0" * 64, "model": "all-MiniLM-L6-v2"}
    timing = reply.header["info"].pop("timing")
    assert reply.header["info"] == info
    assert timing["total_ms"] == pytest.approx(timing["queue_ms"] + timing["compute_ms"], abs=0.01)


def test_a_request_larger_than_many_batches_keeps_its_order(shared, client):
    texts = [f"text number {number} " * 20 for number in range(500)]
    np.testing.assert_array_equal(
        client(shared.endpoint).ask("encode", texts).arrays["vectors"], expected(texts)
    )


def test_options_reach_the_encoder_and_do_not_mix(shared, client):
    socket = client(shared.endpoint)
    names = {socket.send("encode", ["abc"], options={"scale": scale}): scale for scale in range(9)}
    for _ in names:
        reply = socket.receive()
        np.testing.assert_array_equal(
            reply.arrays["vectors"], expected(["abc"], names[reply.header["id"]])
        )


def test_pairs_words_and_bad_rows_in_one_request(shared, client):
    items = ["plain", {"text": "a", "pair": "b"}, {"words": ["x", "y"]}, 7, "SECRET 1"]
    reply = client(shared.endpoint).ask("encode", items)
    good = expected(["plain", ("a", "b"), ["x", "y"]])
    np.testing.assert_array_equal(reply.arrays["vectors"], np.vstack([good, np.zeros((2, 8))]))
    errors = reply.header["row_errors"]
    assert errors["3"]["message"].startswith("texts[3]: expected a string")
    assert errors["4"] == {"code": "invalid_request", "message": "texts[4]: this text is refused"}


def test_token_vectors_are_ragged_with_tokens_and_offsets(shared, client):
    reply = client(shared.endpoint).ask("tokens", ["a bc", "d"])
    assert reply.items == [["[CLS]", "a", "bc", "[SEP]"], ["[CLS]", "d", "[SEP]"]]
    assert reply.arrays["lengths"].tolist() == [4, 3]
    assert reply.arrays["word_ids"].tolist() == [-1, 0, 1, -1, -1, 0, -1]
    assert reply.arrays["offsets"][2].tolist() == [0, 2]
    assert reply.arrays["vectors"].shape == (7, 2, 8)
    np.testing.assert_array_equal(reply.arrays["vectors"][5, 1], vector_of("d"))


def test_ragged_rows_without_pooling(shared, client):
    reply = client(shared.endpoint).ask("encode", ["a b", "c"], options={"pooling": "none"})
    assert reply.arrays["lengths"].tolist() == [4, 3]
    np.testing.assert_array_equal(reply.arrays["vectors"][4], vector_of("c"))


def test_scores_of_pairs(shared, client):
    reply = client(shared.endpoint).ask("score", [{"text": "q", "pair": "d"}])
    np.testing.assert_array_equal(reply.arrays["scores"], [[vector_of(("q", "d"))[0]]])


@pytest.mark.parametrize(
    ("op", "options", "said"),
    [
        ("encode", {"scale": "big"}, "scale='big' is not a number"),
        ("encode", {"return_info": False}, "unknown option(s) return_info"),
        ("encode", {"colour": 1}, "colour"),
        ("tokens", {"colour": 1}, "colour"),
        ("score", {"colour": 1}, "score takes raw only"),
    ],
)
def test_options_that_cannot_be_are_the_callers_fault(shared, client, op, options, said):
    error = client(shared.endpoint).ask(op, ["a"], options=options).header["error"]
    assert error["code"] == "invalid_request"
    assert said in error["message"]


def test_a_deadline_ends_a_request_that_is_under_way(shared, client):
    socket = client(shared.endpoint)
    began = time.monotonic()
    error = socket.ask("encode", ["SLEEP 1.5"], timeout_ms=200).header["error"]
    assert error["code"] == "deadline_exceeded"
    assert time.monotonic() - began < 1.4


def test_a_cancelled_request_is_not_computed(shared, client, wait_for):
    busy, other = client(shared.endpoint), client(shared.endpoint)
    wait_for(lambda: not shared.status()["batches"]["running"])
    before = shared.status()["batches"]["rows"]
    busy.send("encode", ["SLEEP 1"])
    wait_for(lambda: shared.status()["batches"]["running"])
    other.send("encode", ["never"] * 100, name="x")
    other.send("cancel", name="x")
    busy.receive()
    assert not other.socket.poll(200)
    assert shared.status()["batches"]["rows"] == before + 1


def test_garbage_of_many_kinds_is_answered_or_dropped_and_hurts_nobody(shared, client):
    frames = encode_message(Message({"op": "encode", "id": "1"}, ["a"]))
    junk = client(shared.endpoint).socket
    for message in ([b""], [b"x" * 9], [b"BFT"], [b"BFT\x07{}"], frames[:1], [*frames, b""]):
        junk.send_multipart(message)
        assert junk.poll(10_000), message
        junk.recv_multipart()
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(shared.endpoint.removeprefix("ipc://"))
        raw.sendall(b"GET / HTTP/1.1\r\n\r\n" + os.urandom(1000))
        reply = client(shared.endpoint).ask("encode", ["still here"])
    np.testing.assert_array_equal(reply.arrays["vectors"], expected(["still here"]))


def test_the_status_command_gives_one_object(shared):
    report = json.loads(shared.command("status", "--json", "--endpoint", shared.endpoint).stdout)
    assert (report["ready"], report["endpoint"]) == (True, shared.endpoint)
    [worker] = report["workers"]
    assert worker == {"pid": worker["pid"], "state": "ready", "model": "all-MiniLM-L6-v2"}
    assert worker["pid"] in shared.pids()


def test_the_status_command_needs_no_arguments_and_shows_a_table(shared):
    done = shared.command("status")
    assert done.returncode == 0
    assert done.stdout.startswith(f"{shared.endpoint}  ready  up ")


def test_stop_is_refused_to_whoever_has_no_run_file(shared, tmp_path):
    shared.environment["XDG_RUNTIME_DIR"], folder = (
        str(tmp_path),
        shared.environment["XDG_RUNTIME_DIR"],
    )
    done = shared.command("stop", "--endpoint", shared.endpoint)
    shared.environment["XDG_RUNTIME_DIR"] = folder
    assert done.returncode == 1
    assert "admin token" in done.stderr


def test_a_second_server_on_the_same_endpoint_says_that_it_is_taken(shared, start):
    second = start("--endpoint", shared.endpoint, ready=False)
    assert second.end(0) == 1
    error = f"bertfeat-serve: cannot listen on {shared.endpoint}: another process does\n"
    assert second.errors.read_text() == error
    assert shared.status()["ready"]


def test_a_taken_port_is_said(start):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        server = start("--port", str(holder.getsockname()[1]), ready=False)
        assert server.end(0) == 1
    assert "Address already in use" in server.errors.read_text()


@pytest.mark.parametrize(
    ("model", "said"),
    [("missing", "no model 'missing' anywhere"), ("crashing", "exited with code 67")],
)
def test_a_model_that_cannot_be_loaded_ends_the_start_with_the_workers_reason(start, model, said):
    server = start("--model", model, ready=False)
    assert server.end(0) == 1
    assert server.process.stdout.closed
    assert said in server.errors.read_text().splitlines()[-1]


def test_start_prints_one_ready_line_and_a_summary(start):
    server = start("--port", "0")
    assert server.endpoint.startswith("tcp://127.0.0.1:")
    summary = server.errors.read_text()
    assert "precision  float32 (asked for)" in summary
    server.process.send_signal(signal.SIGTERM)
    assert server.process.stdout.read() == ""
    assert server.end() == 0
    assert server.errors.read_text() == summary


def test_quiet_means_no_summary(start):
    assert start("--quiet").errors.read_text() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_running_requests_end_and_leaves_nothing(start, client, number):
    server = start("--workers", "2")
    pids, files = server.pids(), list(server.folder.glob("**/*.ipc"))
    assert len(pids) == 3
    assert len(files) == 2
    socket = client(server.endpoint)
    slow = socket.send("encode", ["SLEEP 1"] + ["text"] * 50)
    socket.ask("info")
    server.process.send_signal(number)
    late = socket.receive()
    assert (late.header["id"], late.header["status"]) == (slow, "ok")
    assert server.end(0) == 0
    assert gone(pids)
    assert list(server.folder.glob("**/*.ipc")) == []
    assert list(server.folder.glob("bertfeat/*")) == []


def test_draining_ends_at_its_bound_with_an_answer_to_everybody(start, client):
    server = start("--drain-timeout-s", "0.5")
    socket, pids = client(server.endpoint), server.pids()
    socket.send("encode", ["SLEEP 60"])
    socket.ask("info")
    server.process.send_signal(signal.SIGTERM)
    assert socket.receive().header["error"]["code"] == "shutting_down"
    assert server.end(0) == 0
    assert gone(pids)


def test_a_second_signal_ends_everything_at_once(start, client, wait_for):
    server = start()
    socket, pids = client(server.endpoint), server.pids()
    socket.send("encode", ["SLEEP 60"])
    socket.ask("info")
    server.process.send_signal(signal.SIGINT)
    wait_for(lambda: server.status()["draining"])
    server.process.send_signal(signal.SIGINT)
    assert socket.receive().header["error"]["code"] == "shutting_down"
    assert server.process.wait(15) == 0
    assert gone(pids)


def test_a_server_is_stopped_while_its_model_still_loads(start, client, wait_for):
    server = start("--model", "slow", "--drain-timeout-s", "300", ready=False)
    wait_for(lambda: len(server.pids()) == 2 and list(server.folder.glob("bertfeat/serve-*.json")))
    pids = server.pids()
    report = json.loads(server.command("status", "--json").stdout)
    assert report["ready"] is False
    socket = client(report["endpoint"])
    socket.send("encode", ["waits"])
    socket.ask("info")
    server.process.send_signal(signal.SIGTERM)
    assert socket.receive().header["error"]["code"] == "shutting_down"
    assert server.process.wait(15) == 0
    assert gone(pids)
    assert list(server.folder.glob("**/*.ipc")) == []


def test_the_stop_command_waits_for_the_end(start):
    server = start()
    pids = server.pids()
    done = server.command("stop")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert server.end(0) == 0
    assert gone(pids)


def test_no_process_outlives_a_killed_supervisor(start, client, wait_for):
    server = start("--workers", "2")
    client(server.endpoint).send("encode", ["SLEEP 30"])
    pids = server.pids()
    server.end(signal.SIGKILL)
    wait_for(lambda: gone(pids), 10)
    assert "no server of yours" in server.command("status").stderr
    assert list(server.folder.glob("bertfeat/*")) == []


def test_a_worker_killed_amid_many_requests_costs_nobody_an_answer(start, client, wait_for):
    server = start("--workers", "2", "--max-batch-tokens", "64")
    sockets = [client(server.endpoint) for _ in range(20)]
    asked = {}
    for number in range(200):
        texts = [f"SLEEP 0.02 {number}", *(f"{number} {row}" for row in range(number % 7))]
        asked[sockets[number % 20].send("encode", texts)] = texts
    wait_for(lambda: server.status()["batches"]["done"] > 3)
    victim = server.status()["workers"][0]["pid"]
    os.kill(victim, signal.SIGKILL)
    for asking in sockets:
        for _ in range(10):
            reply = asking.receive()
            texts = asked.pop(reply.header["id"])
            assert "row_errors" not in reply.header
            np.testing.assert_array_equal(reply.arrays["vectors"], expected(texts))
    assert not asked
    report = server.status()
    assert report["batches"]["lost"] >= 1
    assert victim not in [worker["pid"] for worker in report["workers"]]


def test_a_text_that_kills_its_worker_is_refused_and_its_neighbours_are_served(start, client):
    server = start()
    reply = client(server.endpoint).ask("encode", ["good", "CRASH", "fine"])
    np.testing.assert_array_equal(reply.arrays["vectors"][[0, 2]], expected(["good", "fine"]))
    assert list(reply.header["row_errors"]) == ["1"]
    assert reply.header["row_errors"]["1"]["code"] == "internal_error"


def test_a_worker_that_hangs_is_replaced(start, client, tmp_path):
    server = start("--worker-timeout-s", "1")
    before = server.status()["workers"][0]["pid"]
    flag = tmp_path / "once"
    flag.touch()
    reply = client(server.endpoint).ask("encode", ["a", f"HANG-ONCE {flag}"])
    assert "row_errors" not in reply.header
    assert server.status()["workers"][0]["pid"] != before
    assert not psutil.pid_exists(before)


def test_a_killed_broker_is_replaced_and_workers_find_the_new_one(start, client, wait_for):
    server = start()
    socket = client(server.endpoint)
    socket.ask("encode", ["before"])
    workers = [worker["pid"] for worker in server.status()["workers"]]
    [broker] = set(server.pids()) - set(workers)
    os.kill(broker, signal.SIGKILL)
    wait_for(lambda: set(server.pids()) - set(workers) - {broker})
    reply = client(server.endpoint).ask("encode", ["after"])
    np.testing.assert_array_equal(reply.arrays["vectors"], expected(["after"]))
    assert [worker["pid"] for worker in server.status()["workers"]] == workers


def test_a_further_worker_joins_and_leaves(start, client, wait_for):
    server = start()
    joined = server.join("--connect", server.endpoint)
    wait_for(lambda: joined.pid in [worker["pid"] for worker in server.status()["workers"]])
    socket = client(server.endpoint)
    for scale in range(2):
        socket.send("encode", ["SLEEP 1"], options={"scale": scale})
    wait_for(lambda: {worker["state"] for worker in server.status()["workers"]} == {"busy"})
    joined.send_signal(signal.SIGTERM)
    assert joined.wait(10) == 0
    assert [socket.receive().header["status"] for _ in range(2)] == ["ok", "ok"]
    assert len(server.status()["workers"]) == 1


def test_a_joined_worker_leaves_with_the_server(start):
    server = start()
    joined = server.join()
    assert server.end() == 0
    assert joined.returncode == 0


def test_the_log_can_be_json(start, client):
    server = start("--log-json", "--quiet")
    client(server.endpoint).ask("encode", ["RAISE"])
    lines = [json.loads(line) for line in server.errors.read_text().splitlines()]
    failures = [line for line in lines if "traceback" in line]
    assert "a surprise" in failures[0]["traceback"]
    assert failures[0]["level"] == "error"
