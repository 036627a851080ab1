"""The broker's mind without its sockets: frames in, frames out, time chosen by the test."""

import numpy as np
import pytest

from bertfeat_client.protocol import VERSION
from bertfeat_server.config import ServerConfig
from bertfeat_server.roster import SILENCE_S
from broker_stage import TOKEN, Stage


def test_a_request_goes_to_a_worker_and_its_answer_comes_back():
    stage = Stage().hello().client(items=["abc", "d"], options={"layers": -2})
    [(identity, batch)] = stage.batches
    assert identity == "w1"
    assert batch.items == ["abc", "d"]
    assert batch.header["request_op"] == "encode"
    assert (batch.header["model"], batch.header["options"]) == ("m", {"layers": -2})
    assert batch.header["timeout_ms"] == 60_000
    stage.serve()
    assert stage.reply.header["id"] == "1"
    assert stage.reply.arrays["vectors"].tolist() == [[3], [1]]


def test_requests_wait_while_no_worker_is_there():
    stage = Stage().client()
    assert not stage.batches
    stage.hello().serve()
    assert stage.reply.header["status"] == "ok"


def test_requests_of_many_callers_are_merged_and_each_gets_its_own():
    stage = Stage().hello().client(items=["first"], name="0")
    for number in range(1, 6):
        stage.client(items=["x" * number], name=str(number), caller=str(number).encode())
    stage.serve().serve()
    assert len(stage.batches) == 2
    assert [
        (who, m.header["id"], m.arrays["vectors"].tolist()) for who, m in stage.replies[1:]
    ] == [(str(n), str(n), [[n]]) for n in range(1, 6)]


def test_a_large_request_is_computed_in_batches_by_several_workers_at_once():
    stage = Stage().hello("w1").hello("w2").client(items=["x" * n for n in range(40)])
    assert {who for who, _ in stage.batches} == {"w1", "w2"}
    stage.serve(1).play()
    assert stage.reply.arrays["vectors"][:, 0].tolist() == list(range(40))


def test_a_lost_batch_is_computed_by_another_worker():
    stage = Stage().hello("w1").client(items=["abc"]).lose().hello("w2").serve()
    assert [who for who, _ in stage.batches] == ["w1", "w2"]
    assert stage.reply.arrays["vectors"].tolist() == [[3]]


def test_only_the_text_that_kills_workers_fails():
    def kill(stage, index):
        if "bad" in stage.batches[index][1].items:
            return stage.lose(index).hello(f"next{index}")
        return None

    stage = Stage().hello("w0").client(items=["ok", "bad", "fine"]).play(kill)
    assert stage.reply.arrays["vectors"].tolist() == [[2], [0], [4]]
    [(row, error)] = stage.reply.header["row_errors"].items()
    assert (row, error["code"]) == ("1", "internal_error")


def test_a_surprise_in_a_worker_spares_the_neighbours_too():
    def surprise(stage, index):
        who, batch = stage.batches[index]
        if "bad" in batch.items:
            error = {"code": "internal_error", "message": "KeyError"}
            return stage.worker(who, op="failed", id=batch.header["id"], error=error)
        return None

    stage = Stage().hello().client(items=["ok", "bad"]).play(surprise)
    assert stage.reply.arrays["vectors"].tolist() == [[2], [0]]
    assert stage.reply.header["row_errors"]["1"]["message"] == "KeyError"


def test_options_that_the_worker_refuses_end_all_requests_that_share_them():
    stage = Stage(max_wait_ms=5).hello().client(name="1").client(name="2").pump(1)
    [(_, batch)] = stage.batches
    error = {"code": "invalid_request", "message": "layer 99 does not exist"}
    stage.worker(op="failed", id=batch.header["id"], error=error)
    assert [m.header["error"] for _, m in stage.replies] == [error, error]
    stage.client(name="3").pump(1)
    assert len(stage.batches) == 2


def test_an_answer_that_makes_no_sense_is_a_lost_batch():
    stage = Stage().hello().client(items=["a", "b"])
    number = stage.batches[0][1].header["id"]
    stage.worker(arrays={"vectors": np.ones((5, 1), np.float32)}, op="result", id=number)
    assert stage.batches[1][1].items == ["a", "b"]
    stage.serve()
    assert stage.reply.arrays["vectors"].tolist() == [[1], [1]]


