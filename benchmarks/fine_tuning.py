"""Fine-tune ours and the same model under torch and transformers, seed by seed, in turns.

``python benchmarks/fine_tuning.py sst-2`` goes through all seeds of both sides, each training in a
process of its own: ours as the command that users type, the peer's as ``torch_fine_tuning.py``.
Both read the same drawn rows, follow the same recipe, predict the held-out rows after each epoch
and keep the best epoch.  Results grow seed by seed in ``results/fine-tuning``; a run that was cut
off goes on.  Without a task it prints what is there as a table.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.checkpoints import resolve
from bertfeat.checkpoints.folder_files import write_json
from bertfeat_tools.scoring.bootstrap import mean_and_sd
from fine_tuning_tasks import TASKS, Task
from machine import busy_cores, describe
from ours import run_ours

RESULTS = Path(__file__).parent / "results" / "fine-tuning"
RECIPE = {"epochs": 3, "batch-size": 16, "learning-rate": 1e-4, "max-seq-len": 128}
SIDES = ("bertfeat", "torch")


def ours(task: Task, folder: Path, options: list[str]) -> dict[str, float]:
    """Train with our command and return its scores."""
    train, dev = task.paths(folder)
    name, *own = task.command
    with tempfile.TemporaryDirectory() as output:
        found = run_ours(
            "train", name, "--train", train, "--dev", dev, "--output", output,
            "--optimizer", "adamw", *own, *options,
        )  # fmt: skip
    return found["runs"][0] if "runs" in found else found


def torchs(task: Task, folder: Path, options: list[str]) -> dict[str, float]:
    """Train the peer and return the scores of its best epoch."""
    train, dev = task.paths(folder)
    with tempfile.TemporaryDirectory() as temporary:
        output = Path(temporary) / "found.json"
        peer = str(Path(__file__).with_name(task.peer))
        command = [sys.executable, peer, task.kind, str(train), str(dev), "--output", str(output),
                   *options]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(output.read_text("utf-8"))
    scores = [dict(task.score(dev, train, epoch)) for epoch in found["predictions"]]
    best = {**max(scores, key=lambda s: s[task.metric]), "train_s": found["train_s"]}
    if "before" in found:
        best["before"] = task.score(dev, train, found["before"])[task.metric]
    return best


def cells(task: Task, seeds: int, done: set[Any]) -> Iterator[dict[str, Any]]:
    """Yield the outcome of each training that is not done yet."""
    recipe = {**RECIPE, **task.recipe, "model": resolve(task.model)}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        task.write(task, folder)
        for seed in range(seeds):
            for side in SIDES[:: 1 if seed % 2 else -1]:
                if (side, seed) in done:
                    continue
                options = [
                    w for k, v in {**recipe, "seed": seed}.items() for w in (f"--{k}", str(v))
                ]
                busy, started = busy_cores(1.0), time.perf_counter()
                found = (ours if side == "bertfeat" else torchs)(task, folder, options)
                wall = time.perf_counter() - started
                yield {
                    "side": side, "seed": seed, task.metric: round(found[task.metric], 4),
                    "train_s": found["train_s"], "wall_s": round(wall, 1),
                    "busy_cores_before": round(busy, 2),
                    **{name: round(found[name], 4) for name in ("before",) if name in found},
                }  # fmt: skip


def summary(metric: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and standard deviation of both sides, and the ratios of their times."""
    sides = {side: [cell for cell in found if cell["side"] == side] for side in SIDES}
    result: dict[str, Any] = {}
    for side, own in sides.items():
        scores = mean_and_sd([{metric: cell[metric]} for cell in own])[metric]
        result[side] = {name: round(value, 4) for name, value in scores.items()}
    for name in ("wall_s", "train_s"):
        times = [np.median([cell[name] for cell in own]) for own in sides.values()]
        result[name.replace("_s", "_ratio")] = round(float(times[0] / times[1]), 2)
    return result


def table() -> Iterator[str]:
    """Yield the lines of a table of all results."""
    yield "| task | metric | bertfeat | torch | wall time | training alone |"
    yield "|---|---|---|---|---|---|"
    for path in sorted(RESULTS.glob("*.json")):
        found = json.loads(path.read_text("utf-8"))
        own = found["summary"]
        scores = " | ".join(f"{100 * own[s]['mean']:.1f} ± {100 * own[s]['sd']:.1f}" for s in SIDES)
        ratios = " | ".join(f"{own[name]:.2f} ×" for name in ("wall_ratio", "train_ratio"))
        yield f"| {path.stem} | {found['metric']} | {scores} | {ratios} |"


def main() -> None:
    """Read the command line, train what is missing, save and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("task", nargs="?", choices=TASKS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="cores of each side")
    options = parser.parse_args()
    if options.task:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-options.threads :])
        task, path = TASKS[options.task], RESULTS / f"{options.task}.json"
        facts = {"metric": task.metric, "model": task.model, "recipe": {**RECIPE, **task.recipe},
                 "rows": task.limits, "threads": options.threads}  # fmt: skip
        found = json.loads(path.read_text("utf-8"))["cells"] if path.exists() else []
        done = {(cell["side"], cell["seed"]) for cell in found}
        for cell in cells(task, options.seeds, done):
            print(json.dumps(cell), file=sys.stderr, flush=True)
            found.append(cell)
            if len({one["side"] for one in found}) == len(SIDES):
                whole = {**facts, "machine": describe(), "summary": summary(task.metric, found)}
                write_json(path, {**whole, "cells": found})
    print("\n".join(table()))


if __name__ == "__main__":
    main()
