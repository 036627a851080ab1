"""Describe the machine, and measure how fast it multiplies large float32 matrices.

``python benchmarks/machine.py THREADS`` answers each line of its standard input with the flop/s of
one large product, the faster of NumPy's and TensorFlow's.
"""

import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIZE = 2048
FLAGS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")


def describe() -> dict[str, Any]:
    """Return the processor, which of the instructions that matter it has, cores and versions."""
    return {
        "processor": _cpuinfo("model name") or platform.processor(),
        "flags": {flag: flag in cpu_flags() for flag in FLAGS},
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def busy_cores(over_s: float) -> float:
    """Return how many cores are at work while this process sleeps: what others take."""
    before = _busy_s()
    time.sleep(over_s)
    return (_busy_s() - before) / over_s


def _busy_s() -> float:
    path = Path("/proc/stat")
    if not path.exists():
        return 0.0
    user, nice, system, _, _, *rest = map(int, path.read_text("utf-8").split("\n")[0].split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def cpu_flags() -> set[str]:
    """Return the processor's feature flags as Linux names them (empty elsewhere)."""
    return set(_cpuinfo("flags").split())


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def products(threads: int) -> list[Callable[[], Any]]:
    """Return functions that each multiply two SIZE × SIZE float32 matrices."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    values = np.random.default_rng(0).normal(size=(2, SIZE, SIZE)).astype(np.float32)
    tensors = tf.constant(values)
    return [lambda: values[0] @ values[1], lambda: (tensors[0] @ tensors[1]).numpy()]


def flops_per_s(run: Callable[[], Any]) -> float:
    """Return the rate of one product."""
    started = time.perf_counter()
    run()
    return 2 * SIZE**3 / (time.perf_counter() - started)


if __name__ == "__main__":
    from worker import answering, pin

    pin(int(sys.argv[1]))
    answer = answering()
    found = products(int(sys.argv[1]))
    answer({})
    for _ in sys.stdin:
        answer({"flops_per_s": max(flops_per_s(run) for run in found * 3)})
