"""What a server tells about itself, and what only its owner may ask of it."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

from bertfeat_client.errors import InvalidRequest
from bertfeat_client.protocol import VERSION, Message
from bertfeat_server.access.admission import Admission, Caller
from bertfeat_server.backend import INDEX_OPS
from bertfeat_server.catalogue import Catalogue
from bertfeat_server.config import ServerConfig
from bertfeat_server.ledger import Ledger
from bertfeat_server.roster import Roster
from bertfeat_server.scheduler import Scheduler
from bertfeat_server.tally import Tally

CHANGES = ("load", "swap", "unload")


class State(Protocol):
    """The parts of the broker that are reported on."""

    config: ServerConfig
    roster: Roster
    scheduler: Scheduler
    ledger: Ledger
    tally: Tally
    catalogue: Catalogue

    @property
    def draining(self) -> bool:
        """Whether the server was told to stop."""


@dataclass(frozen=True)
class Asked:
    """A question to the server itself: by whom, of what, and when."""

    message: Message
    caller: Caller
    state: State
    now: float


class Control:
    """Answers ``info``, ``status``, ``models``, ``change``, ``stop`` and ``join``.

    Args:
        admission: knows who may stop the server.
        backend: the endpoint that further workers are told.
        now: when the server began.

    Attributes:
        events: what the supervisor is to be told.
    """

    def __init__(self, admission: Admission, backend: str, now: float) -> None:
        self.events: deque[dict[str, Any]] = deque()
        self._admission, self._backend = admission, backend
        self._began = now
        self._answers: dict[str, Callable[[Asked], dict[str, Any]]] = {
            "info": self._info, "status": self._status, "stop": self._stop, "join": self._join,
            "models": self._models, "change": self._change,
        }  # fmt: skip

    def answers(self, op: object) -> bool:
        """Say whether an operation is answered here."""
        return isinstance(op, str) and op in self._answers

    def answer(self, asked: "Asked") -> dict[str, Any]:
        """Return what a reply's ``info`` is to hold.

        Raises:
            Forbidden: the operation needs the token, and another or none came.
        """
        return self._answers[asked.message.header["op"]](asked)

    def _info(self, asked: "Asked") -> dict[str, Any]:
        config, roster, key = asked.state.config, asked.state.roster, asked.caller.key
        most = min(config.max_request_texts, key.max_request_texts if key else math.inf)
        return {
            "version": _version(),
            "protocol": list(VERSION),
            "models": [asked.state.catalogue.info(name) for name in config.models],
            "tasks": [asked.state.catalogue.info(name) for name in config.tasks],
            "default_model": next(iter(config.models)),
            "limits": {
                "max_request_texts": int(most),
                "max_text_chars": config.max_text_chars,
                "max_batch_tokens": config.max_batch_tokens,
                "max_queue_tokens": config.max_queue_tokens,
                "default_timeout_s": config.default_timeout_s,
            },
            "index": dict(roster.index) if roster.index is not None else None,
        }

    def _status(self, asked: "Asked") -> dict[str, Any]:
        state = asked.state
        roster, scheduler = state.roster, state.scheduler
        ledger, tally = state.ledger, state.tally
        return {
            "ready": ready(state) and not state.draining,
            "draining": state.draining,
            "uptime_s": round(asked.now - self._began, 3),
            "queue": {
                "requests": len(ledger),
                "tokens": scheduler.queued_tokens,
                "max_tokens": scheduler.max_queue_tokens,
            },
            "requests": {
                "answered": tally.answered,
                "failed": sum(tally.errors.values()),
                "errors": dict(tally.errors),
            },
            "texts": {
                "truncated": tally.truncated,
                "duplicates": tally.duplicates,
                "non_finite": tally.non_finite,
                "errors": dict(tally.row_errors),
            },
            "latency_ms": ledger.latency_ms(),
            "batches": {
                "running": len(scheduler.in_flight),
                "done": tally.batches,
                "lost": tally.lost,
                "rows": tally.texts,
                "tokens": tally.tokens,
            },
            "computed": {"tokens": tally.packed_tokens, "padding": tally.padding_tokens},
            "connections": tally.connections,
            "restarts": dict(tally.restarts),
            "histograms": tally.histograms(),
            "workers": [
                {"pid": worker.pid, "state": worker.state, "model": worker.model}
                for worker in roster.workers.values()
            ],
        }

    def _stop(self, asked: "Asked") -> dict[str, Any]:
        self._admission.check_owner(asked.message.header)
        self.events.append({"event": "stop"})
        return {}

    def _join(self, asked: "Asked") -> dict[str, Any]:
        self._admission.check_owner(asked.message.header)
        labels = asked.state.catalogue.labels
        return {"backend": self._backend, "config": asked.state.config.to_dict(), "labels": labels}

    def _models(self, asked: "Asked") -> dict[str, Any]:
        self._admission.check_owner(asked.message.header)
        catalogue = asked.state.catalogue
        return {"models": catalogue.report(), "changes": catalogue.changes}

    def _change(self, asked: "Asked") -> dict[str, Any]:
        header = asked.message.header
        self._admission.check_owner(header)
        change, name = header.get("change"), header.get("model")
        if change not in CHANGES or not isinstance(name, str) or not name:
            raise InvalidRequest(
                f"change={change!r:.60}, model={name!r:.60}: expected one of {', '.join(CHANGES)} "
                "and the name of one"
            )
        told = {"id": header["id"], "op": change, "name": name, "task": header.get("task")}
        self.events.append({"event": "change", "source": header.get("source")} | told)
        return {}


def ready(state: State) -> bool:
    """Say whether all models that should be loaded, and the index if any, have their processes."""
    workers = state.roster.workers.values()
    index = any(worker.ready and worker.ops & set(INDEX_OPS) for worker in workers)
    return not state.catalogue.missing() and (index or state.config.index is None)


@cache
def _version() -> str:
    """Return this installation's version; it is read from files, so once."""
    try:
        return version("bertfeat")
    except PackageNotFoundError:
        return "unknown"
