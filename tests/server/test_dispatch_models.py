"""Models that come and go while the broker serves: no request is lost."""

import pytest

from broker_stage import TOKEN, Stage


def told(*models, coming=(), infos=None, changes=None):
    listed = [dict(zip(("name", "label", "state"), m, strict=True), source="/s") for m in models]
    return {"models": listed, "coming": list(coming), "infos": infos or {},
            "changes": changes or {}}  # fmt: skip


@pytest.fixture
def stage():
    return Stage(model=("m=/m", "n=/n"))


def take(stage, told, failed=None):
    stage.dispatcher.catalogue.take(told, failed or {}, stage.now)
    return stage.pump()


def events(stage):
    found = list(stage.dispatcher.control.events)
    stage.dispatcher.control.events.clear()
    return found


def drained(stage):
    return [who for who, message in stage.batches if message.header["op"] == "drain"]


SWAPPED = told(("m", "m@2", "loaded"), ("n", "n", "loaded"))


def test_whoever_asked_before_a_swap_is_answered_by_the_old_model_and_then_by_the_new(stage):
    stage.client(name="before")
    take(stage, SWAPPED)
    stage.client(name="after")
    stage.hello("new", model="m@2")
    assert [(who, batch.header["model"]) for who, batch in stage.batches] == [("new", "m")]
    stage.hello("old", model="m")
    assert [who for who, _ in stage.batches] == ["new", "old"]
    stage.play()
    assert {m.header["id"]: m.header["status"] for _, m in stage.replies} == {
        "before": "ok", "after": "ok",
    }  # fmt: skip


def test_the_old_workers_go_when_nobody_waits_for_them(stage):
    stage.hello("old", model="m").hello("new", model="m@2").hello("other", model="n")
    stage.client()
    take(stage, SWAPPED).pump(2.0)
    assert drained(stage) == []
    stage.serve(0).pump(2.0)
    assert drained(stage) == ["old"]
    assert events(stage) == [{"event": "retired", "label": "m"}]
    assert stage.pump(2.0) and drained(stage) == ["old"]


def test_a_model_that_comes_keeps_its_workers(stage):
    names = ("m", "m", "loaded"), ("n", "n", "loaded")
    take(stage, told(*names, coming=["m@2"])).hello("new", model="m@2").pump(2.0)
    assert drained(stage) == []
    take(stage, told(*names)).pump(2.0)
    assert drained(stage) == ["new"], "it was given up"


def test_a_request_for_an_unloaded_model_waits_and_has_it_loaded_once(stage):
    take(stage, told(("m", "m", "loaded"), ("n", "n", "unloaded")))
    stage.client(name="1", model="n").client(name="2", model="n").client(name="3", model="m")
    assert events(stage) == [{"event": "wanted", "name": "n"}]
    take(stage, told(("m", "m", "loaded"), ("n", "n", "loading")))
    stage.hello("w", model="n")
    stage.play()
    assert {message.header["id"] for _, message in stage.replies} == {"1", "2"}


def test_a_model_that_was_unloaded_in_the_same_moment_is_wanted_anew(stage):
    stage.client(name="1", model="n")
    take(stage, told(("m", "m", "loaded"), ("n", "n", "unloaded")))
    assert events(stage) == [{"event": "wanted", "name": "n"}]


def test_who_waits_for_a_model_that_cannot_be_loaded_is_told_why(stage):
    stage.client(name="1", model="n").client(name="2", model="m")
    models = told(("m", "m", "loaded"), ("n", "n", "unloaded"))
    take(stage, models, {"n": "no such folder"})
    (_, reply), = stage.replies  # fmt: skip
    assert reply.header["id"] == "1"
    assert reply.header["error"]["message"] == "the model cannot be loaded: no such folder"
    assert stage.dispatcher.scheduler.jobs.keys() == set(stage.dispatcher.ledger)
    assert events(stage) == []


def test_a_model_that_nobody_asks_for_is_unloaded():
    stage = Stage(model=("m=/m", "n=/n"), unload_after_s=60.0)
    stage.hello("a", model="m").hello("b", model="n")
    for _ in range(10):
        stage.pump(10.0).hello("a", model="m").hello("b", model="n").client(items=["x"]).serve()
    assert set(drained(stage)) == {"b"}
    assert {"event": "retired", "label": "n"} in events(stage)
    assert stage.dispatcher.catalogue.missing() == set(), "and the server is ready without it"
    stage.client(name="late", model="n")
    assert events(stage) == [{"event": "wanted", "name": "n"}]


def test_a_model_that_is_computing_is_in_use():
    stage = Stage(model=("m=/m",), unload_after_s=1.0)
    stage.hello().client(timeout_ms=60_000).pump(5.0)
    assert drained(stage) == []
    stage.serve(0).pump(5.0)
    assert drained(stage) == ["w1"]


def test_readiness_asks_for_what_should_be_loaded(stage):
    def ready():
        return stage.client("status", None).replies[-1][1].header["info"]["ready"]

    stage.hello("a", model="m")
    assert not ready()
    take(stage, told(("m", "m", "loaded"), ("n", "n", "loading")))
    assert ready()
    take(stage, told(("m", "m@2", "loaded")))
    assert not ready()


def test_what_is_known_of_a_model_outlives_broker_and_workers(stage):
    infos = {"m": {"dim": 3, "max_seq_len": 8}, "m@2": {"dim": 4, "max_seq_len": 9}}
    take(stage, told(("m", "m@2", "unloaded"), ("n", "n", "loaded"), infos=infos))
    info = stage.client("info", None).replies[-1][1].header["info"]
    assert info["models"] == [{"name": "m", "dim": 4, "max_seq_len": 9}, {"name": "n"}]


def test_models_are_listed_and_changed_by_the_owner_alone(stage):
    stage.hello("w", model="m")
    for op in ("models", "change"):
        refused = stage.client(op, None, change="unload", model="x").replies[-1][1]
        assert refused.header["error"]["code"] == "forbidden"
    assert events(stage) == []
    listed = stage.client("models", None, token=TOKEN).replies[-1][1].header["info"]
    assert listed["models"][0] == {"name": "m", "source": "/m", "state": "loaded", "workers": 1}
    asked = {"change": "swap", "model": "m", "source": "/new", "token": TOKEN}
    assert stage.client("change", None, name="77", **asked).replies[-1][1].header["status"] == "ok"
    assert events(stage) == [
        {"event": "change", "id": "77", "op": "swap", "name": "m", "source": "/new", "task": None}
    ]


@pytest.mark.parametrize("asked", [{"change": "eat", "model": "m"}, {"change": "swap"}])
def test_a_change_that_is_none_is_refused(stage, asked):
    reply = stage.client("change", None, token=TOKEN, **asked).replies[-1][1]
    assert "expected one of load, swap, unload and the name" in reply.header["error"]["message"]
    assert events(stage) == []
