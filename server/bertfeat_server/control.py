"""What a server tells about itself, and what only its owner may ask of it."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

from bertfeat_client.protocol import VERSION, Message
from bertfeat_server.access.admission import Admission, Caller
from bertfeat_server.backend import INDEX_OPS
from bertfeat_server.config import ServerConfig
from bertfeat_server.ledger import Ledger
from bertfeat_server.roster import Roster
from bertfeat_server.scheduler import Scheduler
from bertfeat_server.tally import Tally


class State(Protocol):
    """The parts of the broker that are reported on."""

    roster: Roster
    scheduler: Scheduler
    ledger: Ledger
    tally: Tally

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
    """Answers ``info``, ``status``, ``stop`` and ``join``.

    Args:
        config: the server's settings.
        admission: knows who may stop the server.
        backend: the endpoint that further workers are told.
        now: when the server began.

    Attributes:
        events: what the supervisor is to be told.
        config: the settings that are told.
    """

    def __init__(
        self, config: ServerConfig, admission: Admission, backend: str, now: float
    ) -> None:
        self.events: deque[dict[str, Any]] = deque()
        self.config, self._admission, self._backend = config, admission, backend
        self._began = now
        self._answers: dict[str, Callable[[Asked], dict[str, Any]]] = {
            "info": self._info, "status": self._status, "stop": self._stop, "join": self._join,
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
        config, roster, key = self.config, asked.state.roster, asked.caller.key
        most = min(config.max_request_texts, key.max_request_texts if key else math.inf)
        return {
            "version": _version(),
            "protocol": list(VERSION),
            "models": [
                {"name": name} | dict(roster.models.get(name, {})) for name in config.models
            ],
            "tasks": [{"name": name} | dict(roster.models.get(name, {})) for name in config.tasks],
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
            "ready": ready(self.config, roster) and not state.draining,
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
        return {"backend": self._backend, "config": self.config.to_dict()}


def ready(config: ServerConfig, roster: Roster) -> bool:
    """Say whether every model, and the index if there is one, has a process that serves it."""
    serving = [worker for worker in roster.workers.values() if worker.ready]
    models = {worker.model for worker in serving if not worker.ops & set(INDEX_OPS)}
    index = any(worker.ops & set(INDEX_OPS) for worker in serving)
    return models >= set(config.served) and (index or config.index is None)


def _version() -> str:
    try:
        return version("bertfeat")
    except PackageNotFoundError:
        return "unknown"