@pytest.mark.parametrize("row_errors", ["x", {"zero": {}}, [1]])
def test_row_errors_that_are_none_are_no_sense_either(row_errors):
    stage = Stage().hello().client(items=["a"])
    number = stage.batches[0][1].header["id"]
    vectors = np.ones((1, 1), np.float32)
    stage.worker(arrays={"vectors": vectors}, op="result", id=number, row_errors=row_errors)
    assert stage.serve().reply.header["status"] == "ok"


def test_a_worker_cannot_answer_the_batch_of_another():
    stage = Stage().hello("w1").client(items=["abc"]).hello("w2")
    number = stage.batches[0][1].header["id"]
    vectors = np.full((1, 1), 666, np.float32)
    stage.worker("w2", arrays={"vectors": vectors}, op="result", id=number)
    stage.worker("w2", op="failed", id=number, error={"code": "invalid_request"})
    assert not stage.replies
    assert stage.serve(0).reply.arrays["vectors"].tolist() == [[3]]


def test_a_late_answer_to_a_broker_that_died_is_not_taken_for_one_to_its_successor():
    """A worker outlives its broker and may answer the old one's batch to the new one."""
    old, new = Stage().hello("w1").client(items=["old"]), Stage().hello("w1").client(items=["new"])
    number = old.batches[0][1].header["id"]
    vectors = np.full((1, 1), 666, np.float32)
    new.worker("w1", arrays={"vectors": vectors}, op="result", id=number)
    assert not new.replies
    assert new.serve().reply.arrays["vectors"].tolist() == [[3]]


def test_a_result_of_a_worker_that_was_given_up_is_ignored():
    stage = Stage().hello("w1").client(items=["abc"])
    stage.pump(SILENCE_S + 2)
    assert stage.dispatcher.control.events.popleft() == {"event": "lost", "identity": "w1"}
    stage.hello("w2")
    stage.serve(0)
    assert not stage.replies
    assert stage.serve(1).reply.arrays["vectors"].tolist() == [[3]]


def test_a_loading_worker_may_be_silent_and_gets_no_batch():
    stage = Stage(default_timeout_s=999).hello(state="loading").client().pump(100)
    assert not stage.batches
    assert not stage.dispatcher.control.events


def test_an_unknown_worker_is_asked_who_it_is():
    stage = Stage().worker("stranger", op="heartbeat")
    assert [(who, m.header["op"]) for who, m in stage.batches] == [("stranger", "who")]


def test_a_worker_without_the_token_is_not_taken_in():
    stage = Stage().hello(token="guess").hello("w2", token=None).client()
    assert not stage.batches


def test_a_worker_that_leaves_gives_its_batch_back():
    stage = Stage().hello("w1").client(items=["abc"]).worker("w1", op="bye").hello("w2").serve()
    assert stage.reply.arrays["vectors"].tolist() == [[3]]


def test_a_deadline_ends_a_request_that_nobody_computes():
    stage = Stage().client(timeout_ms=500).pump(0.4)
    assert not stage.replies
    stage.pump(0.2)
    assert stage.error["code"] == "deadline_exceeded"
    assert not stage.hello().batches


def test_a_deadline_ends_a_request_under_way_and_its_late_result_is_dropped():
    stage = Stage().hello().client(timeout_ms=500).pump(1).serve()
    assert stage.error["code"] == "deadline_exceeded"


def test_the_loop_is_woken_for_the_next_deadline():
    stage = Stage().client(timeout_ms=500)
    assert stage.dispatcher.next_event(stage.now) == pytest.approx(100.5)


def test_a_cancelled_request_gets_no_answer_and_costs_nothing():
    stage = Stage().client().client("cancel", None).hello()
    assert not stage.batches
    assert not stage.replies


def test_nobody_can_cancel_anothers_request():
    stage = Stage().client().client("cancel", None, caller=b"other").hello()
    assert len(stage.batches) == 1


def test_requests_of_a_client_that_is_gone_are_dropped():
    stage = Stage().client(name="1").client(name="2").client(name="3", caller=b"stays")
    stage.dispatcher.caller_gone(b"c")
    stage.hello().serve()
    assert [who for who, _ in stage.replies] == ["stays"]


def test_a_full_queue_is_told_with_a_time_to_come_back():
    stage = (
        Stage(max_queue_tokens=20).client(items=["x" * 90] * 2).client(name="2", items=["y" * 90])
    )
    assert stage.error["code"] == "overloaded"
    assert stage.error["retry_after_s"] > 0
    stage.hello().serve()
    assert len(stage.replies) == 2


