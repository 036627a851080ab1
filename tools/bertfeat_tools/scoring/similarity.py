"""Semantic similarity from vectors of sentence pairs: four measures, two correlations."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bertfeat.errors import InputError
from bertfeat_tools.scoring.lines import as_scores, score_similarities
from bertfeat_tools.table import read_table

MEASURES = ("cosine", "dot", "euclid", "manhattan")


def read_scored_pairs(
    path: Path, columns: tuple[str, str, str]
) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """Return first sentences, second sentences and scores, (n,), of a file of pairs.

    Raises:
        InputError: rows are bad or scores no numbers; all are listed.
    """
    rows = read_table(path, columns)
    first, second, scores = zip(*(row.values for row in rows), strict=True)
    return list(first), list(second), as_scores(list(scores), [row.line for row in rows])


def similarities(
    first: NDArray[np.float32], second: NDArray[np.float32]
) -> dict[str, NDArray[np.float64]]:
    """Return for vectors (n, dim) and (n, dim) each measure, (n,); distances are negated."""
    left, right = np.asarray(first, np.float64), np.asarray(second, np.float64)
    dot = (left * right).sum(axis=1)
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    if not lengths.all():
        rows = ", ".join(map(str, np.flatnonzero(lengths == 0)))
        raise InputError(
            f"expected vectors other than zero, pairs {rows} have one; a cosine needs two lengths"
        )
    return {
        "cosine": dot / lengths,
        "dot": dot,
        "euclid": -np.linalg.norm(left - right, axis=1),
        "manhattan": -np.abs(left - right).sum(axis=1),
    }


def unit_vectors(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors (n, dim) scaled to length 1, zeros as they are."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def score_vectors(
    first: NDArray[np.float32], second: NDArray[np.float32], gold: NDArray[np.float64]
) -> dict[str, dict[str, float | int]]:
    """Return for each measure Spearman's and Pearson's correlation with the gold scores, (n,).

    A measure whose values are all equal has none and is left out.
    """
    return {
        name: score_similarities(gold, values)
        for name, values in similarities(first, second).items()
        if np.ptp(values)
    }
