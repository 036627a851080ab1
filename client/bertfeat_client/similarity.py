"""How alike vectors are, by the measures that sentence-transformers folders name."""

from collections.abc import Callable

import numpy as np

from bertfeat_client.errors import InvalidRequest


def similarity(a: np.ndarray, b: np.ndarray, measure: str = "cosine") -> np.ndarray:
    """Compare each vector of a with each of b; larger is more alike.

    Args:
        a: (n, dim), any real dtype.
        b: (m, dim).
        measure: ``cosine``, ``dot``, ``euclidean`` or ``manhattan`` (the last two negated).

    Returns:
        float32 (n, m).

    Raises:
        InvalidRequest: the measure is unknown or the vectors do not fit together.
    """
    if measure not in MEASURES:
        raise InvalidRequest(f"unknown similarity {measure!r}; known: {', '.join(MEASURES)}")
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise InvalidRequest(
            f"expected two arrays of equally long vectors, got the shapes {a.shape} and {b.shape}"
        )
    return MEASURES[measure](a.astype(np.float32), b.astype(np.float32))


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _dot(_unit(a), _unit(b))


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    products: np.ndarray = a @ b.T
    return products


def _euclidean(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return -_by_row(a, lambda row: np.linalg.norm(b - row, axis=1), len(b))


def _manhattan(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return -_by_row(a, lambda row: np.abs(b - row).sum(axis=1), len(b))


def _by_row(a: np.ndarray, distances: Callable[[np.ndarray], np.ndarray], width: int) -> np.ndarray:
    return np.array([distances(row) for row in a], np.float32).reshape(len(a), width)


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: np.ndarray = vectors / np.where(lengths > 0, lengths, 1)
    return unit


MEASURES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "cosine": _cosine,
    "dot": _dot,
    "euclidean": _euclidean,
    "manhattan": _manhattan,
}
