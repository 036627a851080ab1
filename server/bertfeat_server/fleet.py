"""Which models have workers, as the supervisor decides: loaded, unloaded, exchanged for others.

Pure state: whoever holds the processes fills the places in ``slots`` and says what became of them.
Each model's workers go by a label.  A model that takes another's place has a label of its own, and
its workers run beside the old ones until they have proved themselves; the broker says when nobody
waits for the old ones any more.
"""

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from bertfeat_server.config import ServerConfig
from bertfeat_server.slots import Slot

LOADED, LOADING, UNLOADED = "loaded", "loading", "unloaded"
RUNNING, DONE, FAILED = "running", "done", "failed"
LOAD_S = 900.0
"""A model that is not ready after so long has failed."""
ASKED = ("change", "wanted", "retired")
"""Events that the broker has for a fleet."""
REMEMBERED = 32
"""Changes whose outcomes are told."""


@dataclass
class Model:
    """One name that callers use.

    Attributes:
        name: the name.
        source: folder, or the name to resolve.
        task: whether it is a trained head.
        label: what its workers go by.
        state: whether it has workers; one that is loading gets them for waiting requests.
    """

    name: str
    source: str
    task: bool
    label: str
    state: str = LOADED


@dataclass
class Change:
    """What was asked for by a command, and what became of it.

    Attributes:
        op: ``load``, ``swap`` or ``unload``.
        model: as it is to be.
        until: when it has failed.
        state: running, done or failed.
        reason: why it failed.
    """

    op: str
    model: Model
    until: float
    state: str = RUNNING
    reason: str = ""


