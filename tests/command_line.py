"""Run our commands: in this process, or in one of their own that may be killed."""

import io
import subprocess
import sys
import warnings
from dataclasses import dataclass
from functools import cache
from unittest import mock

import click

from bertfeat import api
from bertfeat_tools.cli.run import run

load_once = cache(api.load)
"""Stands in for ``bertfeat.api.load`` where many commands in one process use the same model."""
PROGRAM = "import sys; sys.path[:] = {paths!r}; from bertfeat_tools.cli import {entry}; {entry}()"


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it wrote."""

    code: int
    out: bytes
    err: str


def call(command: click.Command, *arguments: object, stdin: bytes = b"") -> Outcome:
    """Run a command in this process as its console script does."""
    streams = [io.TextIOWrapper(io.BytesIO(data)) for data in (stdin, b"", b"")]
    with (
        mock.patch.object(sys, "argv", [command.name, *map(str, arguments)]),
        mock.patch.multiple(sys, stdin=streams[0], stdout=streams[1], stderr=streams[2]),
        mock.patch.object(warnings, "formatwarning"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("default")
        try:
            run(command, str(command.name))
        except SystemExit as end:
            code = end.code
    for stream in streams[1:]:
        stream.flush()
    out, err = (stream.buffer.getvalue() for stream in streams[1:])
    return Outcome(int(code or 0), out, err.decode())


def program(entry: str, *arguments: object, before: str = "") -> list[str]:
    """Return the command line that runs a console script in a process of its own.

    Args:
        entry: a function of ``bertfeat_tools.cli``.
        arguments: the command's.
        before: Python statements that are run first.
    """
    code = PROGRAM.format(paths=[path for path in sys.path if path], entry=entry)
    return [sys.executable, "-c", f"{before}\n{code}", *map(str, arguments)]


def run_program(entry: str, *arguments: object, before: str = "", **options) -> Outcome:
    """Run a console script in a process of its own and wait for its end."""
    done = subprocess.run(
        program(entry, *arguments, before=before), capture_output=True, timeout=120, **options
    )
    return Outcome(done.returncode, done.stdout, done.stderr.decode())
