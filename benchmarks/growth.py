"""Measure how the cost of encoding grows: with the texts, with their length, with cores and sizes.

Only our own encoder, in float32 unless told otherwise, with random weights. Each series of one size
and one number of cores has a budget of time; what would exceed it is left out, and said so.
"""

import argparse
import itertools
import json
import os
import signal
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import machine
from bertfeat.checkpoints import resolve
from child import HERE, Child, Failed, worker_command
from texts import long_texts, short_texts
from workload import Texts, Writer

sys.path.append(str(HERE.parent / "tests"))
from tiny_bert import write_bert

SIZES = {
    "6 × 384": {
        "num_hidden_layers": 6, "hidden_size": 384, "num_attention_heads": 12,
        "intermediate_size": 1536,
    },
    "12 × 768": {
        "num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12,
        "intermediate_size": 3072,
    },
}  # fmt: skip
COUNTS = (1, 10, 100, 1_000, 10_000, 100_000)
LENGTHS = (8, 16, 32, 64, 128, 256, 512)
OF_EACH_LENGTH = 32
REPEATS, QUICK_S = 3, 5.0


@dataclass(frozen=True)
class Step:
    """One point of a series, and the growth of cost that is expected from the point before."""

    label: str
    texts: Texts
    growth: float


def write_model(folder: Path, sizes: dict[str, int]) -> Path:
    """Write a model of this size with random weights and a real vocabulary."""
    vocabulary = (resolve("all-MiniLM-L6-v2") / "vocab.txt").read_text("utf-8").splitlines()
    return write_bert(folder, vocabulary=vocabulary, max_position_embeddings=512, **sizes)


def count_steps(writer: Writer, largest: int) -> list[Step]:
    """Return growing numbers of the same short texts."""
    texts = itertools.cycle(short_texts())
    counts = [count for count in COUNTS if count <= largest]
    return [
        Step(f"{n:,} texts", writer.write(f"count-{n}", list(itertools.islice(texts, n))), 10)
        for n in counts
    ]


def length_steps(writer: Writer) -> list[Step]:
    """Return equally many texts of growing length."""
    words = list(dict.fromkeys(" ".join(long_texts()[:40]).split()))
    single = [w for w, n in zip(words, writer.lengths(words), strict=True) if n == 3]
    steps = []
    for length in LENGTHS:
        endless = itertools.cycle(single)
        texts = [" ".join(itertools.islice(endless, length - 2)) for _ in range(OF_EACH_LENGTH)]
        steps.append(Step(f"{length} tokens", writer.write(f"length-{length}", texts), 2))
    return steps


def series(child: Child, steps: list[Step], budget_s: float) -> list[dict[str, Any]]:
    """Measure step after step, until the next one would exceed the budget."""
    rows: list[dict[str, Any]] = []
    for step in steps:
        expected = rows[-1]["seconds"] * step.growth if rows else 0.0
        if expected > budget_s:
            rows.append({"step": step.label, "left_out": f"about {expected:,.0f} s expected"})
            break
        seconds = timed(child, step.texts)
        budget_s -= seconds
        rows.append(
            {
                "step": step.label,
                "seconds": round(seconds, 4),
                "texts_per_s": round(len(step.texts.lengths) / seconds, 1),
                "tokens_per_s": round(sum(step.texts.lengths) / seconds),
                "peak_mb": round(child.ask(do="peak")["peak_mb"]),
            }
        )
    return rows


def timed(child: Child, texts: Texts) -> float:
    """Return the seconds of one run; where runs are quick, the median of some after a first."""
    first: float = child.ask(do="encode", texts=str(texts.file))["seconds"]
    if first > QUICK_S:
        return first
    return statistics.median(
        child.ask(do="encode", texts=str(texts.file))["seconds"] for _ in range(REPEATS)
    )


def measure(options: argparse.Namespace, size: str, threads: int, root: Path) -> dict[str, Any]:
    """Measure one size on so many cores."""
    folder = root / size.replace(" ", "")
    if not folder.exists():
        write_model(folder, SIZES[size])
    writer = Writer(folder, root)
    settings = {"precision": options.precision}
    command = worker_command(Path(sys.executable), "Bertfeat", folder, threads, settings)
    child = Child(command, threads, limit_s=10 * options.budget)
    try:
        print(f"{size}, {threads} cores ...", file=sys.stderr)
        lengths = series(child, length_steps(writer), options.budget)
        counts = series(child, count_steps(writer, options.texts), options.budget)
    finally:
        child.end()
    return {"size": size, "threads": threads, "counts": counts, "lengths": lengths}


def table(result: dict[str, Any]) -> Table:
    """Return a table of one size on so many cores."""
    found = Table(title=f"{result['size']}, {result['threads']} cores", title_justify="left")
    for column in ("", "seconds", "× before", "texts/s", "tokens/s", "peak MB"):
        found.add_column(column, justify="right", no_wrap=True)
    for rows in (result["lengths"], result["counts"]):
        for before, row in zip([None, *rows], rows, strict=False):
            if "left_out" in row:
                found.add_row(row["step"], "left out:", row["left_out"])
                continue
            growth = f"{row['seconds'] / before['seconds']:.1f}" if before else ""
            found.add_row(
                row["step"], f"{row['seconds']:.3f}", growth, f"{row['texts_per_s']:,}",
                f"{row['tokens_per_s']:,}", f"{row['peak_mb']:,}",
            )  # fmt: skip
        found.add_section()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", default="float32", help="(%(default)s)")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="(1 2)")
    parser.add_argument("--texts", type=int, default=COUNTS[-1], help="at most (%(default)s)")
    parser.add_argument("--budget", type=float, default=300, help="seconds a series (%(default)s)")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "growth.json")
    options = parser.parse_args()
    console, results = Console(width=None if Console().is_terminal else 140), []
    with tempfile.TemporaryDirectory() as root:
        for size, threads in itertools.product(options.sizes, options.threads):
            if threads > (os.cpu_count() or 1):
                console.print(f"{size}, {threads} cores: left out, there are fewer")
                continue
            try:
                results.append(measure(options, size, threads, Path(root)))
            except Failed as error:
                console.print(f"{size}, {threads} cores: {error}", markup=False)
                continue
            console.print(table(results[-1]))
    saved = {"machine": machine.describe(), "precision": options.precision, "results": results}
    options.output.write_text(json.dumps(saved, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # children too
    main()
