"""The client on real sockets: threads, forks, restarts, wrong ports, the end."""

import gc
import http.server
import multiprocessing
import pickle
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import zmq

from bertfeat_client import AsyncClient, Client
from bertfeat_client.errors import (
    ClientClosed,
    ClientError,
    ConnectTimeout,
    InvalidRequest,
    MalformedMessage,
    ReplyTimeout,
    TransportError,
)
from bertfeat_client.zeromq import ZeroMQ
from child_call import encode_in_child


@pytest.fixture
def client(router):
    with Client(router.endpoint, timeout_s=20) as client:
        yield client


def test_vectors_come_over_a_socket(client, fake):
    texts = [f"text {n}" for n in range(50)]
    vectors = client.encode(texts)
    np.testing.assert_array_equal(vectors, [fake.vector_of(text) for text in texts])
    assert vectors.flags.writeable and vectors.flags.c_contiguous


def test_an_ipc_endpoint_will_do(serve, fake, tmp_path):
    server = serve(f"ipc://{tmp_path}/socket")
    with Client(server.endpoint, timeout_s=20) as client:
        np.testing.assert_array_equal(client.encode("a"), fake.vector_of("a"))


def test_threads_share_one_client(client, fake):
    def work(number):
        for turn in range(20):
            text = f"thread {number} turn {turn}"
            results.append((client.encode(text) == fake.vector_of(text)).all())

    results = []
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 160 and all(results)


def test_threads_that_ended_leave_no_sockets_behind(client):
    def count():
        return len(list(Path("/proc/self/fd").iterdir()))

    client.info()
    before = count()
    for _ in range(30):
        thread = threading.Thread(target=client.info)
        thread.start()
        thread.join()
    assert count() < before + 20
    assert len(client._calls._lines._lines) <= 2


def test_a_pickled_client_is_another_with_the_same_options(client, fake):
    client.info()
    with pickle.loads(pickle.dumps(client)) as other:
        assert (other.endpoint, other.timeout_s) == (client.endpoint, 20)
        np.testing.assert_array_equal(other.encode("a"), fake.vector_of("a"))
    assert client.status()["ready"]
    asynchronous = AsyncClient(client.endpoint, timeout_s=3)
    assert pickle.loads(pickle.dumps(asynchronous)).timeout_s == 3


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_process_opens_sockets_of_its_own(client, fake, method):
    context = multiprocessing.get_context(method)
    client.info()
    ours, theirs = context.Pipe()
    child = context.Process(target=encode_in_child, args=(client, theirs))
    child.start()
    assert ours.poll(60)
    answer = ours.recv()
    child.join(20)
    assert child.exitcode == 0 and isinstance(answer, np.ndarray), answer
    np.testing.assert_array_equal(answer[8], fake.vector_of("from the child"))
    np.testing.assert_array_equal(client.encode("still here"), fake.vector_of("still here"))


def test_a_call_that_is_under_way_survives_a_restart_of_the_server(router, client, fake):
    asked = threading.Event()

    def hold(request):
        if request.header["op"] == "encode" and not asked.is_set():
            asked.set()
            return []
        return None

    fake.instead = hold
    results = []
    caller = threading.Thread(target=lambda: results.append(client.encode(["a"] * 9)))
    caller.start()
    assert asked.wait(10)
    router.stop()
    router.start()
    caller.join(20)
    np.testing.assert_array_equal(results[0], np.tile(fake.vector_of("a"), (9, 1)))


def test_the_next_call_after_a_restart_works_and_asks_for_the_limits_anew(router, client, fake):
    client.encode("a")
    router.stop()
    fake.info["limits"]["max_request_texts"] = 2
    router.start()
    client.encode(["a"] * 6)
    client.encode(["a"] * 6)
    assert [len(request.items) for request in fake.requests[-3:]] == [2, 2, 2]
    assert fake.ops().count("info") == 2


def send(channel, *frames):
    """Send as soon as there is a connection."""
    while channel.send(frames) is None:
        assert channel._monitor.poll(10_000), "no connection came about"
        channel.receive()


def receive(channel):
    return [bytes(frame) for frame in channel.receive()]


@pytest.fixture
def endpoint(tmp_path):
    return f"ipc://{tmp_path}/socket"


@pytest.fixture
def broken(zmq_context, endpoint):
    """A channel whose server answered and went, while nobody looked."""
    transport = ZeroMQ(endpoint)
    with zmq_context.socket(zmq.ROUTER) as server:
        server.bind(endpoint)
        channel = transport.open(asynchronous=False)
        send(channel, b"question")
        peer, _ = server.recv_multipart()
        server.send_multipart([peer, b"an", b"answer"])
        server.send_multipart([peer, b"another"])
    assert channel._monitor.poll(10_000)
    yield channel
    channel.close()
    transport.close()


def test_answers_that_came_just_before_the_connection_broke_are_read(broken):
    """A server that stops sends its last answers and is gone before a busy caller wakes up."""
    assert receive(broken) == [b"an", b"answer"]
    assert receive(broken) == [b"another"]
    assert broken.receive() is None and broken.connection is None


def test_what_a_broken_connection_had_to_send_is_not_sent_on_the_next(
    broken, zmq_context, endpoint
):
    """The caller was told that it may be lost: it is sent again, or not at all."""
    broken._socket.send(b"sent before the break was seen")
    while broken.receive():
        pass
    with zmq_context.socket(zmq.ROUTER) as server:
        server.bind(endpoint)
        send(broken, b"fresh")
        assert server.poll(10_000) and server.recv_multipart()[1:] == [b"fresh"]


