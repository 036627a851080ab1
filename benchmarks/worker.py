"""One system under measurement, in a process of its own that obeys lines on its standard input.

``python benchmarks/worker.py SPEC`` loads what SPEC (JSON) names and says so once it has encoded a
first text. Then each line is a command (JSON), and each gets one line of JSON as its answer.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Answer = Callable[[dict[str, Any]], None]


def main(spec: dict[str, Any]) -> None:
    pin(spec["threads"])
    answer = answering()
    try:
        import systems

        system = getattr(systems, spec["kind"])(
            Path(spec["folder"]), spec["threads"], **spec["options"]
        )
        system.encode(["a first text"])
        answer({"note": getattr(system, "note", "")})
        for line in sys.stdin:
            answer(obey(system.encode, json.loads(line)))
    except Exception as error:  # whatever a peer raises is what the table says of it
        answer({"error": f"{type(error).__name__}: {error}"})


def obey(encode: Callable[[Sequence[str]], Any], command: dict[str, Any]) -> dict[str, Any]:
    """Do what a command asks; the texts are read before the clock starts."""
    if command["do"] == "peak":
        return {"peak_mb": peak_mb()}
    texts = json.loads(Path(command["texts"]).read_text("utf-8"))
    if command["do"] == "each":
        return {"seconds": [seconds(encode, [text])[0] for text in texts]}
    took, vectors = seconds(encode, texts)
    if "vectors" in command:
        np.save(command["vectors"], np.asarray(vectors, np.float32))
    return {"seconds": took}


def seconds(encode: Callable[[Sequence[str]], Any], texts: list[str]) -> tuple[float, Any]:
    """Return how long a call took, and what it returned."""
    started = time.perf_counter()
    vectors = encode(texts)
    return time.perf_counter() - started, vectors


def peak_mb() -> float:
    """Return this process's own peak (``ru_maxrss`` would count the parent's before the start)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def pin(threads: int, process: int = 0) -> None:
    """Keep a process, this one unless told, on so many cores, whatever its libraries would take."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process, sorted(os.sched_getaffinity(0))[:threads])


def answering() -> Answer:
    """Keep standard output for answers; what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(values: dict[str, Any]) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    return answer


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
