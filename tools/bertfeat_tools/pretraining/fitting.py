"""The largest batch that fits into memory, found by trial in a process of its own.

A GPU or TPU says when a step does not fit: batches are halved until one does.  On a CPU the system
would kill the process instead, so small batches are measured, and the line through their peaks is
followed to the memory that is free.  Tried are examples that fill their rows.
"""

import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from bertfeat.engine.backend import gpu_names
from bertfeat.errors import InputError
from bertfeat_tools.pretraining.build import TRAIN
from bertfeat_tools.pretraining.corpus import Corpus
from bertfeat_tools.pretraining.options import PretrainOptions, make_model
from bertfeat_tools.training.batches import Batch
from bertfeat_tools.training.devices import dealt, use_devices
from bertfeat_tools.training.encoder import start
from bertfeat_tools.training.records import MANIFEST
from bertfeat_tools.training.settings import TrainSettings

SHARE = 0.8
"""Part of the free memory that a run on a CPU may fill."""
CLEAR = 256 << 20
"""Bytes between the peaks of two batches that tell what an example takes."""
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Trial:
    """What is tried.

    Attributes:
        corpus: of the phase.
        options, settings: of the run.
        devices: that share a batch.
        most: examples of a batch at most.
        free: bytes of memory, on a CPU.
    """

    corpus: Corpus
    options: PretrainOptions
    settings: TrainSettings
    devices: int
    most: int
    free: int


def fitted(
    options: PretrainOptions, settings: TrainSettings, noted: Path, devices: int
) -> tuple[PretrainOptions, TrainSettings]:
    """Choose the batch sizes that are 0, and how many batches make an update if that is asked for.

    A run that goes on takes what it began with.  Call it before Keras starts: what the search
    takes of a device must be free, and a TPU serves one process at a time.

    Args:
        options: with sizes of 0 for the largest.
        settings: of the run.
        noted: folder with the manifest of a run that has begun.
        devices: that share a batch.

    Raises:
        InputError: not even one example fits.
    """
    if 0 not in options.batch_sizes:
        return options, settings
    if (noted / MANIFEST).is_file():
        before = json.loads((noted / MANIFEST).read_text("utf-8"))
        found = tuple(map(int, re.findall(r"\d+", before["facts"]["options"]["batch_sizes"])))
        pieces = before["settings"]["accumulation"] if options.update_examples else 0
    else:
        corpora = [options.corpus(path) for path in options.data]
        sizes = zip(corpora, options.for_each("batch_sizes"), strict=True)
        found = tuple(
            size or largest_batch(
                Trial(c, options, settings, devices, len(c.part(TRAIN)), free_memory())
            )
            for c, size in sizes
        )  # fmt: skip
        pieces = 0
        if options.update_examples:
            pieces = fewest_pieces(options.update_examples, min(found))
            found = (options.update_examples // pieces,)
    settings = replace(settings, accumulation=pieces or settings.accumulation)
    return replace(options, batch_sizes=found, update_examples=0), settings


def fewest_pieces(whole: int, most: int) -> int:
    """Return the smallest number of equal parts of at most so many that make a whole."""
    return next(p for p in range(1, whole + 1) if whole % p == 0 and whole // p <= most)


def largest_batch(trial: Trial) -> int:
    """Return the examples of the largest batch that fits.

    Raises:
        InputError: not even one does.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        size = pool.submit(search, trial).result()
    if size < 1:
        raise InputError(
            f"not even one example of {trial.corpus.folder} fits into memory; choose fewer or "
            "smaller layers, shorter rows, --gradient-checkpointing, or another --precision"
        )
    return size


def search(trial: Trial) -> int:
    """Find the size in this process, which has not started Keras yet; 0 = none fits."""
    start(trial.settings.seed)
    use_devices(trial.devices)
    from bertfeat_tools.training.checkpoints import Checkpoints
    from bertfeat_tools.training.loop import Run

    model, _ = make_model(trial.options, trial.settings, [trial.corpus])
    run = Run(model, lambda step: {}, trial.settings, Checkpoints(Path()))
    run.compile()

    def attempt(size: int) -> int:
        batch = full_batch(trial.corpus, size)
        run.batches = dealt(lambda step: batch, trial.devices)
        for _ in range(2):
            run.update()
        return peak_memory()

    if gpu_names():
        return halved(attempt, trial.most)
    return followed(attempt, trial.most, int(SHARE * trial.free))


def peak_memory() -> int:
    """Return the most bytes that this process has taken so far."""
    status = Path("/proc/self/status")
    if status.is_file():  # what follows counts the process that started this one too
        return 1024 * int(re.findall(r"VmHWM:\s+(\d+)", status.read_text())[0])
    import resource  # Unix only

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def full_batch(corpus: Corpus, size: int) -> Batch:
    """Return a batch of an example that fills its row, repeated."""
    records = corpus.part(TRAIN)
    full = dict(records[0], input_mask=np.ones_like(records[0]["input_mask"]))
    collate = replace(corpus.collate(records, size, 0), records=[full])
    return collate(np.zeros(size, np.int64))


def halved(attempt: Callable[[int], object], most: int) -> int:
    """Return the first of ``most``, its half, … that fits with an eighth to spare; 0 = none."""
    size = most
    while size:
        try:
            attempt(size + size // 8)
        except Exception as error:  # each back end has its own
            if not is_out_of_memory(error):
                raise
            size //= 2
        else:
            break
    return size


def is_out_of_memory(error: Exception) -> bool:
    """Tell TensorFlow's and JAX's lack of memory from other errors."""
    named = f"{type(error).__name__} {error}"
    return isinstance(error, MemoryError) or any(
        sign in named for sign in ("RESOURCE_EXHAUSTED", "ResourceExhausted", "Out of memory")
    )


def followed(peak: Callable[[int], int], most: int, limit: int) -> int:
    """Return the largest size whose peak stays below a limit, by the line through small ones.

    Args:
        peak: bytes that the process takes with batches of a size, and of smaller ones before.
        most: examples at most.
        limit: bytes.
    """
    size, found = 1, [peak(1)]
    while size < most:
        step = min(2 * size, most)
        grown = found[-1] - found[0]
        if grown > CLEAR or found[-1] + 3 * grown > limit:
            break
        size = step
        found.append(peak(size))
    if found[0] > limit:
        return 0
    slope = (found[-1] - found[0]) / max(1, size - 1)
    room = most if slope == 0 else 1 + int((limit - found[0]) / slope)
    return min(most, room // 8 * 8 if room > 8 else room)


def free_memory() -> int:
    """Return the bytes that a process may still take, under the limit of a container too."""
    free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        free = 1024 * int(re.findall(r"MemAvailable: +(\d+)", meminfo.read_text())[0])
    limit = CGROUP / "memory.max"
    if limit.is_file() and limit.read_text().strip().isdigit():
        idle = re.findall(r"^inactive_file (\d+)", (CGROUP / "memory.stat").read_text(), re.M)
        used = int((CGROUP / "memory.current").read_text()) - int(idle[0])
        free = min(free, int(limit.read_text()) - used)
    return free
