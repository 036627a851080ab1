"""Who serves: the processes behind the broker, what they offer and when they last spoke."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bertfeat_server.jobs import Key

SILENCE_S = 15.0
"""A ready process that says nothing for so long is lost; heartbeats come every second."""


@dataclass(slots=True)
class Worker:
    """One process behind the broker.

    Attributes:
        identity: its ZeroMQ routing id as text.
        pid: its process id on its own machine.
        model: the model it serves; None for the index.
        ops: the operations it serves.
        ready: whether it takes batches.
        info: what it says of its model or index.
        seen_at: when it last said anything.
        batch: number of the batch it has.
        busy_until: when it must have answered it.
    """

    identity: str
    pid: int
    model: str | None
    ops: frozenset[str]
    ready: bool
    info: Mapping[str, Any]
    seen_at: float
    batch: int | None = None
    busy_until: float = 0.0

    @property
    def state(self) -> str:
        """Return loading, ready or busy."""
        if not self.ready:
            return "loading"
        return "ready" if self.batch is None else "busy"

    def serves(self, key: Key) -> bool:
        """Say whether it can compute batches of this key."""
        return key.op in self.ops and key.model == (self.model or "")


@dataclass
class Roster:
    """All processes behind the broker.

    Attributes:
        workers: identity to process.
        models: model to what its workers last said of it, also when none is left.
        max_seq_len: model to the tokens that it reads of a text.
        index: what the index process last said.
    """

    workers: dict[str, Worker] = field(default_factory=dict)
    models: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    max_seq_len: dict[str, int] = field(default_factory=dict)
    index: Mapping[str, Any] | None = None
    _idle: dict[str, Worker] = field(default_factory=dict)

    def hello(self, identity: str, header: Mapping[str, Any], now: float) -> Worker:
        """Take in a process, or what it has to say anew."""
        known = self.workers.get(identity)
        model, info = header.get("model"), header.get("info")
        worker = Worker(
            identity,
            int(header.get("pid", 0)),
            str(model) if model is not None else None,
            frozenset(map(str, header.get("ops", ()))),
            header.get("state") == "ready",
            info if isinstance(info, Mapping) else {},
            now,
            known.batch if known else None,
            known.busy_until if known else 0.0,
        )
        self.workers[identity] = worker
        if worker.ready:
            self._remember(worker)
            if worker.batch is None:
                self._idle[identity] = worker
            else:
                self._idle.pop(identity, None)
        return worker

    def seen(self, identity: str, now: float) -> bool:
        """Note that a process spoke; False if nobody knows it."""
        worker = self.workers.get(identity)
        if worker is not None:
            worker.seen_at = now
        return worker is not None

    def idle(self) -> list[Worker]:
        """Return the processes that wait for a batch."""
        return list(self._idle.values())

    def idle_for(self, key: Key) -> int:
        """Count those of them that can compute batches of this key."""
        return sum(worker.serves(key) for worker in self._idle.values())

    def busy(self, identity: str, batch: int, until: float) -> None:
        """Note that a process got a batch, and until when it may take."""
        worker = self._idle.pop(identity)
        worker.batch, worker.busy_until = batch, until

    def free(self, identity: str) -> None:
        """Note that a process has answered."""
        worker = self.workers.get(identity)
        if worker is not None:
            worker.batch = None
            self._idle[identity] = worker

    def gone(self, identity: str) -> Worker | None:
        """Strike a process off."""
        self._idle.pop(identity, None)
        return self.workers.pop(identity, None)

    def silent(self, now: float) -> Iterator[tuple[Worker, str]]:
        """Give the processes that must be taken for lost, with the reason."""
        for worker in self.workers.values():
            if worker.ready and now - worker.seen_at > SILENCE_S:
                yield worker, f"said nothing for {SILENCE_S:.0f} s"
            elif worker.batch is not None and now > worker.busy_until:
                yield worker, "was busy with one batch for far too long"

    def offers(self, op: str) -> bool:
        """Say whether any ready process serves an operation."""
        return any(op in worker.ops for worker in self.workers.values())

    def serves(self, key: Key) -> bool:
        """Say whether any ready process can compute batches of this key."""
        return any(worker.serves(key) for worker in self.workers.values())

    def describe(self, model: str, info: Mapping[str, Any]) -> None:
        """Note what is known of a model."""
        self.models[model] = info
        self.max_seq_len[model] = int(info.get("max_seq_len", 512))

    def _remember(self, worker: Worker) -> None:
        if worker.model is not None:
            self.describe(worker.model, worker.info)
        else:
            self.index = worker.info
