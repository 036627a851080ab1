"""Callers that send or connect too much, or do not read: the others are served all the same."""

import socket
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import zmq

from bertfeat_client.protocol import Message, decode_message, encode_message
from bertfeat_server import broker as broker_module
from bertfeat_server import post
from bertfeat_server.access.admission import Admission
from bertfeat_server.broker import Broker
from bertfeat_server.config import ServerConfig
from bertfeat_server.outbox import Outgoing
from bertfeat_server.post import Post
from bertfeat_server.requests import MAX_FRAMES
from broker_stage import Stage

INFO = encode_message(Message({"op": "info", "id": "1"}))
MESSAGE = encode_message(Message({"op": "encode", "id": "1"}, ["a"]))


@contextmanager
def running(tmp_path, **options):
    """A broker without workers in a thread."""
    config = ServerConfig(**options)
    broker = Broker(config, Admission("token"), "tcp://127.0.0.1:*", f"ipc://{tmp_path}/back")
    parent = SimpleNamespace(tell=lambda **event: None)
    thread = threading.Thread(target=broker.run, args=(parent,))
    thread.start()
    try:
        yield broker
    finally:
        broker.command({"command": "end"})
        thread.join()


@pytest.fixture
def ask(zmq_context):
    """Ask a broker for something over a socket of its own; None if nothing comes."""

    def once(endpoint, frames=INFO, timeout_s=20.0):
        with zmq_context.socket(zmq.DEALER) as dealer:
            dealer.linger = 0
            dealer.connect(endpoint)
            dealer.send_multipart(frames)
            if not dealer.poll(timeout_s * 1000):
                return None
            return decode_message(dealer.recv_multipart()).header

    return once


def dial(broker):
    host, port = broker.frontend.removeprefix("tcp://").split(":")
    return socket.create_connection((host, int(port)), 10)


def test_a_message_of_too_many_frames_or_bytes_is_refused_unread():
    stage = Stage(max_message_mb=0.001).hello()
    stage.frames([*MESSAGE, *[b""] * MAX_FRAMES])
    assert "64 frames" in stage.error["message"]
    stage.replies.clear()
    stage.frames([MESSAGE[0], b"no JSON" * 200])
    assert "--max-message-mb" in stage.error["message"]
    assert stage.batches == []


def test_what_follows_the_header_is_not_read_without_a_key(monkeypatch):
    stage = Stage(keys=SimpleNamespace(find=lambda key: None))
    monkeypatch.setattr("bertfeat_server.dispatch.decode_body", None)
    stage.client("encode", key="wrong")
    assert stage.error["code"] == "unauthorized"


def test_a_message_of_very_many_frames_hurts_nobody(tmp_path, ask):
    with running(tmp_path) as broker:
        refused = ask(broker.frontend, [*MESSAGE, *[b""] * 100_000])
        assert refused["error"]["code"] == "invalid_request"
        assert ask(broker.frontend)["status"] == "ok"


def test_a_message_over_the_limit_is_answered_and_one_far_over_ends_the_connection(tmp_path, ask):
    with running(tmp_path, max_message_mb=0.01) as broker:
        refused = ask(broker.frontend, [MESSAGE[0], b" " * 15_000])
        assert "--max-message-mb" in refused["error"]["message"]
        assert ask(broker.frontend, [MESSAGE[0], b" " * 30_000], timeout_s=0.5) is None
        assert ask(broker.frontend)["status"] == "ok"


def test_no_more_connections_are_let_in_than_may_be(tmp_path, monkeypatch, zmq_context):
    monkeypatch.setattr(broker_module, "HANDSHAKE_MS", 300)
    with running(tmp_path, max_connections=3) as broker:
        dealers = [zmq_context.socket(zmq.DEALER) for _ in range(4)]
        for dealer in dealers:
            dealer.linger = 0
        try:
            for dealer in dealers[:3]:
                assert answered(dealer, broker, 20)
            assert not answered(dealers[3], broker, 1)
            assert answered(dealers[0], broker, 20)
            dealers.pop(1).close()
            assert dealers[-1].poll(20_000)  # it has come again by itself
        finally:
            for dealer in dealers:
                dealer.close()


