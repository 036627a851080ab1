"""One system under measurement, in a process of its own that obeys lines on its standard input.

``python benchmarks/systems.py SYSTEM MODEL TEXTS.json`` loads the model, prints a line of JSON with
its start-up time, then for each line ``run`` encodes all texts and prints the seconds it took, and
for ``quit`` prints its peak memory.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Encode = Callable[[Sequence[str]], Any]


def bertfeat(model: str, precision: str = "float32") -> Encode:
    from bertfeat import Encoder

    return Encoder.load(model, precision=precision).encode


def sentence_transformers(model: str) -> Encode:
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(model, device="cpu")
    return lambda texts: encoder.encode(list(texts), show_progress_bar=False)


SYSTEMS: dict[str, Callable[[str], Encode]] = {
    "bertfeat float32": bertfeat,
    "sentence-transformers float32": sentence_transformers,
}


def main(system: str, model: str, texts_file: str) -> None:
    started = time.perf_counter()
    encode = SYSTEMS[system](model)
    first = encode(["a first text"])
    answer({"startup_s": time.perf_counter() - started, "dim": int(first.shape[1])})
    texts = json.loads(Path(texts_file).read_text(encoding="utf-8"))
    for line in sys.stdin:
        if line.strip() == "quit":
            answer({"peak_mb": peak_mb()})
            return
        started = time.perf_counter()
        encode(texts)
        answer({"seconds": time.perf_counter() - started})


def peak_mb() -> float:
    """Return this process's own peak (``ru_maxrss`` would count the parent's before the start)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def answer(values: dict[str, Any]) -> None:
    sys.__stdout__.write(json.dumps(values) + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


if __name__ == "__main__":
    main(*sys.argv[1:])