def test_a_request_sent_again_while_it_is_computed_is_answered_once():
    stage = Stage().client().client().hello().serve()
    assert len(stage.replies) == 1


def test_a_bad_row_fails_alone_and_its_place_is_kept():
    stage = Stage().hello().client(items=["abc", 5, "de"]).serve()
    assert stage.reply.arrays["vectors"].tolist() == [[3], [0], [2]]
    assert list(stage.reply.header["row_errors"]) == ["1"]


def test_draining_answers_what_was_taken_and_refuses_what_is_new():
    stage = Stage().hello().client(name="1")
    stage.dispatcher.drain(stage.now)
    stage.client(name="2")
    assert not stage.dispatcher.drained
    assert stage.error["code"] == "shutting_down"
    stage.serve()
    assert stage.replies[1][1].header["status"] == "ok"
    assert stage.dispatcher.drained
    stage.dispatcher.dismiss()
    assert stage.pump().batches[-1][1].header["op"] == "drain"


def test_what_the_index_needs_for_a_running_search_is_let_in_while_draining_and_when_full():
    stage = Stage(index="/index", max_queue_tokens=30).hello()
    stage.hello("i", model=None, ops=["search"]).client("search", ["q"], name="1")
    stage.client(items=["x"], name="2").client(items=["y" * 90] * 3, name="3")
    stage.dispatcher.drain(stage.now)
    stage.client(items=["z" * 90] * 3, name="4", caller=b"index", token=TOKEN)
    assert stage.replies == []
    stage.client(items=["z"], name="5", caller=b"index", token="guess")
    assert stage.error["code"] == "shutting_down"
    stage.play()
    assert {m.header["id"] for _, m in stage.replies} == {"1", "2", "3", "4", "5"}
    assert stage.dispatcher.drained


def test_draining_has_a_bound():
    stage = Stage(drain_timeout_s=5).hello().client()
    stage.dispatcher.drain(stage.now)
    stage.pump(4)
    assert not stage.replies
    stage.pump(2)
    assert stage.error["code"] == "shutting_down"
    assert stage.dispatcher.drained


def test_draining_does_not_wait_for_what_nobody_is_left_to_compute():
    stage = Stage(model=("m=/m", "n=/n"), drain_timeout_s=30).hello("w1", "m").hello("w2", "n")
    stage.client(name="1").client(name="2", model="n").hello("loads", "n", state="loading", ops=())
    stage.dispatcher.drain(stage.now)
    assert not stage.pump(2).replies
    stage.lose(1).pump(2)
    assert (stage.reply.header["id"], stage.error["code"]) == ("2", "shutting_down")
    assert not stage.dispatcher.drained
    stage.serve(0)
    assert stage.dispatcher.drained


def test_what_is_lost_while_draining_is_computed_by_another_worker():
    stage = Stage().hello("w1").hello("w2").client()
    stage.dispatcher.drain(stage.now)
    stage.lose().pump(2).serve()
    assert stage.reply.header["status"] == "ok"


def test_whoever_still_waits_at_the_end_is_told_of_it():
    stage = Stage().hello().client(name="1").client(name="2")
    stage.dispatcher.dismiss()
    stage.pump()
    assert [m.header["error"]["code"] for _, m in stage.replies] == ["shutting_down"] * 2
    assert stage.batches[-1][1].header["op"] == "drain" and len(stage.batches) == 2


def test_index_requests_need_an_index():
    stage = Stage().hello().client("search")
    assert stage.error == {
        "code": "not_found", "message": "this server has no index; start it with --index FOLDER"
    }  # fmt: skip


def test_index_requests_go_to_the_index_process_one_by_one():
    stage = Stage(index="/index").hello()
    stage.hello("i", model=None, ops=["search", "index_add", "index_delete"], info={"ntotal": 3})
    stage.client("search", ["a"], name="1", options={"k": 3})
    stage.client("search", ["b"], name="2", options={"k": 3})
    stage.client("index_delete", None, name="3", options={"ids": [4]})
    assert [(who, batch.items) for who, batch in stage.batches] == [("i", ["a"])]
    stage.serve().serve()
    who, batch = stage.batches[2]
    assert (who, batch.items, batch.header["options"]) == ("i", None, {"ids": [4]})
    stage.worker("i", op="result", id=batch.header["id"], info={"deleted": 1})
    assert stage.replies[2][1].header["info"]["deleted"] == 1
    stage.replies.clear()
    assert stage.client("info", None).reply.header["info"]["index"] == {"ntotal": 3}


