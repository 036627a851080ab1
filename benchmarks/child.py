"""A process that answers lines with lines: a system under measurement, seen from outside."""

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from machine import busy_cores

LIMIT_S = 600
SAMPLE_S = 0.2
PAUSE_S = 0.3
"""Long enough for the threads of the system before to have gone to sleep."""
HERE = Path(__file__).parent
LOCAL_ONLY = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


class Failed(Exception):
    """A system did not do what it was asked; the message is what the table says of it."""


class Child:
    """A process that answers each line (JSON) with a line (JSON).

    Attributes:
        busy: cores that others kept busy before each command, when none of ours was at work.
    """

    def __init__(self, command: Sequence[str], threads: int, limit_s: float = LIMIT_S) -> None:
        environment = os.environ | LOCAL_ONLY | {"OMP_NUM_THREADS": str(threads)}
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        self._limit_s = limit_s
        self.busy: list[float] = []
        started = time.perf_counter()
        self._process = subprocess.Popen(
            list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            text=True, env=environment,
        )  # fmt: skip
        self.greeting = self._read()
        self.startup_s = time.perf_counter() - started

    def ask(self, **command: Any) -> dict[str, Any]:
        """Send a command once what was measured before is quiet, and wait for the answer."""
        time.sleep(PAUSE_S)
        self.busy.append(busy_cores(SAMPLE_S))
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended: reading says so, and why
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        return self._read()

    def end(self) -> None:
        """End the process, which holds nothing worth keeping."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        watch = threading.Timer(self._limit_s, self._process.kill)
        watch.start()
        try:
            line = self._process.stdout.readline()
            found: dict[str, Any] = json.loads(line) if line else {"error": self._last_words()}
            if "error" in found:
                raise Failed(one_line(found["error"]))
        except BaseException:
            self.end()
            raise
        finally:
            watch.cancel()
        return found

    def _last_words(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return f"ended with code {code}: {lines[-1] if lines else 'without a word'}"


def worker_command(python: Path, kind: str, folder: Path, threads: int, options: Any) -> list[str]:
    """Return the command that starts a system of ``systems.py``."""
    spec = {"kind": kind, "folder": str(folder), "threads": threads, "options": dict(options)}
    return [str(python), str(HERE / "worker.py"), json.dumps(spec)]


def one_line(text: str) -> str:
    """Return what fits a line of the table."""
    return " ".join(text.split())[:300]
