"""Which models the broker serves at the moment, whose workers are needed, and whose are not.

The supervisor decides (see :mod:`bertfeat_server.fleet`) and tells; what is only seen here, that a
model is asked for or that nobody waits for its workers any more, it is told in turn.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bertfeat_client.errors import InternalError, ServerError
from bertfeat_server.config import ServerConfig
from bertfeat_server.ledger import Ledger
from bertfeat_server.roster import Roster, Worker
from bertfeat_server.served import LOADED, LOADING, UNLOADED

Refuse = Callable[[Iterable[int], ServerError], None]


@dataclass(slots=True)
class Entry:
    """What is served under one name.

    Attributes:
        label: what its workers go by.
        source: where it is from.
        state: loaded, loading or unloaded.
        used_at: when it was last asked for.
    """

    label: str
    source: str
    state: str
    used_at: float


class Catalogue:
    """All models of a server.

    Args:
        config: the server's settings.
        roster: the workers.
        ledger: the open requests.
        events: what the supervisor is to be told.
        refuse: answers requests, by their tickets, with an error.
        now: the present.

    Attributes:
        entries: name to what is served under it.
        labels: name to label.
        changes: what became of the changes that commands asked for.
    """

    def __init__(
        self, config: ServerConfig, roster: Roster, ledger: Ledger,
        events: deque[dict[str, Any]], refuse: Refuse, now: float,
    ) -> None:  # fmt: skip
        self._roster, self._ledger, self._events = roster, ledger, events
        self._refuse = refuse
        self._coming: set[str] = set()
        self.changes: Mapping[str, Any] = {}
        self.entries = {
            name: Entry(name, source, LOADED, now) for name, source in config.served.items()
        }
        self.labels = {name: name for name in self.entries}

    def take(self, told: Mapping[str, Any], failed: Mapping[str, str], now: float) -> None:
        """Go by what the supervisor says from now on.

        Args:
            told: as :meth:`bertfeat_server.fleet.Fleet.told` gives it.
            failed: label to reason, of models that could not be loaded for those who wait.
            now: the present.
        """
        before = self.entries
        self.entries = {}
        for model in told["models"]:
            label, known = model["label"], before.get(model["name"])
            used_at = known.used_at if known and known.label == label else now
            self.entries[model["name"]] = Entry(label, model["source"], model["state"], used_at)
        self.labels = {name: entry.label for name, entry in self.entries.items()}
        self._coming, self.changes = set(told["coming"]), told["changes"]
        for label, info in told["infos"].items():
            self._roster.describe(label, info)
        for label, reason in failed.items():
            waiting = [t for t in self._ledger if self._ledger.key(t).model == label]
            self._refuse(waiting, InternalError(f"the model cannot be loaded: {reason}"))
        waited_for = self._waited_for()
        for name, entry in self.entries.items():
            if entry.label in waited_for:
                self.use(name, now)

    def use(self, name: str, now: float) -> None:
        """Note that a model is asked for; one without workers is to get some."""
        entry = self.entries.get(name)
        if entry is None:
            return
        entry.used_at = now
        if entry.state == UNLOADED:
            entry.state = LOADING
            self._events.append({"event": "wanted", "name": name})

    def retire(self, now: float, unload_after_s: float) -> Iterator[Worker]:
        """Give the workers that nobody needs; the caller sends them home.

        Args:
            now: the present.
            unload_after_s: a model that was not asked for so long needs none; 0 for never.
        """
        waited_for = self._waited_for()
        for entry in self.entries.values():
            idle = unload_after_s and now - entry.used_at > unload_after_s
            if idle and entry.state == LOADED and entry.label not in waited_for:
                entry.state = UNLOADED
        needed = {entry.label for entry in self.entries.values() if entry.state != UNLOADED}
        needed |= self._coming | waited_for
        labels = {w.model for w in self._roster.workers.values() if w.model is not None} - needed
        for label in sorted(labels):
            self._events.append({"event": "retired", "label": label})
        yield from [w for w in self._roster.workers.values() if w.model in labels]

    def missing(self) -> set[str]:
        """Return the names that should have a ready worker and have none."""
        serving = {worker.model for worker in self._roster.workers.values() if worker.ready}
        return {
            name
            for name, entry in self.entries.items()
            if entry.state == LOADED and entry.label not in serving
        }

    def report(self) -> list[dict[str, Any]]:
        """Return each model's name, source, state and number of ready workers."""
        workers = [worker.model for worker in self._roster.workers.values() if worker.ready]
        return [
            {"name": name, "source": entry.source, "state": entry.state,
             "workers": workers.count(entry.label)}
            for name, entry in self.entries.items()
        ]  # fmt: skip

    def info(self, name: str) -> dict[str, Any]:
        """Return what is known of a model."""
        return {"name": name} | dict(self._roster.models.get(self.labels.get(name, name), {}))

    def _waited_for(self) -> set[str]:
        return {self._ledger.key(ticket).model for ticket in self._ledger}
