"""Scores of files with one value a line: class labels and similarity scores."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bertfeat.errors import InputError
from bertfeat_tools.table import read_lines


def read_pairs(gold: Path, predicted: Path) -> tuple[list[str], list[str]]:
    """Return the lines of both files, stripped.

    Raises:
        InputError: a file is not UTF-8, lines are empty (all are listed), or the counts differ.
    """
    left, right = _read_values(gold), _read_values(predicted)
    if len(left) != len(right) or not left:
        raise InputError(
            f"expected as many lines in both files and at least one, {gold} has {len(left)} and "
            f"{predicted} {len(right)}; give the prediction of every row, in order"
        )
    return left, right


def as_scores(values: list[str], lines: Sequence[int] | None = None) -> NDArray[np.float64]:
    """Return finite numbers, (B,).

    Args:
        values: one for each line.
        lines: their numbers for the message, 1, 2 … unless given.

    Raises:
        InputError: values are no finite numbers; all lines are listed.
    """
    numbered = zip(lines or range(1, len(values) + 1), values, strict=True)
    bad = [str(number) for number, value in numbered if not is_finite(value)]
    if bad:
        raise InputError(
            f"expected a finite number a line, lines {', '.join(bad)} hold none; repair them"
        )
    return np.array([float(value) for value in values])


def score_classes(
    gold: list[str], predicted: list[str], positive: str | None = None
) -> dict[str, float | int]:
    """Return accuracy, macro F1 over all labels seen, and Matthews' correlation (Gorodkin 2004).

    Args:
        gold: the right labels.
        predicted: those to score, as many.
        positive: a label whose own precision, recall and F1 are added (GLUE's F1 is that of 1).

    Raises:
        InputError: the positive label occurs nowhere.
    """
    rows: dict[str, float] = class_statistic(gold, predicted, positive)(np.arange(len(gold)))
    return {**rows, "total": len(gold)}


def class_statistic(
    gold: list[str], predicted: list[str], positive: str | None = None
) -> Callable[[NDArray[np.intp]], dict[str, float]]:
    """Return :func:`score_classes` as a function of the rows that are scored.

    Raises:
        InputError: the positive label occurs nowhere.
    """
    names, codes = np.unique([*gold, *predicted], return_inverse=True)
    if positive is not None and positive not in names:
        raise InputError(
            f"expected one of the labels {', '.join(names)} as the positive one, got "
            f"{positive!r}; give a label as it stands in the files"
        )
    codes = codes.reshape(2, -1)
    cells = codes[0] * len(names) + codes[1]
    at = None if positive is None else int(np.flatnonzero(names == positive)[0])

    def score(rows: NDArray[np.intp]) -> dict[str, float]:
        counts = np.bincount(cells[rows], minlength=len(names) ** 2)
        return _class_scores(counts.reshape(len(names), -1).astype(float), at)

    return score


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
    return {**_correlations(gold, predicted), "total": len(gold)}


def similarity_statistic(
    gold: NDArray[np.float64], predicted: NDArray[np.float64]
) -> Callable[[NDArray[np.intp]], dict[str, float]]:
    """Return :func:`score_similarities` as a function of the rows; NaN where none is defined."""

    def score(rows: NDArray[np.intp]) -> dict[str, float]:
        left, right = gold[rows], predicted[rows]
        if np.ptp(left) == 0 or np.ptp(right) == 0:
            return {"spearman": math.nan, "pearson": math.nan}
        return _correlations(left, right)

    return score


def _correlations(gold: NDArray[np.float64], predicted: NDArray[np.float64]) -> dict[str, float]:
    return {
        "spearman": float(np.corrcoef(_ranks(gold), _ranks(predicted))[0, 1]),
        "pearson": float(np.corrcoef(gold, predicted)[0, 1]),
    }


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends: NDArray[np.float64] = np.cumsum(counts) - (counts - 1) / 2
    return ends[inverse]


def _class_scores(table: NDArray[np.float64], positive: int | None) -> dict[str, float]:
    """Score a table of counts, (gold labels, predicted labels)."""
    golds, guesses, right = table.sum(1), table.sum(0), table.diagonal()
    total, seen = table.sum(), golds + guesses > 0
    f1s = 2 * right[seen] / (golds + guesses)[seen]
    spread = (total**2 - (golds**2).sum()) * (total**2 - (guesses**2).sum())
    chance = (golds * guesses).sum()
    found = {
        "accuracy": right.sum() / total,
        "macro_f1": f1s.mean(),
        "mcc": (right.sum() * total - chance) / np.sqrt(spread) if spread else 0.0,
    }
    if positive is not None:
        hits, either = right[positive], golds[positive] + guesses[positive]
        found["precision"] = hits / guesses[positive] if guesses[positive] else 0.0
        found["recall"] = hits / golds[positive] if golds[positive] else 0.0
        found["f1"] = 2 * hits / either if either else 0.0
    return {name: float(value) for name, value in found.items()}


def is_finite(line: str) -> bool:
    """Tell whether a text is a finite number."""
    try:
        return math.isfinite(float(line))
    except ValueError:
        return False


def _read_values(path: Path) -> list[str]:
    lines = read_lines(path)
    bad = [str(line.index + 1) for line in lines if not line.text.strip()]
    if bad:
        raise InputError(
            f"expected a value a line, lines {', '.join(bad)} of {path} are empty; fill them in"
        )
    return [line.text.strip() for line in lines]