class Fleet:
    """All workers of a server's own.

    Args:
        config: the server's settings.

    Attributes:
        config: the settings with the models as they are now.
        slots: places of workers; an empty one is to be filled when it is due.
        changed: whether there is something to tell the broker.
        failed: label to reason, of models whose waiting requests are to be refused.
    """

    def __init__(self, config: ServerConfig) -> None:
        self.config, self.changed = config, False
        self.slots: list[Slot] = []
        self.failed: dict[str, str] = {}
        self._infos: dict[str, Mapping[str, Any]] = {}
        self._changes: dict[str, Change] = {}
        self._models = {
            name: Model(name, source, name in config.tasks, name)
            for name, source in config.served.items()
        }
        for number, model in enumerate(self._models.values()):
            if config.lazy and number:
                model.state = UNLOADED
            else:
                self._place(model, checked=False)

    def told(self) -> dict[str, Any]:
        """Return what the broker and those who look after the server may know."""
        return {
            "models": [asdict(model) for model in self._models.values()],
            "coming": [change.model.label for change in self._running()],
            "infos": dict(self._infos),
            "changes": {
                id: {"op": change.op, "name": change.model.name, "state": change.state,
                     "reason": change.reason}
                for id, change in self._changes.items()
            },
        }  # fmt: skip

    def obey(self, event: Mapping[str, Any], now: float) -> None:
        """Do what the broker says, in one of the events ``ASKED``."""
        if event["event"] == "change":
            self.change(event, now)
        elif event["event"] == "wanted":
            self.wanted(event["name"])
        else:
            self.retired(event["label"], now)

    def change(self, asked: Mapping[str, Any], now: float) -> None:
        """Begin what a command asks for; what cannot be fails at once, and nothing else happens.

        Args:
            asked: ``id``, ``op``, ``name``, ``source`` and ``task`` (whether it is a head).
            now: the present.
        """
        name, old = str(asked["name"]), self._models.get(str(asked["name"]))
        source = str(asked.get("source") or (old.source if old else name))
        task = old.task if old else bool(asked.get("task"))
        again = old is not None and source in (name, old.source) and old.state != LOADED
        if old and again and asked["op"] == "load":
            model = old
        else:
            model = Model(name, source, task, self._new_label(name))
        change = Change(str(asked["op"]), model, now + LOAD_S)
        change.reason = self._wrong(change, old)
        self._changes[str(asked["id"])] = change
        while len(self._changes) > REMEMBERED:
            del self._changes[next(iter(self._changes))]
        self.changed = True
        if change.reason:
            change.state = FAILED
        elif change.op == "unload":
            change.state = DONE
            del self._models[name]
            self._rewrite()
        elif model is old:
            self.wanted(name)
        else:
            self._place(model, checked=True)

    def wanted(self, name: str) -> None:
        """Load a model that somebody asks for."""
        model = self._models.get(name)
        if model is not None and model.state == UNLOADED:
            model.state, self.changed = LOADING, True
            self._place(model, checked=False)

    def ready(self, slot: Slot, info: Mapping[str, Any]) -> None:
        """Note that a worker has loaded its model, and what it says of it."""
        label = slot.settings["label"]
        self.changed |= self._infos.get(label) != info
        self._infos[label] = info
        for model in self._models.values():
            if model.label == label and model.state == LOADING:
                model.state, self.changed = LOADED, True
        for change in self._running():
            if change.model.label == label and all(s.ready for s in self._of(label)):
                self._models[change.model.name] = change.model
                change.state, self.changed = DONE, True
                self._rewrite()

    def ended(self, slot: Slot, reason: str, now: float) -> bool:
        """Note a worker's end; say whether another is to take its place."""
        label = slot.settings["label"]
        if slot.leaving:
            self.slots.remove(slot)
            return False
        loading = [m for m in self._models.values() if m.label == label and m.state == LOADING]
        changes = [change for change in self._running() if change.model.label == label]
        for model in loading:
            model.state, self.failed[label] = UNLOADED, reason
        for change in changes:
            change.state, change.reason = FAILED, reason
        if loading or changes:
            self._drop(label, now)
        return not loading and not changes

    def retired(self, label: str, now: float) -> None:
        """Send home the workers of a label that nobody waits for."""
        for model in self._models.values():
            if model.label == label:
                model.state = UNLOADED
        self._drop(label, now)

    def tick(self, now: float) -> None:
        """Give up what has not come in time."""
        for change in self._running():
            if now > change.until:
                change.state = FAILED
                change.reason = f"it was not ready after {LOAD_S:.0f} s"
                self._drop(change.model.label, now)
        for slot in self.slots:
            if slot.leaving and slot.child is not None and now > slot.due:
                slot.child.kill()

    def _wrong(self, change: Change, old: Model | None) -> str:
        """Say why a change cannot be, if so."""
        name = change.model.name
        if any(other.model.name == name for other in self._running()):
            return f"{name!r} is being changed already"
        if change.op == "load":
            return "" if old in (None, change.model) else f"{name!r} is served already; swap it"
        if old is None:
            return f"no model {name!r} here; this server has {', '.join(self._models)}"
        if self.config.index is not None:
            return "the index holds vectors of the models as they are; start another server"
        if change.op == "unload" and name == next(iter(self._models)):
            return f"{name!r} answers whoever names no model; swap it instead"
        return ""

    def _running(self) -> list[Change]:
        return [change for change in self._changes.values() if change.state == RUNNING]

    def _of(self, label: str) -> list[Slot]:
        return [slot for slot in self.slots if slot.settings["label"] == label]

    def _new_label(self, name: str) -> str:
        taken = {slot.settings["label"] for slot in self.slots}
        taken |= {model.label for model in self._models.values()} | set(self._infos)
        numbered = (f"{name}@{number}" for number in itertools.count(2))
        return next(label for label in itertools.chain([name], numbered) if label not in taken)

    def _place(self, model: Model, checked: bool) -> None:
        for device in self.config.devices:
            told = {"name": model.name, "source": model.source, "label": model.label}
            self.slots.append(Slot("worker", told | {"device": device, "checked": checked}))

    def _drop(self, label: str, now: float) -> None:
        """Let the workers of a label go."""
        self.changed = True
        for slot in self._of(label):
            if slot.child is None:
                self.slots.remove(slot)
            else:
                slot.leave(now)

    def _rewrite(self) -> None:
        """Let the settings say what is served now."""
        named: dict[bool, list[str]] = {False: [], True: []}
        for model in self._models.values():
            named[model.task].append(f"{model.name}={model.source}")
        self.config = replace(self.config, model=tuple(named[False]), task=tuple(named[True]))
