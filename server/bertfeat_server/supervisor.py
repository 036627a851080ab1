"""The supervisor: starts broker, workers and index, replaces those that end, ends all of them."""

import logging
import os
import queue
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bertfeat.errors import BertFeatError
from bertfeat_server.ask import reachable, wait_until_ready
from bertfeat_server.config import ServerConfig
from bertfeat_server.ipc import backend_endpoint, remove_socket, side_door
from bertfeat_server.logs import set_up
from bertfeat_server.processes import Child
from bertfeat_server.reloading import merged
from bertfeat_server.runfile import RunFile, published
from bertfeat_server.slots import Slot, restart_delay_s

START_ATTEMPTS = 3
ANSWER_S = 10.0
GOODBYE_S = 3.0
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
        self.config, self._reread = config, reread or (lambda: config)
        self.token = secrets.token_hex(16)
        self._events: queue.SimpleQueue[tuple[Child | None, dict[str, Any]]] = queue.SimpleQueue()
        self._broker = Slot("broker", {})
        self._slots: list[Slot] = [self._broker]
        self._endpoints = {
            "frontend": config.frontend, "backend": backend_endpoint(), "door": side_door(config),
        }  # fmt: skip
        self._listened = self._serving = self._stopping = self._hurry = False

    def run(self, on_ready: Callable[[str, dict[str, Any]], None]) -> None:
        """Serve until told to stop.

        Args:
            on_ready: called once with the endpoint and the server's ``info``, when every worker
                is warm and the broker answers.

        Raises:
            StartError: a process could not be started.
        """
        with self._signals():
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
        for slot in self._plan():
            self._slots.append(slot)
            self._add(slot)
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

    def _plan(self) -> Iterator[Slot]:
        config = self.config
        for name, source in config.served.items():
            for device in config.devices:
                yield Slot("worker", {"name": name, "source": source, "device": device})
        frontend = {"frontend": self._inside}
        if config.index is not None:
            yield Slot("index", frontend)
        if config.http is not None:
            yield Slot("http", frontend)
        if config.compat:
            yield Slot("compat", frontend)

    def _add(self, slot: Slot) -> None:
        """Start a child for a place."""
        shared = {"config": self.config.to_dict(), "token": self.token}
        ends: dict[str, Any] = {"backend": self._endpoints["backend"]}
        if slot is self._broker:
            ends = self._endpoints | {"restarts": slot.restarts}
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
        try:
            child, event = self._events.get(timeout=max(0.01, min(1.0, next_due - now)))
        except queue.Empty:
            return
        self._handle(child, event)

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
        elif slot is None:
            return
        elif kind in ("ready", "listening"):
            slot.ready, slot.failures = True, 0
            self._listened |= slot is self._broker
            self._endpoints |= {name: event[name] for name in ENDPOINTS if name in event}
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
        if slot is not self._broker and self._broker.child is not None:
            self._broker.child.tell(gone)
        slot.child.release()
        slot.child, slot.ready = None, False
        slot.failures, slot.restarts = slot.failures + 1, slot.restarts + 1
        slot.due = time.monotonic() + restart_delay_s(slot.failures)
        if self._stopping:
            return
        if not self._serving and (slot.reason or slot.failures >= START_ATTEMPTS):
            raise StartError(reason)
        logger.error("%s; another is started", reason)

    def _reload(self) -> None:
        """Read the settings again and let the children take over what can change."""
        try:
            self.config = merged(self.config, self._reread())
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

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let SIGTERM, SIGINT and SIGHUP be events while the block runs."""
        kinds = {signal.SIGTERM: "signal", signal.SIGINT: "signal"}
        if hasattr(signal, "SIGHUP"):
            kinds[signal.SIGHUP] = "reload"

        def note(number: int, frame: object) -> None:
            self._events.put((None, {"event": kinds[signal.Signals(number)]}))

        before = {number: signal.signal(number, note) for number in kinds}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
