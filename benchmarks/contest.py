"""Systems that take turns, so that a noisy machine disturbs all alike."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import environments
from child import Child, Failed, worker_command
from roster import System
from workload import Texts, Workload


@dataclass
class Measured:
    """What a system answered, in seconds; one entry for each round.

    Attributes:
        mixes: of each mix, how long all of its texts took.
        each: how long single texts took, one after the other.
        vectors: where the vectors of each collection of texts lie.
    """

    name: str
    note: str = ""
    startup_s: float = 0.0
    peak_mb: float = 0.0
    mixes: dict[str, list[float]] = field(default_factory=dict)
    each: list[float] = field(default_factory=list)
    vectors: dict[str, Path] = field(default_factory=dict)


class Contest:
    """The running systems, what they answered, and why others are not among them."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.children: dict[str, Child] = {}
        self.measured: dict[str, Measured] = {}
        self.missing: dict[str, str] = {}

    def enter(self, system: System, model: Path) -> None:
        """Install and start a system, and wait until it has encoded a first text."""
        with self._excused(system.name):
            folder = environments.obtain(system.environment, system.form, model)
            python = environments.python_of(system.environment)
            command = worker_command(python, system.kind, folder, self.threads, system.options)
            child = Child(command, self.threads)
            note = "; ".join(filter(None, [system.note, child.greeting["note"]]))
            self.children[system.name] = child
            print(f"{system.name}: ready in {child.startup_s:.1f} s", file=sys.stderr)
            self.measured[system.name] = Measured(system.name, note, child.startup_s)

    def warm_up(self, workload: Workload, scratch: Path) -> None:
        """Let each system encode everything once, unmeasured, and keep its vectors."""
        for name, texts in {**workload.mixes, "pairs": workload.pairs}.items():
            print(f"everything once, unmeasured: {name}", file=sys.stderr)

            def encode(
                child: Child, measured: Measured, name: str = name, texts: Texts = texts
            ) -> None:
                path = scratch / f"{len(list(scratch.iterdir()))}.npy"
                child.ask(do="encode", texts=str(texts.file), vectors=str(path))
                measured.vectors[name] = path

            self._turn(encode)

    def round(self, workload: Workload, *, backwards: bool) -> None:
        """Let each system in turn encode each mix, then single texts."""
        for mix, texts in workload.mixes.items():

            def encode(
                child: Child, measured: Measured, mix: str = mix, texts: Texts = texts
            ) -> None:
                answer = child.ask(do="encode", texts=str(texts.file))
                measured.mixes.setdefault(mix, []).append(answer["seconds"])

            self._turn(encode, backwards=backwards)

        def each(child: Child, measured: Measured) -> None:
            measured.each += child.ask(do="each", texts=str(workload.single.file))["seconds"]

        self._turn(each, backwards=backwards)

    def finish(self) -> None:
        """Ask each system for its peak memory."""

        def peak(child: Child, measured: Measured) -> None:
            measured.peak_mb = child.ask(do="peak")["peak_mb"]

        self._turn(peak)

    def end(self) -> None:
        """End all processes."""
        for child in self.children.values():
            child.end()

    def _turn(self, act: Callable[[Child, Measured], None], *, backwards: bool = False) -> None:
        names = list(self.children)
        for name in reversed(names) if backwards else names:
            with self._excused(name):
                act(self.children[name], self.measured[name])

    @contextmanager
    def _excused(self, name: str) -> Iterator[None]:
        """Turn a system's failure into the line that says so; it is out from then on."""
        try:
            yield
        except Failed as error:
            print(f"{name}: {error}", file=sys.stderr)
            self.missing[name] = str(error)
            self.children.pop(name, None)
            self.measured.pop(name, None)
