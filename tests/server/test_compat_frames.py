"""bert-as-service's messages, read and written without a socket."""

import asyncio
import json
from contextlib import suppress

import numpy as np
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from bertfeat_client.errors import Overloaded
from bertfeat_server.compat.bridge import Bridge, cut, padded
from bertfeat_server.compat.frames import Address, Refusal, error_answer, read, vectors_answer
from bertfeat_server.compat.mailbox import PATIENCE_S, Mailbox

ADDRESS = Address(b"me", b"7")


def pushed(body, rows=b"1", identity=b"me", request_id=b"7"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [identity, body, request_id, rows]


def test_texts_and_words_are_read():
    asked = read(pushed(["a b", ["c", "d"]], b"2"))
    assert asked.address == ADDRESS and asked.command is None
    assert asked.texts == ("a b", ["c", "d"])


def test_a_command_is_read():
    assert read(pushed(b"SHOW_CONFIG", b"0")).command == b"SHOW_CONFIG"


@pytest.mark.parametrize("frames", [
    [], [b"me"], pushed(["a"])[:3], [*pushed(["a"]), b"more"],
    pushed(["a"], identity=b""), pushed(["a"], identity=b"x" * 256),
    pushed(["a"], request_id=b"-1"), pushed(["a"], request_id=b""),
    pushed(["a"], request_id="²".encode()), pushed(["a"], request_id=b"9" * 30),
])  # fmt: skip
def test_what_cannot_be_answered_has_no_address(frames):
    with pytest.raises(Refusal) as caught:
        read(frames)
    assert caught.value.address is None


@pytest.mark.parametrize("frames", [
    pushed(["a"], b"2"), pushed(["a"], b"-1"), pushed(["a"], b"x"), pushed([], b"0"),
    pushed({"a": 1}), pushed([1]), pushed([None]), pushed([["a", 1]]), pushed([[["a"]]]),
    pushed(b"{"), pushed(b"\xff"), pushed(b"[" * 100_000), pushed(b"SHOW_SECRETS"),
])  # fmt: skip
def test_what_is_wrong_is_told_to_the_one_who_asked(frames):
    with pytest.raises(Refusal) as caught:
        read(frames)
    assert caught.value.address == ADDRESS


@given(st.lists(st.binary(max_size=30), max_size=6))
def test_any_frames_are_read_or_refused(frames):
    with suppress(Refusal):
        assert read(frames).address.identity == frames[0]


@given(st.text())
def test_an_error_makes_numpy_raise_and_show_the_reason(reason):
    _, about, values, _ = error_answer(ADDRESS, reason)
    with pytest.raises(TypeError, match="error of the server"):
        np.frombuffer(memoryview(values), dtype=str(json.loads(about)["dtype"]))


def test_vectors_are_written_as_the_client_reads_them():
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    identity, about, values, request_id = vectors_answer(ADDRESS, vectors, [["a"], ["b"]])
    told = json.loads(about)
    read_back = np.frombuffer(values, told["dtype"]).reshape(told["shape"])
    assert (identity, request_id, told["tokens"]) == (b"me", b"7", [["a"], ["b"]])
    np.testing.assert_array_equal(read_back, vectors)


def test_token_vectors_get_zeros_behind():
    rows = [np.ones((2, 3), np.float32), np.full((4, 3), 2, np.float32)]
    together = padded(rows)
    assert together.shape == (2, 4, 3)
    np.testing.assert_array_equal(together.sum((1, 2)), [6, 24])
    np.testing.assert_array_equal(together[0, 2:], 0)


def test_tokens_are_cut_as_the_model_reads_them():
    assert cut(["[CLS]", "a", "b", "[SEP]"], 3) == ["[CLS]", "a", "[SEP]"]
    assert cut(["[CLS]", "a", "[SEP]"], 3) == ["[CLS]", "a", "[SEP]"]


class Busy:
    """A client of a server that is full."""

    def with_header(self, **fields):
        return self

    async def encode(self, texts):
        raise Overloaded("too much waits")


def test_an_error_of_the_server_is_answered_and_a_flood_is_logged_seldom(caplog):
    posted, clock = [], [0.0]
    bridge = Bridge(Busy(), False, posted.append, lambda: clock[0])
    asyncio.run(bridge.answer(pushed(["a"])))
    assert b"too much waits" in posted[0][1]
    for _ in range(50):
        asyncio.run(bridge.answer([b"junk"]))
    assert len(caplog.records) == 1 and len(posted) == 1
    clock[0] = 11.0
    asyncio.run(bridge.answer([b"junk"]))
    assert len(caplog.records) == 2 and "51 message(s)" in caplog.messages[-1]


@pytest.fixture
def posting(zmq_context):
    """A mailbox whose clock the test holds, and a factory of its listeners."""
    publisher, clock, listeners = zmq_context.socket(zmq.XPUB), [0.0], []
    Mailbox.prepare(publisher)
    port = publisher.bind_to_random_port("tcp://127.0.0.1")
    mailbox = Mailbox(publisher, lambda: clock[0])

    def listen(topic):
        listener = zmq_context.socket(zmq.SUB)
        listener.setsockopt(zmq.SUBSCRIBE, topic)
        listener.connect(f"tcp://127.0.0.1:{port}")
        listeners.append(listener)
        assert publisher.poll(5000)
        mailbox.listen()
        return listener

    yield mailbox, listen, clock
    for socket in (*listeners, publisher):
        socket.close(linger=0)


def test_an_answer_waits_for_its_listener_and_keeps_its_place(posting):
    mailbox, listen, _ = posting
    mailbox.post([b"late", b"1"])
    mailbox.post([b"late", b"2"])
    assert len(mailbox) == 2
    listener = listen(b"late")
    mailbox.deliver()
    assert len(mailbox) == 0
    assert [listener.recv_multipart()[1] for _ in range(2)] == [b"1", b"2"]


def test_an_answer_that_nobody_fetches_is_dropped_and_told(posting, caplog):
    mailbox, _, clock = posting
    mailbox.post([b"nobody", b"1"])
    clock[0] = PATIENCE_S + 1
    mailbox.deliver()
    assert len(mailbox) == 0 and "nobody" in caplog.text


def test_two_listeners_of_one_identity_both_get_the_answer(posting):
    mailbox, listen, _ = posting
    both = [listen(b"group"), listen(b"group")]
    mailbox.post([b"group", b"1"])
    assert [one.recv_multipart() for one in both] == [[b"group", b"1"]] * 2


def test_who_listens_to_everything_gets_nothing(posting):
    mailbox, listen, _ = posting
    spy, honest = listen(b""), listen(b"me")
    mailbox.post([b"me", b"1"])
    assert honest.poll(5000) and not spy.poll(100)


def test_the_oldest_answers_are_dropped_when_too_many_bytes_wait(posting, monkeypatch, caplog):
    monkeypatch.setattr("bertfeat_server.compat.mailbox.MAX_WAITING_BYTES", 100)
    mailbox, listen, _ = posting
    for number in range(5):
        mailbox.post([b"me", bytes([number]) * 38])
    listener = listen(b"me")
    mailbox.deliver()
    assert [listener.recv_multipart()[1][0] for _ in range(2)] == [3, 4]
    assert not listener.poll(50) and "too many" in caplog.text
