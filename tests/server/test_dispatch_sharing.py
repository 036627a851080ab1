"""What requests share: a text that several sent, and the server by their priorities."""

import numpy as np

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
