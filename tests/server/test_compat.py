"""The unmodified client of bert-as-service against a server with its ports."""

import json
import signal
import threading
import time
import warnings
from contextlib import suppress

import numpy as np
import psutil
import pytest
import zmq
from bert_serving.client import BertClient, ConcurrentBertClient
from fake_encoder import vector_of
from http_served import REAL, free_port

from bertfeat import Encoder
from conftest import Server

TEXTS = ["a first text", "another", "第三个 🙂", "x " * 20]


def expected(texts):
    return np.stack([vector_of(text) for text in texts])


@pytest.fixture(scope="module")
def ports():
    return free_port(), free_port()


@pytest.fixture(scope="module")
def served(tmp_path_factory, ports):
    options = ("--compat", "--compat-ports", f"{ports[0]},{ports[1]}")
    server = Server(tmp_path_factory.mktemp("compat"), "--port", "0", *options).wait_ready()
    yield server
    assert server.end() == 0


@pytest.fixture
def connect(served, ports):
    """A factory of old clients."""
    clients = []

    def begin(kind=BertClient, **options):
        options = {"timeout": 30_000, "check_length": False} | options
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            clients.append(kind(port=ports[0], port_out=ports[1], **options))
        return clients[-1]

    yield begin
    for client in clients:
        client.close()


@pytest.fixture
def push(served, ports, zmq_context):
    """Push raw frames to the server's port."""
    socket = zmq_context.socket(zmq.PUSH)
    socket.connect(f"tcp://127.0.0.1:{ports[0]}")
    yield lambda *frames: socket.send_multipart(frames)
    socket.close(linger=1000)


def test_the_client_passes_its_checks_and_gets_the_right_vectors(connect):
    client = connect(check_version=True, check_length=True, show_server_config=True)
    vectors = client.encode(TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, expected(TEXTS))


def test_words_are_taken_as_they_are_split(connect):
    words = [["a", "first"], ["text"]]
    vectors = connect().encode(words, is_tokenized=True)
    np.testing.assert_array_equal(vectors, expected(words))


def test_lists_come_where_lists_are_wanted(connect):
    assert connect(output_fmt="list").encode(["a"]) == expected(["a"]).tolist()


def test_answers_are_fetched_later(connect):
    client = connect()
    for text in TEXTS:
        client.encode([text], blocking=False)
    together = client.fetch_all(sort=True, concat=True)
    np.testing.assert_array_equal(together, expected(TEXTS))


def test_batches_of_a_generator_all_come_back(connect):
    batches = [[f"text {batch} {row}" for row in range(5)] for batch in range(20)]
    found = {r.id: r.embedding for r in connect().encode_async(iter(batches), delay=0.5)}
    # the client's first number went to its question for the server's settings
    for batch, (_, vectors) in zip(batches, sorted(found.items()), strict=True):
        np.testing.assert_array_equal(vectors, expected(batch))


def test_two_clients_with_one_identity_hear_each_other(connect):
    speaker, listener = connect(identity=b"shared"), connect(identity=b"shared")
    vectors = speaker.encode(["to both"])
    time.sleep(0.05)
    listener.receiver.setsockopt(zmq.RCVTIMEO, 10_000)
    frames = listener.receiver.recv_multipart()
    while len(frames) < 4:  # answers to the other's questions
        frames = listener.receiver.recv_multipart()
    np.testing.assert_array_equal(np.frombuffer(frames[2], np.float32), vectors[0])


def test_the_status_tells_of_the_server(connect):
    status = connect().server_status
    assert status["server_version"] == "1.10.0" and status["ready"] is True
    assert status["max_seq_len"] == 32 and status["workers"]


def test_threads_share_a_concurrent_client(connect):
    client, found = connect(ConcurrentBertClient, max_concurrency=8), {}

    def run(number):
        found[number] = client.encode(texts=[f"text {number}"])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, vectors in found.items():
        np.testing.assert_array_equal(vectors, expected([f"text {number}"]))
    assert len(found) == 8 and client.server_status["ready"] is True


