"""Kill a training in a process of its own at a moment that its curves tell."""

import contextlib
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from command_line import program


def kill_after(arguments: Sequence[object], metrics: Path, lines: int) -> bool:
    """Start a run and kill it so many lines of its curves later; tell whether it was.

    Args:
        arguments: those of :func:`command_line.program`.
        metrics: the file of its curves.
        lines: written after the first ones of this start.
    """
    before = noted = _bytes_of(metrics)
    goal = None
    with subprocess.Popen(program(*arguments), stderr=subprocess.DEVNULL) as process:
        while goal is None or noted.count(b"\n") < goal:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.003)
                return False
            noted = _bytes_of(metrics)
            if goal is None and noted != before:
                goal = noted.count(b"\n") + lines
        process.send_signal(signal.SIGKILL)
    return process.returncode == -signal.SIGKILL


def _bytes_of(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
