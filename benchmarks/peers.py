"""Measure encoding beside everything else that does the same, in turn, in one run.

Each system runs in a process of its own, in its own environment, on the same real texts and the
same cores. Machines are noisy, so the systems take turns within each round, ratios are taken per
round, and their spread over the rounds is printed. What cannot be had is one line saying why.
"""

import argparse
import os
import signal
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import environments
import machine
from bertfeat.checkpoints import resolve
from child import HERE, Child
from contest import Contest
from figures import summarize
from roster import ROSTER, System
from saving import save
from table import show
from texts import MIXES
from workload import Workload, prepare

OUR_PACKAGES = ("bertfeat", "keras", "numpy", "tensorflow", "tensorflow-cpu")


def chosen(wanted: list[str], unwanted: list[str]) -> list[System]:
    """Return the systems with a wanted part in their names (all, if none is) and no unwanted."""

    def has(name: str, parts: list[str]) -> bool:
        return any(part.lower() in name.lower() for part in parts)

    return [s for s in ROSTER if (not wanted or has(s.name, wanted)) and not has(s.name, unwanted)]


def hold(contest: Contest, workload: Workload, rounds: int, scratch: Path) -> list[float]:
    """Run all rounds; return the flop/s of a large matrix product in each of them."""
    product = Child(
        [sys.executable, str(HERE / "machine.py"), str(contest.threads)], contest.threads
    )
    try:
        contest.warm_up(workload, scratch)
        products = []
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
            products.append(product.ask()["flops_per_s"])
            contest.round(workload, backwards=number % 2 == 1)
        contest.finish()
        return products
    finally:
        product.end()


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Start everything, hold the rounds and sum up."""
    model = resolve(options.model)
    workload = prepare(model, options.mix, options.scale, scratch)
    systems = chosen(options.systems, options.without)
    contest = Contest(options.threads)
    try:
        for system in systems:
            contest.enter(system, model)
        products = hold(contest, workload, options.rounds, scratch)
    finally:
        contest.end()
    return {
        "machine": machine.describe() | about_now(contest, products),
        "date": datetime.now(UTC).date().isoformat(),
        "model": model.name,
        "threads": options.threads,
        "rounds": options.rounds,
        "versions": versions(systems),
        "mixes": {
            mix: {"texts": len(texts.lengths), "tokens": sum(texts.lengths)}
            for mix, texts in workload.mixes.items()
        },
        "systems": summarize(list(contest.measured.values()), workload, products),
        "missing": contest.missing,
    }


def about_now(contest: Contest, products: list[float]) -> dict[str, float]:
    """Return what the machine could do in this run, and how much of it others took meanwhile."""
    busy = [cores for child in contest.children.values() for cores in child.busy]
    return {
        "gflops": round(statistics.median(products) / 1e9, 1),
        "busy_cores": round(statistics.fmean(busy or [0.0]), 2),
    }


def versions(systems: list[System]) -> dict[str, dict[str, str]]:
    """Return the versions of what was measured, by environment."""
    found = {"bertfeat": environments.versions(OUR_PACKAGES)}
    for name, pins in environments.pins().items():
        if name in {system.environment for system in systems}:
            names = [pin.partition("==")[0].partition("[")[0] for pin in pins]
            found[name] = environments.versions(names, name)
    return found


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model", default="all-MiniLM-L6-v2", help="a name or folder (%(default)s)"
    )
    parser.add_argument(
        "--systems", nargs="+", default=[], help="only those with this in their names"
    )
    parser.add_argument("--without", nargs="+", default=[], help="none with this in their names")
    parser.add_argument("--mix", nargs="+", choices=MIXES, default=list(MIXES))
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds (%(default)s)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="times as many texts (%(default)s)"
    )
    parser.add_argument("--threads", type=int, default=cores, help="cores for each (%(default)s)")
    parser.add_argument("--output", type=Path, help="(results/peers.json, of a whole run)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = options_of(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        results = measure(options, Path(scratch))
    show(results)
    is_whole = not options.systems and options.mix == list(MIXES) and options.scale >= 1
    save(results, options.output, HERE / "results" / "peers.json", is_whole)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # children too
    main()