@pytest.mark.filterwarnings("ignore")
def test_what_the_server_refuses_makes_the_client_raise(connect):
    client = connect()
    with pytest.raises(TypeError, match="this text is refused"):
        client.encode(["fine", "SECRET"])
    np.testing.assert_array_equal(client.encode(["fine"]), expected(["fine"]))


def test_a_client_that_waits_too_long_is_told_by_itself(connect):
    client = connect(timeout=300)
    with pytest.raises(TimeoutError):
        client.encode(["SLEEP 1.5"])


def test_malformed_messages_hurt_nobody(connect, push):
    client = connect()
    for frames in (
        [b""], [b"a"] * 3, [b"a"] * 5, [b"x", b"[", b"1", b"1"],
        [b"x", b'["a"]', b"1", b"999999999"],
        [b"a#b@3", b'["a"]', b"1", b"1"], [b"\xff\xfe", b"SHOW_CONFIG", b"1", b"0"],
        [b"x", b"TERMINATION", b"1", b"0"], [b"x", json.dumps([None] * 9).encode(), b"1", b"9"],
    ):  # fmt: skip
        push(*frames)
    np.testing.assert_array_equal(client.encode(TEXTS), expected(TEXTS))


def test_answers_to_a_client_that_reads_late_are_not_lost(connect):
    client = connect()
    for number in range(500):
        client.encode([f"text {number}"], blocking=False)
    time.sleep(1.0)
    together = client.fetch_all(concat=True)
    np.testing.assert_array_equal(together, expected([f"text {n}" for n in range(500)]))


def test_the_process_that_serves_them_is_replaced(served, ports, connect, wait_for):
    def bridge():
        for child in psutil.Process(served.process.pid).children():
            with suppress(psutil.NoSuchProcess):
                if ports[0] in {c.laddr.port for c in child.net_connections()}:
                    return child.pid
        return None

    first = bridge()
    psutil.Process(first).kill()
    wait_for(lambda: bridge() not in (None, first))
    np.testing.assert_array_equal(connect().encode(["again"]), expected(["again"]))


@pytest.mark.filterwarnings("ignore::bertfeat.errors.TruncationWarning")
def test_tokens_come_with_the_vectors_where_they_are_shown(tiny_bert, tmp_path, ports):
    folder, mine = tiny_bert(seed=3), (free_port(), free_port())
    options = (
        f"--model=tiny={folder}", "--compat", "--compat-ports", f"{mine[0]},{mine[1]}", "--port",
        "0", "--compat-show-tokens", "--precision=float32", "--pooling=NONE", "--max-seq-len=8",
    )  # fmt: skip
    server = Server(tmp_path, *options, **REAL).wait_ready()
    try:
        client = BertClient(port=mine[0], port_out=mine[1], timeout=30_000, check_length=False)
        vectors, tokens = client.encode(["the cat", "cat " * 20], show_tokens=True)
        client.close()
    finally:
        assert server.end() == 0
    encoder = Encoder.load(folder)
    for row, text in enumerate(["the cat", "cat " * 20]):
        assert tokens[row] == encoder.tokenizer.encode(text, max_length=8).tokens
        own = encoder.encode([text], pooling="none", normalize=False, max_seq_len=8)[0]
        np.testing.assert_allclose(vectors[row, : len(own)], own, atol=1e-5)
    assert vectors.shape[:2] == (2, 8) and not vectors[0, len(tokens[0]) :].any()


def test_taken_ports_are_an_error_that_names_the_option(start, ports, served):
    options = ("--compat", "--compat-ports", f"{ports[0]},{ports[1]}")
    server = start(*options, ready=False)
    assert server.end(0) == 1
    assert "--compat-ports" in server.errors.read_text()


def test_no_process_outlives_a_supervisor_that_is_killed_while_they_begin(start, wait_for):
    mine = free_port(), free_port()
    server = start("--compat", "--compat-ports", f"{mine[0]},{mine[1]}", ready=False)
    wait_for(lambda: len(server.pids()) > 2)
    children = [psutil.Process(pid) for pid in server.pids()]
    server.end(signal.SIGKILL)
    assert psutil.wait_procs(children, timeout=30)[1] == []
