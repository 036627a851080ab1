"""Scores of files with one value a line: class labels and similarity scores."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bertfeat.errors import InputError


def read_pairs(gold: Path, predicted: Path) -> tuple[list[str], list[str]]:
    """Return the lines of both files, stripped.

    Raises:
        InputError: a file is not UTF-8, lines are empty (all are listed), or the counts differ.
    """
    left, right = _read_lines(gold), _read_lines(predicted)
    if len(left) != len(right) or not left:
        raise InputError(
            f"expected as many lines in both files and at least one, {gold} has {len(left)} and "
            f"{predicted} {len(right)}; give the prediction of every row, in order"
        )
    return left, right


def as_scores(lines: list[str]) -> NDArray[np.float64]:
    """Return finite numbers, (B,).

    Raises:
        InputError: lines are no finite numbers; all are listed.
    """
    bad = [number for number, line in enumerate(lines, 1) if not _is_finite(line)]
    if bad:
        raise InputError(
            f"expected a finite number a line, lines {', '.join(map(str, bad))} hold none; "
            "repair them"
        )
    return np.array([float(line) for line in lines])


def score_classes(gold: list[str], predicted: list[str]) -> dict[str, float | int]:
    """Return accuracy, macro F1 over all labels seen, and Matthews' correlation (Gorodkin 2004)."""
    pairs = Counter(zip(gold, predicted, strict=True))
    golds, guesses = Counter(gold), Counter(predicted)
    labels, total = sorted(golds | guesses), len(gold)
    right = sum(pairs[label, label] for label in labels)
    f1s = [2 * pairs[label, label] / (golds[label] + guesses[label]) for label in labels]
    chance = sum(golds[label] * guesses[label] for label in labels)
    spread = (total**2 - _squares(golds)) * (total**2 - _squares(guesses))
    return {
        "accuracy": right / total,
        "macro_f1": sum(f1s) / len(f1s),
        "mcc": (right * total - chance) / math.sqrt(spread) if spread else 0.0,
        "total": total,
    }


def score_similarities(
    gold: NDArray[np.float64], predicted: NDArray[np.float64]
) -> dict[str, float | int]:
    """Return Pearson's and Spearman's correlation, equal values sharing their mean rank.

    Raises:
        InputError: all values of one side are equal, so that no correlation is defined.
    """
    if np.ptp(gold) == 0 or np.ptp(predicted) == 0:
        raise InputError(
            "expected scores that differ, all of one file are equal; no correlation is defined"
        )
    spearman = np.corrcoef(_ranks(gold), _ranks(predicted))[0, 1]
    pearson = np.corrcoef(gold, predicted)[0, 1]
    return {"spearman": float(spearman), "pearson": float(pearson), "total": len(gold)}


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends: NDArray[np.float64] = np.cumsum(counts) - (counts - 1) / 2
    return ends[inverse]


def _squares(counts: Counter[str]) -> int:
    return sum(count**2 for count in counts.values())


def _is_finite(line: str) -> bool:
    try:
        return math.isfinite(float(line))
    except ValueError:
        return False


def _read_lines(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").split("\n")]
    except UnicodeDecodeError as error:
        raise InputError(f"expected UTF-8, {path} is not: {error}; convert it") from error
    if lines[-1] == "":
        lines.pop()
    bad = [str(number) for number, line in enumerate(lines, 1) if not line]
    if bad:
        raise InputError(
            f"expected a value a line, lines {', '.join(bad)} of {path} are empty; fill them in"
        )
    return lines
