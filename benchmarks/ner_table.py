"""The paper's table of feature-based NER, ours beside torch and transformers on the same data.

``python benchmarks/ner_table.py wnut-17`` runs ``bertfeat ner repro``, then the same rows and seeds
as ``torch_tagging.py``, then a logistic regression on our frozen vectors of the last layer.  All of
it lies below ``build/ner-table`` and goes on where it was cut off.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat import Encoder
from bertfeat.checkpoints import resolve
from bertfeat.checkpoints.folder_files import write_json
from bertfeat.ner.files import read_tagged
from bertfeat.ner.word_vectors import FeatureOptions, WordVectors
from bertfeat_tools.ner.repro import ROWS
from bertfeat_tools.scoring.bootstrap import mean_and_sd
from bertfeat_tools.scoring.chunks import score_chunks
from fine_tuning_tasks import write_iob2
from machine import busy_cores, describe
from ours import run_ours
from texts import DATA

HERE = Path(__file__).resolve().parent
RUNS, RESULTS = HERE.parent / "build" / "ner-table", HERE / "results" / "ner-table"
MODEL = "all-MiniLM-L6-v2"
DRAWN = 0
"""Seed of the sentences that are drawn."""
SETS = {
    "wnut-17": ("ner/wnut17/wnut17train.conll.gz", "ner/wnut17/emerging.dev.conll.gz"),
    "wikiann-en": ("ner/wikiann-en-dev.gz",),
}


def write_parts(name: str, limits: tuple[int, int], folder: Path) -> list[Path]:
    """Write training and held-out sentences in columns; of one file alone both are drawn.

    Args:
        name: of ``SETS``.
        limits: sentences of each at most.
        folder: where.
    """
    paths = [folder / "train.conll", folder / "dev.conll"]
    found = [[s for s in read_tagged(DATA / file) if s.words] for file in SETS[name]]
    if len(found) == 1:
        order = np.random.default_rng(DRAWN).permutation(len(found[0]))
        drawn = [found[0][number] for number in order]
        found = [drawn[limits[1] :], drawn[: limits[1]]]
    for path, part, limit in zip(paths, found, limits, strict=True):
        write_iob2(part[:limit], path)
    return paths


def ours(paths: list[Path], folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run our command and return what it says."""
    return run_ours(
        "ner", "repro", "--train", paths[0], "--dev", paths[1], "--output", folder / "bertfeat",
        "--context", options.context, "--seeds", options.seeds, "--threads", options.threads,
        "--model", MODEL, "--json",
    )  # fmt: skip


def torchs(paths: list[Path], folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run the peer, which reads no neighbours of a sentence, and return its cells."""
    if options.context != "none":
        return []
    output = folder / "torch.jsonl"
    command = [
        sys.executable, str(HERE / "torch_tagging.py"), *map(str, paths), "--model",
        str(resolve(MODEL)), "--output", str(output), "--seeds", str(options.seeds),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    return [json.loads(line) for line in output.read_text("utf-8").splitlines()]


def logistic_regression(paths: list[Path], options: argparse.Namespace) -> dict[str, float]:
    """Return the entity F1 of a logistic regression on single words' vectors of the last layer."""
    from sklearn.linear_model import LogisticRegression

    encoder = Encoder.load(MODEL, threads=options.threads)
    vectors = WordVectors(encoder, FeatureOptions.of(encoder, -1, context=options.context))
    parts = [read_tagged(path) for path in paths]
    train, dev = (np.concatenate(vectors(part))[:, 0].astype(np.float32) for part in parts)
    tags = [[list(s.tags or ()) for s in part] for part in parts]
    started = time.perf_counter()
    model = LogisticRegression(max_iter=1000).fit(train, np.concatenate(tags[0]))
    found = model.predict(dev).tolist()
    ends = np.cumsum([len(row) for row in tags[1]])
    rows = [found[end - len(row) : end] for row, end in zip(tags[1], ends, strict=True)]
    f1 = score_chunks(tags[1], rows, mode="conlleval", scheme="IOB2")[""].to_dict()["f1"]
    return {"f1": round(f1, 4), "train_s": round(time.perf_counter() - started, 1)}


def summary(values: list[float]) -> dict[str, float] | None:
    """Return mean and standard deviation over seeds, None without any."""
    if not values:
        return None
    found = mean_and_sd([{"f1": value} for value in values])["f1"]
    return {name: round(value, 4) for name, value in found.items()}


def rows_of(mine: dict[str, Any], theirs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put both sides' rows beside the paper's."""
    found = []
    for number, row in enumerate(mine["rows"]):
        cells = [cell for cell in theirs if cell["row"] == number]
        times = [row["train_s"], sum(cell["train_s"] for cell in cells)]
        found.append({
            "row": row["row"], "paper": ROWS[number].paper,
            "bertfeat": summary([run["f1"] for run in row["runs"]]),
            "torch": summary([cell["f1"] for cell in cells]),
            "train_s": {"bertfeat": round(times[0], 1), "torch": round(times[1], 1)},
        })  # fmt: skip
    return found


def table(found: dict[str, Any]) -> str:
    """Return the result as a table of Markdown, entity F1 in percent."""
    lines = ["| row | bertfeat | torch | paper |", "|---|---|---|---|"]
    for row in found["rows"]:
        sides = [row[side] for side in ("bertfeat", "torch")]
        own = [f"{100 * s['mean']:.1f} ± {100 * s['sd']:.1f}" if s else "" for s in sides]
        lines.append(f"| {row['row']} | {own[0]} | {own[1]} | {row['paper']} |")
    plain = 100 * found["logistic_regression"]["f1"]
    lines.append(f"| logistic regression, last hidden | {plain:.1f} | | |")
    return "\n".join(lines)


def main() -> None:
    """Read the command line, run what is missing, save and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--context", choices=("none", "document"), default="none")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limits", type=int, nargs=2, default=(4000, 1500))
    parser.add_argument("--threads", type=int, default=1, help="cores of each side")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-options.threads :])
    name = f"{options.set}-{options.context}"
    folder, busy = RUNS / name, busy_cores(1.0)
    folder.mkdir(parents=True, exist_ok=True)
    paths = write_parts(options.set, tuple(options.limits), folder)
    mine = ours(paths, folder, options)
    found: dict[str, Any] = {
        "machine": describe(), "model": MODEL, "threads": options.threads,
        "sentences": [len(read_tagged(path)) for path in paths], "context": options.context,
        "busy_cores_before": round(busy, 2), "extraction_s": mine["extraction_s"],
        "cached": mine["cached"], "computed": mine["computed"],
        "rows": rows_of(mine, torchs(paths, folder, options)),
        "logistic_regression": logistic_regression(paths, options),
    }  # fmt: skip
    RESULTS.mkdir(parents=True, exist_ok=True)
    write_json(RESULTS / f"{name}.json", found)
    print(table(found))


if __name__ == "__main__":
    main()
