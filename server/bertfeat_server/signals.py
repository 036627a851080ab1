"""Signals as events of a loop."""

import queue
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def as_events(events: "queue.SimpleQueue[Any]") -> Iterator[None]:
    """Let SIGTERM, SIGINT and SIGHUP be events of nobody while the block runs."""
    kinds = {signal.SIGTERM: "signal", signal.SIGINT: "signal"}
    if hasattr(signal, "SIGHUP"):
        kinds[signal.SIGHUP] = "reload"

    def note(number: int, frame: object) -> None:
        events.put((None, {"event": kinds[signal.Signals(number)]}))

    before = {number: signal.signal(number, note) for number in kinds}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
