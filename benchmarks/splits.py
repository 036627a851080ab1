"""How the cores are best split: one worker with all of them, or more workers with fewer each.

A server for each split is asked in turns by 64 callers with one text each, and by one alone.
"""

import argparse
import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bertfeat.engine.backend import usable_cores
from machine import describe
from serving import callers, latencies, percentiles, server, spread
from texts import mixed_texts


def splits(cores: int) -> Iterator[tuple[int, int]]:
    """Give every number of workers and of threads each that make up all cores."""
    for workers in range(1, cores + 1):
        if cores % workers == 0:
            yield workers, cores // workers


def measure(model: str, precision: str, seconds: float, rounds: int) -> dict[str, Any]:
    """Measure every split of the cores in one precision."""
    texts = [text[:400] for text in mixed_texts()[:1024]]
    served: dict[str, list[float]] = {}
    alone: dict[str, list[float]] = {}
    with ExitStack() as running:
        endpoints = {
            f"{workers} × {threads}": running.enter_context(server(
                "--model", model, "--precision", precision,
                "--workers", str(workers), "--threads", str(threads),
            ))
            for workers, threads in splits(usable_cores())
        }  # fmt: skip
        for number in range(rounds):
            turns = list(endpoints.items())
            for split, endpoint in turns[::-1] if number % 2 else turns:
                pace = asyncio.run(callers(endpoint, texts, seconds))
                served.setdefault(split, []).append(pace)
                alone.setdefault(split, []).extend(
                    asyncio.run(latencies(endpoint, texts[0], seconds))
                )
    return {
        split: {"texts_per_s": spread(served[split]), "alone_ms": percentiles(alone[split])}
        for split in endpoints
    }


def main() -> None:
    """Read the command line, measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    parser.add_argument("--precisions", nargs="+", default=["float32", "auto", "int8"])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--output", type=Path)
    o = parser.parse_args()
    found = {"machine": describe(), "splits": "workers × threads of each"} | {
        precision: measure(o.model, precision, o.seconds, o.rounds) for precision in o.precisions
    }
    print(json.dumps(found, indent=1, ensure_ascii=False))
    if o.output is not None:
        o.output.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