def test_a_lost_change_of_the_index_is_told_and_not_repeated():
    stage = Stage(index="/index").hello("i", model=None, ops=["index_add"])
    stage.client("index_add", ["a", "b"]).lose().hello("i2", model=None, ops=["index_add"])
    assert stage.error["code"] == "internal_error"
    assert len(stage.batches) == 1


def test_an_empty_request_has_an_empty_answer():
    stage = Stage().hello().client(items=[])
    [(_, batch)] = stage.batches
    assert batch.items == []
    vectors = np.zeros((0, 4), np.float32)
    stage.worker(arrays={"vectors": vectors}, op="result", id=batch.header["id"])
    assert stage.reply.arrays["vectors"].shape == (0, 4)


def test_stop_needs_the_token_and_is_passed_to_the_supervisor():
    stage = Stage().client("stop", None).client("stop", None, token="wrong")
    assert [m.header["error"]["code"] for _, m in stage.replies] == ["forbidden"] * 2
    assert not stage.dispatcher.control.events
    stage.client("stop", None, token=TOKEN)
    assert stage.replies[2][1].header["status"] == "ok"
    assert list(stage.dispatcher.control.events) == [{"event": "stop"}]


def test_a_further_worker_is_told_where_to_go_if_it_has_the_token():
    stage = Stage().client("join", None)
    assert stage.error["code"] == "forbidden"
    stage.replies.clear()
    info = stage.client("join", None, token=TOKEN).reply.header["info"]
    assert info["backend"] == "ipc://back"
    assert ServerConfig.from_dict(info["config"]) == stage.dispatcher.config


def test_status_shows_queue_batches_and_workers():
    stage = Stage().hello("w1").client(items=["abc"], name="1").client(items=["defg"], name="2")
    info = stage.pump(2).client("status", None, name="3").reply.header["info"]
    del info["histograms"]
    assert info == {
        "ready": True,
        "draining": False,
        "uptime_s": 2.0,
        "latency_ms": {"p50": None, "p99": None},
        "queue": {"requests": 2, "tokens": 3, "max_tokens": 1_000_000},
        "requests": {"answered": 0, "failed": 0, "errors": {}},
        "texts": {"truncated": 0, "duplicates": 0, "non_finite": 0, "errors": {}},
        "batches": {"running": 1, "done": 0, "lost": 0, "rows": 0, "tokens": 0},
        "computed": {"tokens": 0, "padding": 0},
        "connections": 0,
        "restarts": {},
        "workers": [{"pid": 7, "state": "busy", "model": "m"}],
    }
    stage.serve().serve().client("status", None, name="4")
    info = stage.replies[-1][1].header["info"]
    assert info["batches"] == {"running": 0, "done": 2, "lost": 0, "rows": 2, "tokens": 6}
    assert info["requests"] == {"answered": 2, "failed": 0, "errors": {}}


def test_ready_means_that_every_model_and_the_index_are_served():
    stage = Stage(model=("m=/m", "n=/n"), index="/index")

    def ready():
        stage.replies.clear()
        return stage.client("status", None).reply.header["info"]["ready"]

    assert not ready()
    stage.hello("w1", "m").hello("w2", "n")
    assert not ready()
    stage.hello("i", None, ops=["search"])
    assert ready()
    stage.dispatcher.worker_gone("w2", "was killed", stage.now)
    assert not ready()


def test_info_names_models_and_limits():
    info = Stage().hello().client("info", None).reply.header["info"]
    assert info["models"] == [{"name": "m", "max_seq_len": 8}]
    assert info["default_model"] == "m"
    assert info["limits"]["max_request_texts"] == 4096
    assert info["index"] is None
    assert info["protocol"] == list(VERSION)


def test_requests_go_to_the_workers_of_their_model():
    stage = Stage(model=("m=/m", "n=/n")).hello("w1", "m").hello("w2", "n")
    stage.client(name="1").client(name="2", model="n").client(name="3", model="z")
    assert [(who, batch.header["model"]) for who, batch in stage.batches] == [
        ("w1", "m"),
        ("w2", "n"),
    ]
    assert stage.error["code"] == "not_found"
