"""Which models have workers, decided without a process."""

import pytest

from bertfeat_server.config import ServerConfig
from bertfeat_server.fleet import LOAD_S, REMEMBERED, Fleet


class Child:
    """A process that does nothing, and knows what was done to it."""

    def __init__(self):
        self.released = self.killed = False

    def release(self):
        self.released = True

    def kill(self):
        self.killed = True


@pytest.fixture
def fleet():
    return filled(Fleet(ServerConfig(model=("a=/a", "b=/b"), workers=2)))


def filled(fleet, ready=True):
    """Start a child in every empty place, as the supervisor does."""
    for slot in [slot for slot in fleet.slots if slot.child is None]:
        slot.child = Child()
        if ready:
            say_ready(fleet, slot)
    return fleet


def say_ready(fleet, slot, info=None):
    slot.ready = True
    fleet.ready(slot, info or {"dim": 8})


def places(fleet, label):
    return [slot for slot in fleet.slots if slot.settings["label"] == label]


def end(fleet, slot, reason="was killed", now=1.0):
    """Note the end of a child; say whether another follows."""
    slot.child, slot.ready = None, False
    return fleet.ended(slot, reason, now)


def ask(fleet, op, name, source=None, id="1", **more):
    fleet.obey({"event": "change", "id": id, "op": op, "name": name, "source": source} | more, 0.0)
    return outcome(fleet, id)


def outcome(fleet, id="1"):
    change = fleet.told()["changes"][id]
    return change["state"], change["reason"]


def states(fleet):
    return {model["name"]: (model["label"], model["state"]) for model in fleet.told()["models"]}


def test_every_model_has_its_workers_from_the_start(fleet):
    assert [slot.settings["label"] for slot in fleet.slots] == ["a", "a", "b", "b"]
    assert not any(slot.settings["checked"] for slot in fleet.slots)
    assert states(fleet) == {"a": ("a", "loaded"), "b": ("b", "loaded")}


def test_lazy_models_but_the_first_wait_until_they_are_wanted():
    fleet = filled(Fleet(ServerConfig(model=("a=/a", "b=/b"), lazy=True)))
    assert states(fleet)["b"] == ("b", "unloaded")
    fleet.obey({"event": "wanted", "name": "b"}, 0.0)
    fleet.obey({"event": "wanted", "name": "b"}, 0.0)
    fleet.obey({"event": "wanted", "name": "nobody's"}, 0.0)
    assert states(fleet)["b"] == ("b", "loading")
    assert len(places(fleet, "b")) == 1
    filled(fleet)
    assert states(fleet)["b"] == ("b", "loaded")


def test_a_lazy_model_that_cannot_be_loaded_is_told_and_may_be_wanted_again():
    fleet = filled(Fleet(ServerConfig(model=("a=/a", "b=/b"), lazy=True)))
    fleet.obey({"event": "wanted", "name": "b"}, 0.0)
    (slot,) = places(filled(fleet, ready=False), "b")
    assert not end(fleet, slot, "no such folder")
    assert fleet.failed == {"b": "no such folder"}
    assert states(fleet)["b"] == ("b", "unloaded")
    assert fleet.slots == places(fleet, "a")
    fleet.obey({"event": "wanted", "name": "b"}, 2.0)
    assert len(places(fleet, "b")) == 1


def test_a_swapped_model_takes_over_when_all_its_workers_are_ready(fleet):
    assert ask(fleet, "swap", "a", "/new") == ("running", "")
    first, second = places(filled(fleet, ready=False), "a@2")
    assert first.settings["checked"] and first.settings["source"] == "/new"
    assert fleet.told()["coming"] == ["a@2"]
    say_ready(fleet, first)
    assert states(fleet)["a"] == ("a", "loaded")
    assert fleet.config.models == {"a": "/a", "b": "/b"}
    say_ready(fleet, second, {"dim": 16})
    assert outcome(fleet) == ("done", "")
    assert states(fleet)["a"] == ("a@2", "loaded")
    assert fleet.config.model == ("a=/new", "b=/b")
    assert fleet.told()["infos"]["a@2"] == {"dim": 16}
    assert end(fleet, places(fleet, "a")[0]), "the old ones answer still"


def test_workers_that_nobody_waits_for_end_and_are_killed_if_they_do_not(fleet):
    ask(fleet, "swap", "a", "/new")
    filled(fleet)
    fleet.obey({"event": "retired", "label": "a"}, 5.0)
    gone, hangs = places(fleet, "a")
    assert gone.child.released and hangs.child.released
    assert not end(fleet, gone, now=5.5)
    fleet.tick(6.0)
    assert not hangs.child.killed
    fleet.tick(60.0)
    assert hangs.child.killed
    assert places(fleet, "a") == [hangs]
    assert fleet.told()["infos"].keys() == {"a@2", "b"}
    assert states(fleet)["a"] == ("a@2", "loaded")


