"""A child process as the supervisor holds it: started, told, listened to, ended."""

import json
import logging
import os
import queue
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

COMMAND = [sys.executable, "-P", "-m", "bertfeat_server.child"]
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "TOKENIZERS_PARALLELISM": "true"}
logger = logging.getLogger(__name__)


class Child:
    """One process below the supervisor.

    Args:
        role: see :mod:`bertfeat_server.child`.
        settings: its first line.
        events: gets ``(child, event)`` for each of its events, the last being ``exited``.

    Attributes:
        identity: its name among all processes of the server.
    """

    def __init__(
        self, role: str, settings: Mapping[str, Any], events: "queue.SimpleQueue[Any]"
    ) -> None:
        self.identity = f"{role}-{uuid.uuid4().hex[:12]}"
        self._events = events
        # A session of its own keeps the terminal's Ctrl-C with the supervisor, who drains first.
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=QUIET | os.environ,
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self.tell({"role": role, "identity": self.identity} | dict(settings))
        threading.Thread(target=self._listen, name=self.identity, daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def tell(self, command: Mapping[str, Any]) -> None:
        """Send a line; nobody listens if it is gone."""
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()

    def release(self) -> None:
        """Close the line to it, which ends it unless it hangs."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; say whether it came."""
        try:
            self._process.wait(max(0.0, timeout_s))
        except subprocess.TimeoutExpired:
            return False
        return True

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._events.put((self, json.loads(line)))
        code = self._process.wait()
        self._events.put((self, {"event": "exited", "reason": describe_exit(code)}))


def describe_exit(code: int) -> str:
    """Say how a process ended, in words for a person."""
    if code == -9:
        return "was killed (signal 9), perhaps because memory ran out"
    return f"was ended by signal {-code}" if code < 0 else f"exited with code {code}"
