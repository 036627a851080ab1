"""What requests share: a text that several sent, and the server by their priorities."""

import numpy as np
import pytest

from broker_stage import Stage


def test_equal_texts_are_computed_once_and_answered_to_all():
    stage = Stage(max_batch_tokens=1000)
    stage.client(items=["aa", "b", "aa"], name="1", caller=b"c1")
    stage.client(items=["b", {"words": ["b"]}, "ccc"], name="2", caller=b"c2").hello()
    [(_, batch)] = stage.batches
    assert sorted(map(str, batch.items)) == ["aa", "b", "ccc", "{'words': ['b']}"]
    stage.serve()
    answers = {m.header["id"]: m.arrays["vectors"][:, 0].tolist() for _, m in stage.replies}
    assert answers == {"1": [2, 1, 2], "2": [1, 1, 3]}


def test_a_text_that_is_refused_is_refused_to_all_who_sent_it():
    stage = Stage(max_batch_tokens=1000).client(items=["bad", "good"], name="1", caller=b"c1")
    stage.client(items=["good", "x", "bad"], name="2", caller=b"c2").hello()
    identity, batch = stage.batches[0]
    bad = batch.items.index("bad")
    errors = {str(bad): {"code": "invalid_request", "message": f"texts[{bad}]: is bad"}}
    vectors = np.ones((len(batch.items), 1), np.float32)
    stage.worker(
        identity, arrays={"vectors": vectors}, op="result", id=batch.header["id"], row_errors=errors
    )
    told = {m.header["id"]: m.header["row_errors"] for _, m in stage.replies}
    assert {name: list(errors) for name, errors in told.items()} == {"1": ["0"], "2": ["2"]}
    assert told["2"]["2"]["message"] == "texts[2]: is bad"


def test_a_text_that_a_worker_has_already_is_waited_for_not_computed_again():
    stage = Stage().hello().client(items=["bb", "a"], name="1", caller=b"c1")
    stage.client(items=["a"], name="2", caller=b"c2").client(items=["bb"], name="3", caller=b"c3")
    stage.client(items=["ccc"], name="4", caller=b"c4")
    assert len(stage.batches) == 1
    stage.serve()
    answers = {m.header["id"]: m.arrays["vectors"][:, 0].tolist() for _, m in stage.replies}
    assert answers == {"1": [2, 1], "2": [1], "3": [2]}
    assert stage.batches[1][1].items == ["ccc"]
    assert stage.dispatcher.tally.duplicates == 2


def test_who_joined_a_batch_was_computed_and_did_not_wait():
    stage = Stage().hello().client(items=["a"], name="1").pump(2.0)
    stage.client(items=["a"], name="2").pump(3.0).serve()
    times = {m.header["id"]: m.header["info"]["timing"] for _, m in stage.replies}
    assert times["1"] == {"queue_ms": 0.0, "compute_ms": 5000.0, "total_ms": 5000.0}
    assert times["2"] == {"queue_ms": 0.0, "compute_ms": 3000.0, "total_ms": 3000.0}


@pytest.mark.parametrize("other", [{"options": {"layers": -2}}, {"op": "tokens"}])
def test_a_text_in_work_for_something_else_is_no_ones_but_its_callers(other):
    stage = Stage().hello().client(items=["a"], name="1")
    stage.client(items=["a"], name="2", **other).serve()
    assert [m.header["id"] for _, m in stage.replies] == ["1"]
    assert len(stage.batches) == 2


def test_who_joined_a_batch_is_served_when_it_is_lost_and_joins_none_that_is_tried_again():
    stage = Stage().hello().client(items=["a"], name="1", caller=b"c1")
    stage.client(items=["a"], name="2", caller=b"c2").lose().hello("w2")
    assert stage.batches[1][1].items == ["a"]
    stage.client(items=["a"], name="3", caller=b"c3").serve()
    assert [m.header["id"] for _, m in stage.replies] == ["1", "2"]
    stage.serve()
    assert [m.header["id"] for _, m in stage.replies] == ["1", "2", "3"]


def test_who_joined_a_batch_may_leave_it_or_be_late():
    stage = Stage().hello().client(items=["a"], name="1", caller=b"c1")
    stage.client(items=["a"], name="2", caller=b"c2")
    stage.client(items=["a"], name="3", caller=b"c3", timeout_ms=1000)
    stage.client("cancel", None, name="2", caller=b"c2").pump(seconds=2.0)
    assert stage.error["code"] == "deadline_exceeded"
    stage.serve()
    assert [m.header["id"] for _, m in stage.replies] == ["3", "1"]
    assert not stage.dispatcher.scheduler.jobs


def test_equal_texts_for_the_index_stay_two():
    stage = Stage(index="/i").hello("ix", model=None, ops=("index_add",))
    stage.client("index_add", ["same", "same"], token="secret")
    assert stage.batches[0][1].items == ["same", "same"]


def test_an_unknown_priority_is_refused_and_names_those_there_are():
    stage = Stage().hello().client(priority="urgent")
    assert "high, normal, low" in stage.error["message"]


def test_a_high_priority_goes_first():
    stage = Stage(max_batch_tokens=6)
    for name, priority in (("1", "low"), ("2", "normal"), ("3", "high")):
        stage.client(items=["text"] * 40, name=name, caller=name.encode(), priority=priority)
    stage.hello().play()
    assert [m.header["id"] for _, m in stage.replies] == ["3", "2", "1"]


def test_a_request_for_one_batch_is_divided_among_the_workers_that_are_idle():
    stage, info = Stage(max_batch_tokens=4096), {"max_seq_len": 512}
    for name in ("w1", "w2", "w3"):
        stage.hello(name, info=info)
    stage.client(items=["x" * 300] * 2, name="0")
    stage.client(items=["x" * 300 + "y" * n for n in range(8)])
    assert [len(batch.items) for _, batch in stage.batches] == [1, 1, 8]
    stage.play()
    found = [message.arrays["vectors"][:, 0].tolist() for _, message in stage.replies]
    assert found == [[300, 300], [300 + n for n in range(8)]]
