"""Pre-train a small encoder from text, ours beside transformers' under torch, and use it.

``python benchmarks/pretraining.py`` learns a vocabulary of 8,000 pieces from encyclopedia articles
and speeches, pre-trains four layers of 256 with both sides on the same batches (``--ablations``:
ours without the pair's head and from left to right, too), and tells held-out losses and what a
logistic regression makes of each one's frozen vectors.  ``--speed`` only times steps of both, in
turns.  All of it lies below ``build/pretraining`` and goes on where it was cut off.
"""

import argparse
import gzip
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.checkpoints.folder_files import write_json
from machine import busy_cores, describe
from ours import run_ours
from texts import DATA

HERE = Path(__file__).resolve().parent
WORK, RESULTS = HERE.parent / "build" / "pretraining", HERE / "results"
RATE = "0.001"
ABLATIONS: dict[str, tuple[str, ...]] = {
    "bertfeat, no NSP": ("--objective", "none"),
    "bertfeat, left to right": ("--objective", "none", "--left-to-right"),
}
NOT_READ = ("bertfeat, left to right", "random weights")
"""Models whose held-out loss is no other's."""
PROBED = "cls/sst2-train.tsv.gz", "cls/sst2-dev.tsv.gz"
SPEED_STEPS, UNMEASURED = 30, 10


def documents() -> Iterator[list[str]]:
    """Yield the sentences of each article and each speech."""
    lines = gzip.decompress((DATA / "corpus/wikitext-2-valid.txt.gz").read_bytes()).decode()
    for article in re.split(r"\n = [^=].*\n", lines):
        text = [line.strip() for line in article.splitlines() if not line.startswith(" =")]
        yield [s for line in text for s in re.split(r"(?<= [.!?]) ", line) if s]
    with zipfile.ZipFile(DATA / "corpus/state_union.zip") as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".txt"):
                text = " ".join(archive.read(name).decode("utf-8", "replace").split())
                yield re.split(r"(?<=[.!?]) ", text)


def peer(*options: Any) -> dict[str, Any]:
    """Run the twin."""
    command = [
        sys.executable,
        str(HERE / "torch_pretrain.py"),
        str(WORK / "data"),
        *map(str, options),
    ]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def prepare() -> None:
    """Make text, vocabulary and examples."""
    WORK.mkdir(parents=True, exist_ok=True)
    corpus = WORK / "corpus.txt"
    corpus.write_text("\n\n".join("\n".join(one) for one in documents() if one) + "\n", "utf-8")
    for name, command in {
        "vocab": ("vocab", corpus, "--size", 8000),
        "data": ("data", corpus, "--tokenizer", WORK / "vocab", "--copies", 5),
    }.items():
        if not (WORK / name).exists():
            run_ours("pretrain", *command, "--output", WORK / name)


def kept(name: str, train: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Return what a training in a folder of its own gave; it is done if that is not there."""
    folder = WORK / name.replace(", ", "-").replace(" ", "-")
    found = folder / "found.json"
    if not found.is_file():
        write_json(found, {**train(folder), "folder": folder.name})
    whole: dict[str, Any] = json.loads(found.read_text("utf-8"))
    return whole


def trained(name: str, steps: int, *options: str) -> dict[str, Any]:
    """Train one of our models, unless it is there; return its last scores."""
    return kept(name, lambda folder: run_ours(
        "pretrain", "run", "--data", WORK / "data", "--output", folder, "--steps", steps,
        "--optimizer", "adamw", "--learning-rate", RATE, "--warmup", 0.1,
        "--evaluate-every", 250, *options,
    ))  # fmt: skip


def twin(steps: int) -> dict[str, Any]:
    """Train the twin, unless it is there."""
    return kept("torch", lambda folder: peer(
        "--steps", steps, "--learning-rate", RATE, "--output", folder / "model"
    ))  # fmt: skip


def probe(model: Path) -> dict[str, float]:
    """Return the accuracy of a logistic regression on each layer's frozen mean."""
    train, dev = (DATA / name for name in PROBED)
    found = run_ours(
        "evaluate", "probe", train, "--dev", dev, "--columns", "1,2", "--model", model,
        "--pooling", "mean", "--limit", 3000, "--json",
    )  # fmt: skip
    return {str(row["layer"]): row["accuracy"]["mean"] for row in found["layers"]}


def speed(steps: int, rounds: int) -> dict[str, Any]:
    """Return tokens of a second of both sides in both precisions, in turns."""
    found: dict[str, list[float]] = {}
    for precision in ("float32", "bfloat16"):
        for number in range(rounds):
            common = ("--steps", steps, "--precision", precision)
            output = WORK / f"speed-{precision}-{os.getpid()}-{number}"
            own = run_ours(
                "pretrain", "run", "--data", WORK / "data", "--output", output, *common,
                "--optimizer", "adamw", "--save-every", 0, "--evaluate-every", 0, "--log-every", 5,
            )  # fmt: skip
            found.setdefault(f"bertfeat {precision}", []).append(own["tokens_s"])
            for name, options in (("torch", ()), ("torch, all places", ("--whole",))):
                own = peer(*common, "--unmeasured", UNMEASURED, *options)
                found.setdefault(f"{name} {precision}", []).append(own["tokens_s"])
    return {name: round(float(np.median(values)), 1) for name, values in found.items()}


def main() -> None:
    """Read the command line, run what is missing, save and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="cores of each side")
    parser.add_argument(
        "--only", choices=("bertfeat", "torch"), help="train one side, nothing else"
    )
    parser.add_argument("--ablations", action="store_true", help="no NSP, and left to right")
    parser.add_argument("--speed", action="store_true", help="time steps of both, nothing else")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-options.threads :])
    prepare()
    ours = {"bertfeat": (), **(ABLATIONS if options.ablations else {})}
    told = {"machine": describe(), "threads": options.threads, "busy_cores_before": busy_cores(1.0)}
    if options.speed:
        found = {**told, "tokens_per_s": speed(SPEED_STEPS, options.rounds)}
        write_json(RESULTS / "pretraining-speed.json", found)
    elif options.only == "torch":
        found = twin(options.steps)
    elif options.only == "bertfeat":
        found = {name: trained(name, options.steps, *own) for name, own in ours.items()}
    else:
        models = {name: trained(name, options.steps, *own) for name, own in ours.items()}
        models["torch"] = twin(options.steps)
        models["random weights"] = trained("random", 1, "--learning-rate", "1e-9")
        folders = {name: WORK / model["folder"] / "model" for name, model in models.items()}
        read = {name: folder for name, folder in folders.items() if name not in NOT_READ}
        scores = peer("--score", *read.values())
        found = {
            **told, "steps": options.steps, "trained": models, "unigram": scores["unigram"],
            "held_out": {name: scores[str(folder)] for name, folder in read.items()},
            "probe": {name: probe(folder) for name, folder in folders.items()},
        }  # fmt: skip
        write_json(RESULTS / "pretraining.json", found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
