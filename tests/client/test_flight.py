"""The state of requests under way, with the time as an argument."""

import pytest

from bertfeat_client.errors import ConnectionLost, DeadlineExceeded, Overloaded, ShuttingDown
from bertfeat_client.flight import Flight, Request
from bertfeat_client.protocol import Message, decode_message

OK = Message({"status": "ok"})


def request(op="encode"):
    return Request(Message({"op": op, "model": None, "options": {}}, ["text"]))


def refusal(code, **more):
    return Message({"status": "error", "error": {"code": code, "message": "no"} | more})


def test_frames_carry_the_id_and_the_time_that_is_left():
    one = request()
    message = decode_message(one.frames(2.5))
    assert message.header["id"] == one.id and message.header["timeout_ms"] == 2500
    assert message.items == ["text"]


@pytest.mark.parametrize(("seconds", "told"), [(-1, 1), (0.0001, 1), (float("inf"), 86_400_000)])
def test_the_time_that_is_told_is_neither_none_nor_endless(seconds, told):
    assert decode_message(request().frames(seconds)).header["timeout_ms"] == told


def test_two_requests_have_two_ids():
    assert request().id != request().id


def test_a_good_reply_ends_a_request():
    one = request()
    one.answer(OK, now=1, deadline=10, jitter=0)
    assert one.outcome is OK and not one.is_due(5)


@pytest.mark.parametrize("code", ["overloaded", "shutting_down"])
def test_a_refusal_is_tried_again_after_the_pause_that_the_server_names(code):
    one = request()
    one.sent_on = 1
    one.answer(refusal(code, retry_after_s=2), now=10, deadline=60, jitter=0)
    assert one.outcome is None
    assert not one.is_due(11.9) and one.is_due(12)


def test_pauses_grow_where_the_server_names_none():
    one, pauses, now = request(), [], 0.0
    for _ in range(8):
        one.answer(refusal("overloaded"), now, deadline=1000, jitter=0)
        pauses.append(round(one.not_before - now, 3))
        now = one.not_before
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_jitter_lengthens_a_pause_and_never_shortens_it():
    def pause(jitter):
        one = request()
        one.answer(refusal("overloaded", retry_after_s=4), 0, deadline=100, jitter=jitter)
        return one.not_before

    assert [pause(jitter) for jitter in (0, 0.5, 1)] == [4, 5, 6]


@pytest.mark.parametrize(
    ("code", "kind"), [("overloaded", Overloaded), ("shutting_down", ShuttingDown)]
)
def test_a_refusal_is_final_when_the_deadline_comes_before_the_next_attempt(code, kind):
    one = request()
    one.answer(refusal(code, retry_after_s=5), now=56, deadline=60, jitter=0)
    assert isinstance(one.outcome, kind)
    assert one.outcome.retry_after_s == 5


def test_other_errors_are_final():
    one = request()
    one.answer(refusal("deadline_exceeded"), now=0, deadline=60, jitter=0)
    assert isinstance(one.outcome, DeadlineExceeded)
    assert one.outcome.request_id == one.id


def test_a_server_that_stops_is_not_told_to_stop_again():
    one = request("stop")
    one.answer(refusal("shutting_down"), now=0, deadline=60, jitter=0)
    assert isinstance(one.outcome, ShuttingDown)


@pytest.mark.parametrize(
    "op", ["encode", "tokens", "score", "search", "index_add", "info", "status"]
)
def test_what_is_safe_to_repeat_is_due_again_on_the_next_connection(op):
    one = request(op)
    one.sent_on = 1
    one.note_connection(None)
    assert one.is_due(0)


@pytest.mark.parametrize("op", ["index_delete", "stop"])
def test_what_is_not_safe_to_repeat_ends_when_the_connection_breaks(op):
    one = request(op)
    one.sent_on = 1
    one.note_connection(2)
    assert isinstance(one.outcome, ConnectionLost)


@pytest.mark.parametrize("op", ["encode", "index_delete"])
def test_what_was_not_sent_yet_or_is_on_this_connection_is_left_alone(op):
    unsent, here = request(op), request(op)
    here.sent_on = 2
    for one in (unsent, here):
        one.note_connection(2)
        assert one.outcome is None
    assert unsent.is_due(0) and here.sent_on == 2


@pytest.mark.parametrize("op", ["encode", "index_delete"])
def test_a_refused_request_may_be_sent_on_another_connection(op):
    one = request(op)
    one.sent_on = 1
    one.answer(refusal("shutting_down"), now=0, deadline=60, jitter=0)
    one.note_connection(2)
    assert one.outcome is None and one.is_due(0.1)


def test_a_flight_looks_again_at_the_next_retry_or_at_its_deadline():
    flight = Flight(deadline=60, timeout_s=60)
    first, second = request(), request()
    flight.requests.extend([first, second])
    assert flight.next_event(0) == 60
    second.not_before = 7
    assert flight.next_event(0) == 7
    assert flight.next_event(8) == 60
    assert flight.due(0) == [first]
