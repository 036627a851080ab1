"""Put the same load over HTTP on our server and on Infinity's, in turns, in one run.

All servers are up; one at a time is asked, by callers that ask again as soon as they have their
answer. Every other round goes backwards, and ratios are taken per round.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import environments
import machine
from bertfeat import Encoder
from bertfeat.checkpoints import resolve
from child import HERE, Child, Failed, one_line
from contest import Contest
from figures import cosines
from load_servers import SERVERS, Running, Server, quantized
from load_table import compared, show
from peers import OUR_PACKAGES
from saving import save
from texts import mixed_texts
from workload import Writer

SCENARIOS = {"1 × 1": (1, 1), "16 × 1": (16, 1), "64 × 1": (64, 1), "4 × 64": (4, 64)}
"""Callers, and texts in each of their requests."""
CHECKED = 256
LEAST_COSINE = 0.99


@dataclass
class Loaded:
    """What a server did; the lists of a scenario have an entry for each round."""

    server: Server
    running: Running
    cosine: float | None = None
    turns: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


class Race(Contest):
    """Servers that take turns under load, each with callers of its own."""

    def __init__(self, options: argparse.Namespace, model: Path, scratch: Path) -> None:
        super().__init__(options.threads)
        self.options, self.model, self.scratch = options, model, scratch
        self.running: list[Running] = []
        self.file = scratch / "texts.json"

    def enter(self, server: Server, texts: Sequence[str], vectors: np.ndarray) -> None:
        """Install and start a server, and see that its answers are right."""
        with self._excused(server.name):
            folder = environments.obtain(server.environment, server.form, self.model)
            if server.form:
                folder = quantized(folder, self.scratch / server.form)
            running = Running(server, folder, self.model.name, self.threads)
            self.running.append(running)
            with self._ending(running):
                cosine = checked(running, texts, vectors) if server.computes else None
            command = [sys.executable, str(HERE / "load_callers.py"), str(self.file)]
            self.children[server.name] = Child(command, os.cpu_count() or 1)
            self.measured[server.name] = Loaded(server, running, cosine)
            print(f"{server.name}: ready in {running.startup_s:.1f} s", file=sys.stderr)

    def round(self, scenario: str, *, backwards: bool) -> None:
        """Put each server in turn under load."""
        callers, texts = SCENARIOS[scenario]

        def turn(child: Child, loaded: Loaded) -> None:
            with self._ending(loaded.running):
                came = child.ask(
                    port=loaded.running.port, model=self.model.name, callers=callers, texts=texts,
                    seconds=self.options.seconds, warm_up_s=self.options.warm_up,
                )  # fmt: skip
                if not came["milliseconds"]:
                    raise Failed(f"{scenario}: no answer in time")
            loaded.turns.setdefault(scenario, []).append(came)

        self._turn(turn, backwards=backwards)

    def end(self) -> None:
        """End the callers and the servers."""
        super().end()
        for running in self.running:
            running.end()

    @contextmanager
    def _ending(self, running: Running) -> Iterator[None]:
        """End a server that fails, so that it does not disturb the others."""
        try:
            yield
        except (Failed, OSError) as error:
            self.running.remove(running)
            running.end()
            raise Failed(one_line(str(error))) from error


def checked(running: Running, texts: Sequence[str], vectors: np.ndarray) -> float:
    """Return the mean cosine of a server's answers to the right vectors.

    Raises:
        Failed: they are other vectors.
    """
    found = np.concatenate([running.ask(texts[i : i + 64]) for i in range(0, len(texts), 64)])
    alone = np.concatenate([running.ask([text]) for text in texts[:8]])
    if found.shape != vectors.shape:
        raise Failed(f"the answers have the shape {found.shape}, not {vectors.shape}")
    cosine = float(min(cosines(found, vectors).mean(), cosines(alone, vectors[:8]).mean()))
    if cosine < LEAST_COSINE:
        raise Failed(f"its vectors have a mean cosine of {cosine:.4f} to our float32")
    return cosine


def workload(model: Path, scratch: Path) -> tuple[list[str], int]:
    """Return texts that differ, none of them cut by the model, and their tokens."""
    writer, texts = Writer(model, scratch), list(dict.fromkeys(mixed_texts()))
    sized = zip(texts, writer.lengths(texts), strict=True)
    kept = [(text, length) for text, length in sized if length < writer.limit]
    return [text for text, _ in kept], sum(length for _, length in kept)


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Start everything, hold the rounds and sum up."""
    model = resolve(options.model)
    texts, tokens = workload(model, scratch)
    vectors = Encoder.load(model, precision="float32").encode(texts[:CHECKED])
    race = Race(options, model, scratch)
    race.file.write_text(json.dumps(texts), "utf-8")
    try:
        for server in SERVERS:
            if not options.systems or any(part in server.name for part in options.systems):
                race.enter(server, texts[:CHECKED], vectors)
        for number in range(options.rounds):
            for scenario in options.scenarios:
                print(f"round {number + 1} of {options.rounds}: {scenario}", file=sys.stderr)
                race.round(scenario, backwards=number % 2 == 1)
        busy = [cores for child in race.children.values() for cores in child.busy]
    finally:
        race.end()
    told = ("rounds", "seconds", "threads", "scenarios")
    return {
        "machine": machine.describe() | {"busy_cores": round(statistics.fmean(busy or [0.0]), 2)},
        "date": datetime.now(UTC).date().isoformat(),
        "model": model.name,
        "texts": {"count": len(texts), "mean_tokens": round(tokens / len(texts), 1)},
        **{name: getattr(options, name) for name in told},
        "versions": versions(),
        "systems": [row(loaded, race) for loaded in race.measured.values()],
        "missing": race.missing,
    }