def answered(dealer, broker, timeout_s):
    if not dealer.get(zmq.LAST_ENDPOINT):
        dealer.connect(broker.frontend)
    dealer.send_multipart(INFO)
    return dealer.poll(timeout_s * 1000) and dealer.recv_multipart()


def test_who_says_nothing_or_half_a_greeting_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(broker_module, "HANDSHAKE_MS", 200)
    with running(tmp_path) as broker:
        for said in (b"", b"\xff\0\0\0\0\0\0\0\x01\x7f\x03"):
            with dial(broker) as silent:
                silent.sendall(said)
                silent.settimeout(20)
                while silent.recv(1000):
                    pass


class Reader:
    """A DEALER that reads only when it is told to, and the ROUTER that writes to it."""

    def __init__(self, context, endpoint):
        self.router, self.dealer = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
        self.router.router_mandatory, self.router.sndhwm = True, 2
        self.router.linger = self.dealer.linger = 0
        self.dealer.rcvhwm = 1
        for one in (self.router, self.dealer):
            one.sndbuf = one.rcvbuf = 4096
        self.router.bind(endpoint)
        self.dealer.connect(endpoint)
        self.dealer.send(b"hello")
        self.identity, _ = self.router.recv_multipart()

    def close(self):
        self.router.close()
        self.dealer.close()


@pytest.fixture
def reader(zmq_context, tmp_path):
    made = Reader(zmq_context, f"ipc://{tmp_path}/reader")
    yield made
    made.close()


def letters(reader, count, size):
    return [Outgoing(True, reader.identity, [str(i).encode(), b"x" * size]) for i in range(count)]


@pytest.mark.parametrize("size", [10, 200_000])
def test_a_slow_reader_gets_everything_in_order(reader, wait_for, size):
    mail = Post(reader.router, reader.router, 2**30)
    waiting, got = post.deque(letters(reader, 100, size)), []

    def all_came():
        assert mail.send(waiting, 0.0) == []
        while reader.dealer.poll(1):
            got.append(int(reader.dealer.recv_multipart()[0]))
        return len(got) == 100 and not mail.has_backlog

    wait_for(all_came)
    assert got == list(range(100))
    assert mail.wait_ms == float("inf")


def test_who_does_not_read_gets_no_more_and_may_come_back(reader, wait_for):
    mail = Post(reader.router, reader.router, 3_000_000)
    peer = (True, reader.identity)
    assert mail.send(post.deque(letters(reader, 50, 200_000)), 0.0) == [peer]
    assert not mail.hears(reader.identity)
    assert mail.send(post.deque(letters(reader, 50, 200_000)), 1.0) == []

    def hears_again():
        while reader.dealer.poll(1):
            reader.dealer.recv_multipart()
        mail.send(post.deque(), 2.0)
        return mail.hears(reader.identity)

    wait_for(hears_again)
    mail.send(post.deque(letters(reader, 1, 10)), 3.0)
    assert reader.dealer.poll(10_000)


def test_who_reads_nothing_for_long_gets_no_more_however_little_it_is(reader):
    mail = Post(reader.router, reader.router, 2**30)
    mail.send(post.deque(letters(reader, 100, 60_000)), 0.0)
    while (before := mail.unread(reader.identity)) and not reader.router.poll(200):
        assert mail.send(post.deque(), 0.0) == []
        if mail.unread(reader.identity) == before:
            break
    assert mail.wait_ms == post.RETRY_MS
    assert mail.send(post.deque(), post.PATIENCE_S) == []
    assert mail.send(post.deque(), post.PATIENCE_S + 1) == [(True, reader.identity)]
    assert mail.send(post.deque(), post.PATIENCE_S + 2) == []


def test_who_is_gone_is_named_once(reader):
    mail = Post(reader.router, reader.router, 2**30)
    nobody = [Outgoing(True, b"nobody", [b"x"])] * 3
    assert mail.send(post.deque(nobody), 0.0) == [(True, b"nobody")]
