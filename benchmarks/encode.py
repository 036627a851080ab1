"""Measure encoding against sentence-transformers, in turn, in one run, on the same real texts.

``python benchmarks/encode.py`` prints for each mix of texts and each system: texts and real tokens
per second (median of the rounds), the ratio to sentence-transformers with its spread over the
rounds, peak memory and start-up time; and saves all of it with the machine's description.

Machines are noisy, so the systems take turns within each round and ratios are taken per round.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from systems import SYSTEMS
from texts import MIXES

BASELINE = "sentence-transformers float32"
RESULTS = Path(__file__).with_name("results")


@dataclass
class Contestant:
    """A running system and what it has answered."""

    name: str
    process: subprocess.Popen[str]
    startup_s: float = 0.0
    peak_mb: float = 0.0
    seconds: list[float] = field(default_factory=list)

    def ask(self, command: str) -> dict[str, Any]:
        """Send a command and wait for the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.read()

    def read(self) -> dict[str, Any]:
        """Read one answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended with code {self.process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found


def start(name: str, model: str, texts_file: Path) -> Contestant:
    """Start a system and wait until it has encoded its first text."""
    command = [sys.executable, str(Path(__file__).with_name("systems.py")), name, model]
    process = subprocess.Popen(
        [*command, str(texts_file)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    contestant = Contestant(name, process)
    contestant.startup_s = contestant.read()["startup_s"]
    return contestant


def measure(mix: str, model: str, limit: int, rounds: int) -> dict[str, Any]:
    """Let all systems encode one mix in turn, first once unmeasured, then ``rounds`` times."""
    texts = MIXES[mix]()[:limit]
    tokens = count_tokens(model, texts)
    with tempfile.TemporaryDirectory() as folder:
        texts_file = Path(folder) / "texts.json"
        texts_file.write_text(json.dumps(texts), encoding="utf-8")
        contestants = [start(name, model, texts_file) for name in SYSTEMS]
        for number in range(rounds + 1):
            order = contestants if number % 2 else contestants[::-1]
            for contestant in order:
                seconds = contestant.ask("run")["seconds"]
                if number:
                    contestant.seconds.append(seconds)
        for contestant in contestants:
            contestant.peak_mb = contestant.ask("quit")["peak_mb"]
            contestant.process.wait()
    return summarize(mix, len(texts), tokens, contestants)


def count_tokens(model: str, texts: list[str]) -> int:
    """Count what the model really reads: specials in, padding and cut-off tokens out."""
    from bertfeat import Encoder

    encoder = Encoder.load(model)
    encodings = encoder.tokenizer.encode_batch(texts, max_length=encoder.max_seq_len)
    return sum(len(encoding.input_ids) for encoding in encodings)  # type: ignore[union-attr]


def summarize(mix: str, count: int, tokens: int, contestants: list[Contestant]) -> dict[str, Any]:
    """Turn seconds into rates and ratios."""
    baseline = next(c for c in contestants if c.name == BASELINE)
    rows = []
    for contestant in contestants:
        median = statistics.median(contestant.seconds)
        pairs = zip(baseline.seconds, contestant.seconds, strict=True)
        ratios = sorted(theirs / ours for theirs, ours in pairs)
        rows.append(
            {
                "system": contestant.name,
                "texts_per_s": round(count / median, 1),
                "tokens_per_s": round(tokens / median),
                "ratio": round(statistics.median(ratios), 3),
                "ratio_range": [round(ratios[0], 3), round(ratios[-1], 3)],
                "peak_mb": round(contestant.peak_mb),
                "startup_s": round(contestant.startup_s, 2),
            }
        )
    return {"mix": mix, "texts": count, "tokens": tokens, "rows": rows}


def table(results: list[dict[str, Any]]) -> str:
    """Write the results as a Markdown table."""
    lines = [
        "| texts | system | texts/s | real tokens/s | ratio (range) | peak MB | start-up s |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        mean = result["tokens"] / result["texts"]
        for row in result["rows"]:
            low, high = row["ratio_range"]
            lines.append(
                f"| {result['mix']}, {result['texts']} × {mean:.0f} tokens | {row['system']} "
                f"| {row['texts_per_s']:,} | {row['tokens_per_s']:,} "
                f"| {row['ratio']:.2f} ({low:.2f}–{high:.2f}) | {row['peak_mb']:,} "
                f"| {row['startup_s']:.1f} |"
            )
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """Describe the machine and the versions that were measured."""
    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    packages = ("tensorflow-cpu", "keras", "torch", "sentence-transformers", "transformers")
    return {
        "processor": model[0] if model else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "date": datetime.now(UTC).date().isoformat(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    parser.add_argument("--mixes", nargs="+", choices=MIXES, default=list(MIXES))
    parser.add_argument("--texts", type=int, default=1024, help="texts of each mix (1024)")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds (5)")
    options = parser.parse_args()
    from bertfeat.checkpoints import resolve

    folder = str(resolve(options.model))
    results = [measure(mix, folder, options.texts, options.rounds) for mix in options.mixes]
    print(table(results))
    RESULTS.mkdir(exist_ok=True)
    saved = {"machine": machine(), "model": options.model, "results": results}
    path = RESULTS / "encode.json"
    path.write_text(json.dumps(saved, indent=2) + "\n", encoding="utf-8")
    print(f"\nsaved to {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