def versions() -> dict[str, dict[str, str]]:
    """Return the versions of what was measured."""
    pins = [pin.partition("==")[0].partition("[")[0] for pin in environments.pins()["infinity"]]
    return {"bertfeat": environments.versions(OUR_PACKAGES),
            "infinity": environments.versions(pins, "infinity")}  # fmt: skip


def row(loaded: Loaded, race: Race) -> dict[str, Any]:
    """Sum up a server's turns."""
    server = loaded.server
    return {
        "system": server.name,
        "command": server.shown(race.model.name, race.threads),
        "note": server.note,
        "startup_s": round(loaded.running.startup_s, 1),
        "cosine": None if loaded.cosine is None else round(loaded.cosine, 5),
        "scenarios": {name: summary(turns) for name, turns in loaded.turns.items()},
    }


def summary(turns: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sum up the rounds of a scenario: latencies of all of them together, and of each."""
    together = [value for turn in turns for value in turn["milliseconds"]]
    return {
        "texts_per_s": round(statistics.median(turn["texts_per_s"] for turn in turns), 1),
        "p50_ms": round(float(np.percentile(together, 50)), 2),
        "p99_ms": round(float(np.percentile(together, 99)), 2),
        "requests": len(together),
        "errors": dict(sum((Counter(turn["errors"]) for turn in turns), Counter())),
        "callers_cores": round(statistics.fmean(turn["callers_cores"] for turn in turns), 3),
        "each_round": {
            "texts_per_s": [round(turn["texts_per_s"], 1) for turn in turns],
            "p99_ms": [
                round(float(np.percentile(turn["milliseconds"], 99)), 2) for turn in turns
            ],
        },
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="all-MiniLM-L6-v2", help="a name or folder")
    parser.add_argument("--systems", nargs="+", default=[], help="those with this in their names")
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=12.0, help="of each turn, measured")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds before that")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--output", type=Path, help="results/load.json, of a whole run")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        results = measure(options, Path(scratch))
    results["compared"] = compared(results)
    show(results)
    is_whole = not options.systems and options.scenarios == list(SCENARIOS)
    save(results, options.output, HERE / "results" / "load.json", is_whole)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # servers too
    main()
