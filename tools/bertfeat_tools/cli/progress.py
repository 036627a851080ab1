"""A progress bar on a terminal, and what is said about lines when a command ends."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from bertfeat.features.reader import STDIN, LineReader
from bertfeat.features.writers.journal import Report
from bertfeat_tools.cli.run import DONE, FAILED

Watch = Callable[[LineReader, Report], None]


@contextmanager
def progress_bar(source: str, *, quiet: bool) -> Iterator[Watch]:
    """Show how far the input is read, if stderr is a terminal and nobody asked for quiet.

    Args:
        source: the input file, ``-`` for a pipe of unknown length.
        quiet: show nothing.

    Yields:
        What is to be called after each chunk.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda reader, report: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    total = None if source == STDIN else Path(source).stat().st_size
    lines = TextColumn("{task.fields[lines]:,} lines")
    console = Console(stderr=True)
    with Progress(
        BarColumn(), lines, TimeRemainingColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task("", total=total, lines=0)
        yield lambda reader, report: bar.update(task, completed=reader.position, lines=report.lines)


def tell(report: Report, limit: int) -> int:
    """Say on stderr which lines failed and how many were cut; return the exit code.

    Args:
        report: what happened.
        limit: tokens read of each line.
    """
    if report.first_truncated is not None:
        click.echo(
            f"warning: {report.truncated} line(s) are longer than the {limit} tokens that are read "
            f"and were cut, the first is line {report.first_truncated + 1}",
            err=True,
        )
    for reason in report.reasons:
        click.echo(reason, err=True)
    if report.failed:
        click.echo(f"{report.failed} of {report.lines} lines failed", err=True)
    return FAILED if report.failed else DONE
