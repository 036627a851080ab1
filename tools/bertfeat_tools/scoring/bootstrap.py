"""Is one system better than another on the same test rows?  The paired bootstrap says.

Rows are drawn with replacement, the same ones for both systems, and the difference of the scores is
taken anew each time (Efron and Tibshirani 1993; for language processing Berg-Kirkpatrick et al.
2012).  Also here: mean and standard deviation over runs that differ in their seed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from bertfeat.errors import InputError

RESAMPLES = 10_000
Name = TypeVar("Name")
CONFIDENCE = 0.95
Statistic = Callable[[NDArray[np.intp]], Mapping[str, float]]
"""The scores of a selection of test rows, int (n,), rows possibly repeated."""


class Comparison(NamedTuple):
    """The difference of two systems' scores, the first minus the second.

    Attributes:
        difference: on all rows.
        low: lower end of the percentile interval that holds 95 % of the resamples.
        high: its upper end.
        p_value: share of resamples whose difference strays from ``difference`` by as much as that
            strays from 0: how often chance alone would show such a difference, on either side.
    """

    difference: float
    low: float
    high: float
    p_value: float


def paired_bootstrap(
    count: int, ours: Statistic, theirs: Statistic, *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Comparison]:
    """Compare two systems on ``count`` test rows.

    Args:
        count: how many rows there are.
        ours: scores of the first system; NaN where a selection has none.
        theirs: those of the second, with the same names.
        resamples: how many selections are drawn.
        seed: of the draws.

    Returns:
        A comparison for each score that both have on all rows.

    Raises:
        InputError: there is no row, or no resample has a score.
    """
    if not count:
        raise InputError("expected at least one row to compare on, there is none; give a test set")
    rng, everything = np.random.default_rng(seed), np.arange(count)
    whole, other = ours(everything), theirs(everything)
    names = [name for name in whole if np.isfinite(whole[name] - other.get(name, np.nan))]

    def differences(rows: NDArray[np.intp]) -> list[float]:
        left, right = ours(rows), theirs(rows)
        return [left[name] - right[name] for name in names]

    drawn = np.array([differences(rng.integers(0, count, count)) for _ in range(resamples)])
    return {
        name: _compare(whole[name] - other[name], drawn[np.isfinite(drawn[:, at]), at])
        for at, name in enumerate(names)
    }


def mean_of(runs: Sequence[Statistic]) -> Statistic:
    """Return the mean scores of several runs of one system, as one statistic."""

    def mean(rows: NDArray[np.intp]) -> dict[str, float]:
        found = [run(rows) for run in runs]
        return {name: float(np.mean([scores[name] for scores in found])) for name in found[0]}

    return mean


def mean_and_sd(runs: Sequence[Mapping[Name, float]]) -> dict[Name, dict[str, float]]:
    """Return each score's mean and sample standard deviation over runs; 0 for a single one."""
    return {
        name: {
            "mean": float(np.mean([run[name] for run in runs])),
            "sd": float(np.std([run[name] for run in runs], ddof=min(1, len(runs) - 1))),
        }
        for name in runs[0]
    }


def _compare(difference: float, drawn: NDArray[np.float64]) -> Comparison:
    if not len(drawn):
        raise InputError(
            "expected rows that a score is defined on, no resample of them has one; give more rows"
        )
    edge = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [edge, 1 - edge])
    # Differences that are equal but for rounding count as equal.
    stray = np.abs(drawn - difference) >= abs(difference) - 1e-12
    p_value = (1 + int(stray.sum())) / (1 + len(drawn))
    return Comparison(float(difference), float(low), float(high), p_value)
