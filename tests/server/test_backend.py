"""What a process behind the broker says and does, with the broker played by the test."""

import threading
import time

import numpy as np
import pytest
import zmq

from bertfeat.errors import InputError
from bertfeat_client.errors import ConnectTimeout, Overloaded
from bertfeat_client.protocol import Message, decode_message, encode_message
from bertfeat_server import backend
from bertfeat_server.backend import BackendWorker


class Broker:
    def __init__(self, context, endpoint):
        self.router = context.socket(zmq.ROUTER)
        self.router.linger = 0
        self.router.bind(endpoint)

    def hear(self, *but: str) -> Message:
        """The next message, heartbeats aside unless asked for."""
        while True:
            assert self.router.poll(10_000)
            self.identity, *frames = self.router.recv_multipart()
            message = decode_message(frames)
            if message.header["op"] not in (but or ("heartbeat",)):
                return message

    def say(self, items=None, **header):
        message = Message(header, items)
        self.router.send_multipart([self.identity, *encode_message(message)])


def lengths(batch: Message) -> Message:
    """The handler of these tests: the length of each text."""
    time.sleep(batch.header["options"].get("sleep", 0))
    trouble = batch.header["options"].get("raise")
    if trouble:
        raise {"input": InputError("no"), "surprise": KeyError("x"), "full": Overloaded("full")}[
            trouble
        ]
    return Message({"info": {"n": 1}}, arrays={"n": np.array([len(item) for item in batch.items])})


@pytest.fixture
def quick_beats(monkeypatch):
    """Ask for it before ``pair``."""
    monkeypatch.setattr(backend, "HEARTBEAT_S", 0.02)


@pytest.fixture
def pair(zmq_context, tmp_path):
    """A broker and a worker that is ready."""
    broker = Broker(zmq_context, f"ipc://{tmp_path}/back.ipc")
    worker = BackendWorker(f"ipc://{tmp_path}/back.ipc", token="t", identity="me")
    ready, ends = threading.Event(), []

    def run():
        try:
            worker.run(("search",), lengths, lambda: {"ntotal": 3}, ready.set)
        except ConnectTimeout as error:
            ends.append(error)

    worker.connect("m")
    worker.ready, worker.ends, worker.thread = ready, ends, threading.Thread(target=run)
    yield broker, worker
    if worker.thread.ident is not None:
        worker.stop()
        worker.thread.join(10)
        assert not worker.thread.is_alive()
    broker.router.close()


def test_it_introduces_itself_as_loading_then_as_ready(pair):
    broker, worker = pair
    first = broker.hear().header
    assert (first["op"], first["state"], first["token"], first["model"]) == (
        "hello", "loading", "t", "m"
    )  # fmt: skip
    assert broker.identity == b"me"
    worker.thread.start()
    second = broker.hear().header
    assert (second["state"], second["ops"], second["info"]) == ("ready", ["search"], {"ntotal": 3})
    assert worker.ready.wait(10)


def start(pair) -> Broker:
    broker, worker = pair
    worker.thread.start()
    while broker.hear().header["state"] != "ready":
        pass
    return broker


def test_a_batch_is_handled_and_answered_under_its_number(pair):
    broker = start(pair)
    broker.say(["a", "bcd"], op="batch", id=7, request_op="search", options={})
    result = broker.hear()
    assert (result.header["op"], result.header["id"], result.header["info"]) == (
        "result",
        7,
        {"n": 1},
    )
    assert result.arrays["n"].tolist() == [1, 3]


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        ("input", {"code": "invalid_request", "message": "no"}),
        ("full", {"code": "overloaded", "message": "full"}),
        ("surprise", {"code": "internal_error", "message": "the worker failed with KeyError"}),
    ],
)
def test_an_error_is_the_answer_and_the_process_goes_on(pair, trouble, error):
    broker = start(pair)
    broker.say(["a"], op="batch", id=1, request_op="search", options={"raise": trouble})
    failed = broker.hear().header
    assert (failed["op"], failed["id"], failed["error"]) == ("failed", 1, error)
    broker.say(["ab"], op="batch", id=2, request_op="search", options={})
    assert broker.hear().arrays["n"].tolist() == [2]


def test_it_beats_while_it_is_busy(quick_beats, pair):
    broker = start(pair)
    broker.say(["a"], op="batch", id=1, request_op="search", options={"sleep": 0.5})
    assert [broker.hear("hello").header["op"] for _ in range(5)] == ["heartbeat"] * 5
    assert broker.hear().header["op"] == "result"


def test_asked_who_it_is_it_says_so_again(pair):
    broker = start(pair)
    broker.say(op="who")
    assert broker.hear().header["state"] == "ready"


def test_junk_from_the_broker_is_survived(pair):
    broker = start(pair)
    broker.router.send_multipart([b"me", b"junk"])
    broker.say(["a"], op="batch", id=3, request_op="search", options={})
    assert broker.hear().header["id"] == 3


def test_sent_home_it_goes_without_a_word(pair):
    broker = start(pair)
    broker.say(op="drain")
    pair[1].thread.join(10)
    assert not pair[1].thread.is_alive()
    assert pair[1].ends == []


def test_stopped_it_says_goodbye(pair):
    broker = start(pair)
    pair[1].stop()
    assert broker.hear().header["op"] == "bye"


def test_without_a_broker_it_gives_up_in_the_end(quick_beats, pair, monkeypatch):
    monkeypatch.setattr(backend, "BROKER_SILENCE_S", 0.2)
    start(pair)
    pair[1].thread.join(10)
    assert "is gone" in str(pair[1].ends[0])


def test_an_announcement_tells_what_changed(pair):
    broker = start(pair)
    pair[1]._describe = lambda: {"ntotal": 9}
    pair[1].announce()
    assert broker.hear().header["info"] == {"ntotal": 9}


def test_a_worker_waits_for_a_broker_that_comes_later(zmq_context, tmp_path):
    worker = BackendWorker(f"ipc://{tmp_path}/late.ipc", identity="early")
    worker.connect()
    time.sleep(0.2)
    broker = Broker(zmq_context, f"ipc://{tmp_path}/late.ipc")
    assert broker.hear().header["op"] == "hello"
    worker.close()
    broker.router.close()
