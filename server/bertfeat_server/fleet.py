"""Which models have workers, as the supervisor decides: loaded, unloaded, exchanged for others.

Pure state: whoever holds the processes fills the places in ``slots`` and says what became of them.
Each model's workers go by a label.  A model that takes another's place has a label of its own, and
its workers run beside the old ones until they have proved themselves; the broker says when nobody
waits for the old ones any more.
"""

import itertools
import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from bertfeat_server.config import ServerConfig
from bertfeat_server.served import (
    DONE,
    FAILED,
    LOADED,
    LOADING,
    RUNNING,
    UNLOADED,
    Change,
    Model,
)  # fmt: skip
from bertfeat_server.slots import Slot

logger = logging.getLogger(__name__)
LOAD_S = 900.0
"""A model that is not ready after so long has failed."""
ASKED = ("change", "wanted", "retired")
"""Events that the broker has for a fleet."""
REMEMBERED = 32
"""Changes whose outcomes are told."""


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
            "infos": {label: self._infos[label] for label in self._labels() & self._infos.keys()},
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
            self.wanted(event["name"], now)
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
            model = Model(name, source, task, self._new_label(name), until=now + LOAD_S)
        change = Change(str(asked["op"]), model)
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
            self.wanted(name, now)
        else:
            self._place(model, checked=True)

    def wanted(self, name: str, now: float) -> None:
        """Load a model that somebody asks for."""
        model = self._models.get(name)
        if model is not None and model.state == UNLOADED:
            model.state, model.until, self.changed = LOADING, now + LOAD_S, True
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
        elif label in self._coming():
            self._fail(label, reason, now)
        elif slot.reason and label not in self._labels():  # the source of an old one is gone
            self.slots.remove(slot)
            if not self._of(label):
                self.failed[label], self.changed = reason, True
        else:
            return True
        return False

    def retired(self, label: str, now: float) -> None:
        """Send home the workers of a label that nobody waits for."""
        for model in self._models.values():
            if model.label == label:
                model.state = UNLOADED
        self._drop(label, now)

    def tick(self, now: float) -> None:
        """Give up what has not come in time."""
        for label, until in self._coming().items():
            if now > until:
                self._fail(label, f"it was not ready after {LOAD_S:.0f} s", now)
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

    def _fail(self, label: str, reason: str, now: float) -> None:
        """Give up a model that cannot be loaded, and those who wait for it."""
        logger.error("%s is not loaded: %s", label, reason)
        self.failed[label] = reason
        for model in self._models.values():
            if model.label == label:
                model.state = UNLOADED
        for change in self._running():
            if change.model.label == label:
                change.state, change.reason = FAILED, reason
        self._drop(label, now)

    def _labels(self) -> set[str]:
        """Return the labels of what is served, loaded or not."""
        return {model.label for model in self._models.values()}

    def _coming(self) -> dict[str, float]:
        """Return the labels of what is being loaded, each with the time that it has."""
        loading = [model for model in self._models.values() if model.state == LOADING]
        changes = [change.model for change in self._running()]
        return {model.label: model.until for model in (*loading, *changes)}

    def _running(self) -> list[Change]:
        return [change for change in self._changes.values() if change.state == RUNNING]

    def _of(self, label: str) -> list[Slot]:
        found = [slot for slot in self.slots if slot.settings["label"] == label]
        return [slot for slot in found if not slot.leaving]

    def _new_label(self, name: str) -> str:
        taken = {slot.settings["label"] for slot in self.slots} | self._labels() | set(self._infos)
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
