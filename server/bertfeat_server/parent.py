"""A child's line to the supervisor: settings and commands in, events out, death with the parent.

Both ways are JSON lines, over the child's stdin and stdout.  The supervisor's end of stdin closes
when it ends, however it ends: that is how a child knows that it is an orphan.
"""

import json
import os
import signal
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any


class Parent:
    """The supervisor as one of its children sees it.

    Attributes:
        settings: what the supervisor said first.
    """

    def __init__(self, commands: IO[bytes], events: IO[bytes]) -> None:
        self._commands, self._events = commands, events
        self._lock = threading.Lock()
        self.settings: dict[str, Any] = json.loads(commands.readline())

    @classmethod
    def attach(cls) -> "Parent":
        """Take over stdin and stdout; what others print goes to stderr from now on.

        Signals are left to the supervisor: a terminal or an init system may send them to all.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        events = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        # Unbuffered: a buffer's lock, held by a thread that reads, aborts the interpreter's exit.
        return cls(os.fdopen(0, "rb", buffering=0, closefd=False), events)

    def tell(self, event: str, **fields: Any) -> None:
        """Send an event; nobody listens if the supervisor is gone."""
        with self._lock:
            try:
                self._events.write(json.dumps({"event": event} | fields).encode() + b"\n")
            except OSError:
                return

    def watch(
        self,
        on_command: Callable[[Mapping[str, Any]], None] = lambda command: None,
        on_death: Callable[[], None] = lambda: os._exit(0),
    ) -> None:
        """Listen from a thread of its own, until the supervisor closes its end or dies."""

        def listen() -> None:
            for line in self._commands:
                on_command(json.loads(line))
            on_death()

        threading.Thread(target=listen, name="parent", daemon=True).start()