def test_a_connection_that_came_back_unseen_is_not_taken_for_the_old_one(
    broken, zmq_context, endpoint
):
    before, router = broken.connection, zmq_context.socket(zmq.ROUTER)
    with router as server, server.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED) as seen:
        server.bind(endpoint)
        assert seen.poll(10_000)
        assert broken.send([b"lost"]) is None and broken.connection is None
        send(broken, b"fresh")
        assert broken.connection > before
        assert server.poll(10_000) and server.recv_multipart()[1:] == [b"fresh"]
        server.disable_monitor()


def test_a_client_may_be_there_before_the_server(serve, free_port):
    results = []
    with Client(f"tcp://127.0.0.1:{free_port}", timeout_s=20) as client:
        caller = threading.Thread(target=lambda: results.append(client.status()))
        caller.start()
        serve(client.endpoint)
        caller.join(20)
    assert results[0]["ready"]


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def expect(kind, endpoint, words):
    began = time.monotonic()
    with Client(endpoint, timeout_s=0.5) as client, pytest.raises(kind, match=words):
        client.encode("a")
    assert time.monotonic() - began < 5


def test_a_port_where_nobody_listens_is_a_connect_timeout(free_port):
    expect(ConnectTimeout, f"tcp://127.0.0.1:{free_port}", "is the server running there")


def test_a_host_that_does_not_exist_is_a_connect_timeout():
    expect(ConnectTimeout, "tcp://no-such-host.invalid:5557", "no-such-host.invalid:5557 within")


def test_an_http_server_is_not_taken_for_ours():
    class Quiet(http.server.BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            expect(ConnectTimeout, f"tcp://127.0.0.1:{server.server_port}", "not a bertfeat server")
        finally:
            server.shutdown()
            thread.join()


def test_a_port_that_says_nothing_is_not_taken_for_ours():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        expect(ConnectTimeout, f"tcp://127.0.0.1:{silent.getsockname()[1]}", "not a bertfeat")


def test_a_port_that_hangs_up_all_day_stops_nothing_while_nobody_looks(monkeypatch):
    for name in ("RECONNECT_MS", "RECONNECT_MAX_MS"):
        monkeypatch.setattr(f"bertfeat_client.zeromq.{name}", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        transport = ZeroMQ(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        channel = transport.open(asynchronous=False)
        try:
            for _ in range(1200):
                server.accept()[0].close()
        finally:
            channel.receive()
            channel.close()
            transport.close()


@pytest.mark.parametrize("kind", [zmq.PUB, zmq.PULL, zmq.ROUTER])
def test_a_zeromq_socket_that_stays_silent_is_a_connect_timeout(zmq_context, kind):
    with zmq_context.socket(kind) as other:
        other.linger = 0
        port = other.bind_to_random_port("tcp://127.0.0.1")
        expect(ConnectTimeout, f"tcp://127.0.0.1:{port}", "no server answered")


def test_a_zeromq_socket_of_another_protocol_is_a_protocol_error(zmq_context):
    with zmq_context.socket(zmq.DEALER) as other:
        other.linger = 0
        port = other.bind_to_random_port("tcp://127.0.0.1")

        def greet():
            other.recv_multipart()
            other.send_multipart([b"hello", b"stranger"])

        thread = threading.Thread(target=greet)
        thread.start()
        expect(MalformedMessage, f"tcp://127.0.0.1:{port}", "a message begins with")
        thread.join()


def test_a_late_server_is_a_reply_timeout(router, fake):
    fake.instead = lambda request: [] if request.header["op"] == "encode" else None
    expect(ReplyTimeout, router.endpoint, "did not answer encode within 0.5 s")
    with Client(router.endpoint, timeout_s=20) as client:
        client.status()
    assert fake.cancelled == [r.header["id"] for r in fake.requests if r.header["op"] == "encode"]


@pytest.mark.parametrize(
    "endpoint", ["", "127.0.0.1:5557", "http://127.0.0.1:5557", "tcp://127.0.0.1", "inproc://x"]
)
def test_an_endpoint_that_makes_no_sense_is_refused_at_once(endpoint):
    with pytest.raises(InvalidRequest, match="endpoint: expected tcp://HOST:PORT or ipc://PATH"):
        Client(endpoint)


def test_an_endpoint_that_zeromq_refuses_is_a_transport_error():
    with Client("ipc://" + "x" * 300) as client, pytest.raises(TransportError, match="cannot"):
        client.info()


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan")])
def test_a_time_out_is_a_positive_number(timeout_s):
    with pytest.raises(InvalidRequest, match="timeout_s"):
        Client(timeout_s=timeout_s)


def test_closing_ends_the_calls_of_other_threads(router, client, fake):
    asked = threading.Event()

    def hold(request):
        if request.header["op"] == "encode":
            asked.set()
            return []
        return None

    def call():
        try:
            client.encode("a")
        except ClientError as error:
            errors.append(error)

    fake.instead, errors = hold, []
    caller = threading.Thread(target=call)
    caller.start()
    assert asked.wait(10)
    client.close()
    caller.join(5)
    assert isinstance(errors[0], ClientClosed)


def test_a_client_that_nobody_closed_goes_quietly(router):
    client = Client(router.endpoint, timeout_s=20)
    client.info()
    del client
    gc.collect()


def test_a_signal_while_a_socket_is_made_does_not_keep_close_waiting(router, monkeypatch):
    def interrupted(context, socket):
        cut_off.append(socket)  # as the traceback of what the signal handler raised holds it
        raise SystemExit(143)

    cut_off = []
    monkeypatch.setattr(zmq.Context, "_add_socket", interrupted)
    with pytest.raises(SystemExit), Client(router.endpoint, timeout_s=20) as client:
        client.encode("a")
    assert cut_off
    cut_off[0].close()


def test_a_closed_client_stays_closed(client):
    client.close()
    with pytest.raises(ClientClosed):
        client.info()
