"""Documents in the order of their scores."""

from typing import NamedTuple

import numpy as np


class Ranked(NamedTuple):
    """A document (its place in the input) and its score."""

    document: int
    score: float


def best(scores: np.ndarray, k: int | None) -> list[Ranked]:
    """Return the ``k`` highest of float scores (n,), highest first; equal ones in input order."""
    order = np.argsort(-scores, kind="stable")[:k]
    return [Ranked(int(document), float(scores[document])) for document in order]
