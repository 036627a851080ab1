"""A download's progress bar, on standard error and on a terminal only."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

Report = Callable[[int, int | None], None]
"""Called with the bytes done so far and the bytes in all, where known."""


@contextmanager
def download_bar(description: str, shown: bool) -> Iterator[Report]:
    """Show a bar where wanted and where somebody looks; give the function that moves it."""
    if not (shown and sys.stderr.isatty()):
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=Console(stderr=True)) as bars:
        task = bars.add_task(description, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def tqdm_class(report: Report) -> type:
    """Return a class with as much of tqdm's face as ``huggingface_hub`` looks at, over `report`."""

    class Bar:
        n = 0

        def __init__(self, *_: object, **options: Any) -> None:
            self.total: int | None = options.get("total")
            self.done: int = options.get("initial") or 0
            # a Xet download has a second bar, for the bytes on the wire
            self.counts = not str(options.get("desc")).endswith("downloading bytes")

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None: ...

        def __getattr__(self, name: str) -> Callable[..., None]:
            return lambda *_, **__: None

        def update(self, n: float | None = 1) -> None:
            self.done += int(n or 0)
            if self.counts:
                report(self.done, self.total)

    return Bar
