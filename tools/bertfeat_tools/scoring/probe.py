"""What each layer knows: logistic regression on frozen vectors, a classifier for every layer.

The vectors are standardized by the training rows' mean and deviation; the classifier is
scikit-learn's, with L2 regularization (Alain and Bengio 2017; Tenney et al. 2019 for BERT).
"""

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bertfeat.errors import InputError
from bertfeat_tools.scoring.bootstrap import mean_and_sd
from bertfeat_tools.scoring.lines import score_classes

METRICS = ("accuracy", "macro_f1", "mcc")
C = (0.001, 0.01, 0.1, 1.0)
INNER_FOLDS = 3
MAX_ITERATIONS = 1000
Indices = NDArray[np.intp]
Split = tuple[Indices, Indices]
"""Rows to train on and rows to score."""


class LayerScore(NamedTuple):
    """A layer's scores.

    Attributes:
        layer: its number, 0 = embeddings.
        scores: metric to mean, and to sample standard deviation over the splits if there are two.
        converged: whether every classifier was trained to its end.
        c: the inverse strength of the regularization that each split's classifier has.
    """

    layer: int
    scores: dict[str, dict[str, float]]
    converged: bool
    c: tuple[float, ...]


def folds(labels: Sequence[str], count: int, seed: int) -> list[Split]:
    """Split rows into ``count`` parts with the labels' shares alike, each scored once.

    Raises:
        InputError: a label has fewer rows than there are parts; all such labels are listed.
    """
    from sklearn.model_selection import StratifiedKFold

    rare = sorted(label for label, rows in Counter(labels).items() if rows < count)
    if rare:
        raise InputError(
            f"expected {count} rows of each label, there are fewer of {', '.join(rare)}; give more "
            "rows or fewer folds"
        )
    parts = StratifiedKFold(count, shuffle=True, random_state=seed)
    return list(parts.split(np.zeros(len(labels)), labels))


def check_labels(labels: Sequence[str]) -> None:
    """Check that there is something to tell apart.

    Raises:
        InputError: there is one label only.
    """
    if len(set(labels)) < 2:
        raise InputError(
            f"expected two labels at least, all {len(labels)} rows have {labels[0]!r}; give rows "
            "of several"
        )


def probe_layers(
    vectors: NDArray[np.float32],
    layers: Sequence[int],
    labels: Sequence[str],
    splits: Sequence[Split],
    *,
    c: Sequence[float] = C,
) -> Iterator[LayerScore]:
    """Yield the scores of one layer after the other.

    Args:
        vectors: (n, layers, dim).
        layers: their numbers.
        labels: one for each row.
        splits: what is trained on and what is scored.
        c: inverse strengths of the regularization; of several the one that is most often right
            in a cross-validation within the training rows is taken.
    """
    names = np.array(labels)
    for place, layer in enumerate(layers):
        parts = [_probe(vectors[:, place], names, split, c) for split in splits]
        scores, converged, chosen = zip(*parts, strict=True)
        yield LayerScore(layer, _summary(scores), all(converged), chosen)


def baseline(labels: Sequence[str], splits: Sequence[Split]) -> dict[str, dict[str, float]]:
    """Return what always answering the most frequent label of the training rows scores."""
    names, found = np.array(labels), []
    for train, test in splits:
        commonest, _ = Counter(names[train].tolist()).most_common(1)[0]
        found.append(score_classes(names[test].tolist(), [commonest] * len(test)))
    return _summary(found)


def _probe(
    vectors: NDArray[np.float32], labels: NDArray[np.str_], split: Split, c: Sequence[float]
) -> tuple[dict[str, Any], bool, float]:
    train, test = split
    mean, spread = vectors[train].mean(axis=0), vectors[train].std(axis=0)
    scaled = (vectors - mean) / np.where(spread > 0, spread, 1)
    chosen = c[0] if len(c) == 1 else _choose(scaled[train], labels[train], sorted(c))
    classifier = _fit(scaled[train], labels[train], chosen)
    scores = score_classes(labels[test].tolist(), classifier.predict(scaled[test]).tolist())
    return scores, bool(np.max(classifier.n_iter_) < MAX_ITERATIONS), chosen


def _choose(vectors: NDArray[np.float32], labels: NDArray[np.str_], c: Sequence[float]) -> float:
    """Return the strength whose classifiers are most often right, of equal ones the smallest c."""
    from sklearn.model_selection import KFold

    right = np.zeros(len(c))
    for train, test in KFold(INNER_FOLDS, shuffle=True, random_state=0).split(vectors):
        if len(set(labels[train])) == 1:
            continue
        for at, strength in enumerate(c):
            predicted = _fit(vectors[train], labels[train], strength).predict(vectors[test])
            right[at] += (predicted == labels[test]).sum()
    return c[int(right.argmax())]


def _fit(vectors: NDArray[np.float32], labels: NDArray[np.str_], c: float) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    # One thread: the products are small, and threads that wait for each other cost far more.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told in the result instead
        return LogisticRegression(C=c, max_iter=MAX_ITERATIONS).fit(vectors, labels)


def _summary(parts: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    chosen = [{name: float(part[name]) for name in METRICS} for part in parts]
    if len(chosen) == 1:
        return {name: {"mean": value} for name, value in chosen[0].items()}
    return mean_and_sd(chosen)