@pytest.mark.parametrize("how", ["the one that ends", "the time that is over"])
def test_a_swap_that_fails_leaves_the_model_as_it_was(fleet, how):
    ask(fleet, "swap", "a", "/new")
    first, second = places(filled(fleet, ready=False), "a@2")
    if how == "the one that ends":
        assert not end(fleet, first, "cosine of 0.5")
        assert outcome(fleet) == ("failed", "cosine of 0.5")
    else:
        fleet.tick(LOAD_S + 1)
        assert outcome(fleet)[0] == "failed"
    assert second.child.released
    assert states(fleet)["a"] == ("a", "loaded")
    assert fleet.config.models["a"] == "/a"
    assert ask(fleet, "swap", "a", "/newer", id="2") == ("running", ""), "and it can be tried again"


def test_what_waits_for_a_model_that_does_not_come_is_told(fleet):
    fleet.obey({"event": "retired", "label": "b"}, 0.0)
    fleet.obey({"event": "wanted", "name": "b"}, 1.0)
    fleet.tick(LOAD_S)
    assert states(fleet)["b"] == ("b", "loading")
    fleet.tick(LOAD_S + 2)
    assert states(fleet)["b"] == ("b", "unloaded")
    assert fleet.failed == {"b": "it was not ready after 900 s"}


def test_the_workers_before_a_swap_come_back_unless_their_model_is_gone(fleet):
    ask(fleet, "swap", "a", "/new")
    filled(fleet)
    first, second = places(fleet, "a")
    assert end(fleet, first)
    first.reason = second.reason = "the folder is gone"
    assert not end(fleet, first, first.reason)
    assert not fleet.failed, "the other one answers"
    assert not end(fleet, second, second.reason)
    assert fleet.failed == {"a": "the folder is gone"}
    assert states(fleet)["a"] == ("a@2", "loaded")


def test_one_more_model_is_served_when_it_is_ready_and_not_before(fleet):
    assert ask(fleet, "load", "c", "/c", task=True) == ("running", "")
    assert "c" not in states(fleet)
    filled(fleet)
    assert outcome(fleet) == ("done", "")
    assert states(fleet)["c"] == ("c", "loaded")
    assert fleet.config.tasks == {"c": "/c"}


def test_a_model_is_loaded_again_after_it_was_unloaded_for_want_of_work(fleet):
    fleet.obey({"event": "retired", "label": "b"}, 0.0)
    assert states(fleet)["b"] == ("b", "unloaded")
    for slot in places(fleet, "b"):
        end(fleet, slot)
    assert ask(fleet, "load", "b", "b") == ("running", "")
    filled(fleet)
    assert outcome(fleet) == ("done", "")
    assert states(fleet)["b"] == ("b", "loaded")


def test_an_unloaded_model_is_served_no_more(fleet):
    assert ask(fleet, "unload", "b") == ("done", "")
    assert list(states(fleet)) == ["a"]
    assert fleet.config.models == {"a": "/a"}
    assert len(places(fleet, "b")) == 2, "until the broker says that nobody waits for them"


@pytest.mark.parametrize(
    ("op", "name", "source", "said"),
    [
        ("load", "b", "/other", "'b' is served already; swap it"),
        ("swap", "c", "/c", "no model 'c' here; this server has a, b"),
        ("unload", "c", None, "no model 'c' here; this server has a, b"),
        ("unload", "a", None, "'a' answers whoever names no model; swap it instead"),
    ],
)
def test_what_cannot_be_fails_at_once_and_changes_nothing(fleet, op, name, source, said):
    before, slots = states(fleet), list(fleet.slots)
    assert ask(fleet, op, name, source) == ("failed", said)
    assert (states(fleet), fleet.slots) == (before, slots)


def test_a_model_is_changed_by_one_at_a_time(fleet):
    ask(fleet, "swap", "a", "/new")
    assert ask(fleet, "swap", "a", "/other", id="2") == ("failed", "'a' is being changed already")
    filled(fleet)
    assert outcome(fleet) == ("done", "")


def test_an_index_keeps_its_models():
    fleet = filled(Fleet(ServerConfig(model=("a=/a", "b=/b"), index="/index")))
    for op in ("swap", "unload"):
        state, reason = ask(fleet, op, "b", "/new")
        assert state == "failed" and "the index holds vectors" in reason


def test_old_outcomes_are_forgotten(fleet):
    for number in range(REMEMBERED + 5):
        ask(fleet, "unload", "c", id=str(number))
    assert list(fleet.told()["changes"])[0] == "5"
