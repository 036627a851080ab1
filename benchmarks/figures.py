"""The arithmetic between what was measured and what is printed."""

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from bertfeat.config import EncoderConfig
from contest import Measured
from roster import BASELINE, OURS
from workload import Workload

FAITHFUL = 0.95


def flops(config: EncoderConfig, lengths: Sequence[int]) -> float:
    """Return what the model's definition asks for, padding left out.

    For each token two for each parameter of the dense layers, and for each pair of tokens of a
    text two products of the hidden size: queries with keys, probabilities with values.
    """
    hidden, inner = config.hidden_size, config.intermediate_size
    dense = 2 * (4 * hidden * hidden + 2 * hidden * inner)
    tokens = np.array(lengths, np.float64)
    return float(config.num_hidden_layers * (dense * tokens + 4 * hidden * tokens**2).sum())


def ratios(theirs: Sequence[float] | None, own: Sequence[float]) -> list[float] | None:
    """Return how many times as fast a system is: median, lowest, highest of the rounds."""
    if theirs is None:
        return None
    found = [a / b for a, b in zip(theirs, own, strict=True)]
    return [round(value, 3) for value in (statistics.median(found), min(found), max(found))]


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Return the correlation of two rows of values' ranks; equal values share their mean rank."""
    return float(np.corrcoef(mean_ranks(first), mean_ranks(second))[0, 1])


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """Return each value's rank, that of equal values averaged."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: np.ndarray = counts.cumsum() - (counts - 1) / 2
    return ranks[group]


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the cosine of each row of one with the same row of the other."""
    dots = np.einsum("nd,nd->n", first, second)
    return dots / (np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1))


def summarize(
    measured: Sequence[Measured], workload: Workload, products: Sequence[float]
) -> list[dict[str, Any]]:
    """Turn what was measured into a row for each system.

    Args:
        products: flop/s of a large matrix product, one for each round.
    """
    known = {system.name: system for system in measured}
    return [_row(system, known, workload, products) for system in measured]


def _row(
    system: Measured, known: dict[str, Measured], workload: Workload, products: Sequence[float]
) -> dict[str, Any]:
    faithful = known.get(OURS) or known.get(BASELINE)
    cosine = None if faithful is None else _mean_cosine(system, faithful)
    milliseconds = 1000 * np.array(system.each)
    return {
        "system": system.name,
        "note": system.note,
        "startup_s": round(system.startup_s, 2),
        "peak_mb": round(system.peak_mb),
        "p50_ms": round(float(np.percentile(milliseconds, 50)), 2),
        "p99_ms": round(float(np.percentile(milliseconds, 99)), 2),
        "sts_spearman": round(_sts(system, workload), 4),
        "cosine": None if cosine is None else round(cosine, 5),
        "mixes": {mix: _speed(system, known, workload, products, mix) for mix in workload.mixes},
    }


def _speed(
    system: Measured, known: dict[str, Measured], workload: Workload,
    products: Sequence[float], mix: str,
) -> dict[str, Any]:  # fmt: skip
    seconds, lengths = system.mixes[mix], workload.mixes[mix].lengths
    rivals = {name: known[name].mixes[mix] for name in (BASELINE, OURS) if name in known}
    median, asked = statistics.median(seconds), flops(workload.config, lengths)
    shares = [asked / s / product for s, product in zip(seconds, products, strict=True)]
    return {
        "texts_per_s": round(len(lengths) / median, 1),
        "tokens_per_s": round(sum(lengths) / median),
        "to_baseline": ratios(rivals.get(BASELINE), seconds),
        "to_ours": ratios(rivals.get(OURS), seconds),
        "share_of_peak": round(statistics.median(shares), 3),
    }


def _sts(system: Measured, workload: Workload) -> float:
    vectors = np.load(system.vectors["pairs"])
    return spearman(cosines(vectors[::2], vectors[1::2]), np.array(workload.scores))


def _mean_cosine(system: Measured, faithful: Measured) -> float | None:
    """Return the mean over all texts, the long ones included; None where sizes differ."""
    pairs = [(np.load(path), np.load(faithful.vectors[n])) for n, path in system.vectors.items()]
    if any(own.shape != theirs.shape for own, theirs in pairs):
        return None
    return float(np.concatenate([cosines(own, theirs) for own, theirs in pairs]).mean())
