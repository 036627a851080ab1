"""The supervisor: starts broker, workers and index, replaces those that end, ends all of them."""

import logging
import os
import queue
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from bertfeat.errors import BertFeatError
from bertfeat_server.ask import reachable, wait_until_ready
from bertfeat_server.config import ServerConfig
from bertfeat_server.fleet import ASKED as ASKED_OF_FLEET
from bertfeat_server.fleet import Fleet
from bertfeat_server.ipc import backend_endpoint, remove_socket, side_door
from bertfeat_server.logs import set_up
from bertfeat_server.processes import Child
from bertfeat_server.reloading import merged
from bertfeat_server.runfile import RunFile, published
from bertfeat_server.signals import as_events
from bertfeat_server.slots import GOODBYE_S, Slot, restart_delay_s

START_ATTEMPTS = 3
ANSWER_S = 10.0
SIDES = ("http", "compat")
"""Processes that pass other protocols' requests to the broker."""
ENDPOINTS = ("frontend", "backend", *SIDES)
logger = logging.getLogger(__name__)


class StartError(BertFeatError):
    """The server could not be started; the message is the reason of the process that failed."""


class Supervisor:
    """Runs a server from start to end in the calling thread, which must be the main one.

    Args:
        config: its settings.
        reread: gives them anew; called on SIGHUP.
    """

    def __init__(
        self, config: ServerConfig, reread: Callable[[], ServerConfig] | None = None
    ) -> None:
        self._fleet, self._reread = Fleet(config), reread or (lambda: config)
        self.token = secrets.token_hex(16)
        self._events: queue.SimpleQueue[tuple[Child | None, dict[str, Any]]] = queue.SimpleQueue()
        self._broker = Slot("broker", {})
        self._sides: list[Slot] = []
        backend, door = backend_endpoint(), side_door(config)
        self._endpoints = {"frontend": config.frontend, "backend": backend, "door": door}
        self._listened = self._serving = self._stopping = self._hurry = False

    @property
    def config(self) -> ServerConfig:
        """The settings as they are now."""
        return self._fleet.config

    @property
    def _slots(self) -> list[Slot]:
        workers = self._fleet.slots if self._listened else []
        return [self._broker, *workers, *self._sides]

    def run(self, on_ready: Callable[[str, dict[str, Any]], None]) -> None:
        """Serve until told to stop.

        Args:
            on_ready: called once with the endpoint and the server's ``info``, when every worker
                is warm and the broker answers.

        Raises:
            StartError: a process could not be started.
        """
        with as_events(self._events):
            try:
                self._add(self._broker)
                self._run_until(lambda: self._broker.ready)
                if not self._stopping:
                    endpoint, door = self._endpoints["frontend"], self._endpoints["door"]
                    with published(RunFile(os.getpid(), endpoint, self.token, door)):
                        try:
                            self._serve(endpoint, on_ready)
                        finally:
                            self._end_all()
            finally:
                self._end_all()

    def _serve(self, endpoint: str, on_ready: Callable[[str, dict[str, Any]], None]) -> None:
        self._sides = self._plan()
        self._run_until(lambda: all(slot.ready for slot in self._slots))
        if not self._stopping:
            found = wait_until_ready(self._inside, self.token, ANSWER_S)
            on_ready(endpoint, found | {side: self._endpoints.get(side) for side in SIDES})
            self._serving = True
            self._run_until(lambda: False)
        self._drain()

    @property
    def _inside(self) -> str:
        """Where the server's own processes ask the broker."""
        return self._endpoints["door"] or reachable(self._endpoints["frontend"])

    def _plan(self) -> list[Slot]:
        """Return the places beside broker and workers."""
        config = self.config
        asked = {"index": config.index is not None, "http": config.http is not None}
        asked |= {"compat": config.compat}
        return [Slot(role, {}) for role, is_asked in asked.items() if is_asked]

    def _add(self, slot: Slot) -> None:
        """Start a child for a place."""
        shared = {"config": self.config.to_dict(), "token": self.token}
        ends: dict[str, Any] = {"backend": self._endpoints["backend"], "frontend": self._inside}
        if slot is self._broker:
            ends = self._endpoints | {"restarts": slot.restarts, "fleet": self._fleet.told()}
        slot.reason, slot.ready = "", False
        slot.child = Child(slot.role, shared | ends | dict(slot.settings), self._events)

    def _run_until(self, condition: Callable[[], bool]) -> None:
        """Handle what happens until a condition holds or the server is to stop."""
        while not condition() and not self._stopping:
            self._step(time.monotonic())

    def _step(self, now: float) -> None:
        waiting = [slot for slot in self._slots if slot.child is None]
        for slot in waiting:
            if slot.due <= now and not self._stopping:
                self._add(slot)
        next_due = min((slot.due for slot in waiting if slot.child is None), default=now + 1.0)
        with suppress(queue.Empty):
            self._handle(*self._events.get(timeout=max(0.01, min(1.0, next_due - now))))
        self._fleet.tick(now)
        if self._fleet.changed:
            self._tell_models()

    def _handle(self, child: Child | None, event: Mapping[str, Any]) -> None:
        slot = next((slot for slot in self._slots if child and slot.child is child), None)
        kind = event["event"]
        if kind in ("stop", "signal"):
            self._hurry = self._stopping and kind == "signal"
            self._stopping = True
        elif kind == "reload":
            self._reload()
        elif kind == "lost":
            self._kill(event["identity"])
        elif kind in ASKED_OF_FLEET:
            self._fleet.obey(event, time.monotonic())
        elif slot is not None:
            self._hear(slot, event)

    def _hear(self, slot: Slot, event: Mapping[str, Any]) -> None:
        """Take in what a child says of itself."""
        if (kind := event["event"]) in ("ready", "listening"):
            slot.ready, slot.failures = True, 0
            self._listened |= slot is self._broker
            self._endpoints |= {name: event[name] for name in ENDPOINTS if name in event}
            if slot.role == "worker":
                self._fleet.ready(slot, event["info"])
        elif kind == "failed":
            slot.reason = event["reason"]
        elif kind == "exited":
            self._ended(slot, event["reason"])

    def _ended(self, slot: Slot, how: str) -> None:
        """Note a child's end: tell the broker, plan the next child or give up."""
        assert slot.child is not None
        reason = slot.reason or f"the {slot.role} process {how}"
        gone = {
            "command": "gone", "role": slot.role, "identity": slot.child.identity, "reason": how,
        }  # fmt: skip
        if slot is not self._broker and not slot.leaving and self._broker.child is not None:
            self._broker.child.tell(gone)
        slot.child.release()
        slot.child, slot.ready = None, False
        if slot.role == "worker" and not self._fleet.ended(slot, reason, time.monotonic()):
            return
        slot.failures, slot.restarts = slot.failures + 1, slot.restarts + 1
        slot.due = time.monotonic() + restart_delay_s(slot.failures)
        if self._stopping:
            return
        if not self._serving and (slot.reason or slot.failures >= START_ATTEMPTS):
            raise StartError(reason)
        logger.error("%s; another is started", reason)

    def _tell_models(self) -> None:
        """Let the broker know which models are served now."""
        if self._broker.child is not None:
            told = {"config": self.config.to_dict(), "fleet": self._fleet.told()}
            self._broker.child.tell(told | {"command": "models", "failed": self._fleet.failed})
        self._fleet.failed, self._fleet.changed = {}, False

    def _reload(self) -> None:
        """Read the settings again and let the children take over what can change."""
        try:
            self._fleet.config = merged(self.config, self._reread())
        except Exception as error:
            logger.error("the settings stay as they are: %s", error)
            return
        set_up(self.config)
        for slot in self._slots:
            if slot.child is not None:
                slot.child.tell({"command": "reload", "config": self.config.to_dict()})

    def _kill(self, identity: str) -> None:
        for slot in self._slots:
            if slot.child is not None and slot.child.identity == identity:
                slot.child.kill()

    def _release(self, chosen: Callable[[Slot], bool]) -> None:
        for slot in self._slots:
            if slot.child is not None and chosen(slot):
                slot.child.release()

    def _drain(self) -> None:
        """Let the broker end with what is at hand; whoever is not ready goes at once."""
        self._release(lambda slot: not slot.ready)
        if self._broker.child is None:
            return
        self._broker.child.tell({"command": "drain"})
        end = time.monotonic() + self.config.drain_timeout_s + GOODBYE_S
        while self._broker.child is not None and not self._hurry and time.monotonic() < end:
            self._step(time.monotonic())
        self._release(lambda slot: slot.role in SIDES)  # the broker dismisses the others
        end = time.monotonic() + GOODBYE_S
        while any(slot.child for slot in self._slots) and time.monotonic() < end:
            if self._hurry:
                break
            self._step(time.monotonic())

    def _end_all(self) -> None:
        """Leave no process and no socket file."""
        children = [slot.child for slot in self._slots if slot.child is not None]
        for slot in self._slots:
            slot.child = None
        for child in children:
            child.release()
        end = time.monotonic() + GOODBYE_S
        for child in children:
            if not child.wait(end - time.monotonic()):
                child.kill()
                child.wait(GOODBYE_S)
        if self._listened:
            remove_socket(self._endpoints["frontend"])
        for private in ("backend", "door"):
            remove_socket(self._endpoints[private])
