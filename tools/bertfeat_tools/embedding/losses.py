"""Losses of sentence vectors, as sentence-transformers defines them.

Vectors are float32 (B, dim); a loss is a scalar.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
from keras import ops

Tensor = Any
Loss = Callable[[Sequence[Tensor], Tensor], Tensor]


def unit(vectors: Tensor) -> Tensor:
    """Scale each vector to length 1."""
    norm = ops.sqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True))
    return vectors / ops.maximum(norm, 1e-12)


def cosines(left: Tensor, right: Tensor) -> Tensor:
    """Return the cosine of each pair, (B,)."""
    return ops.sum(unit(left) * unit(right), axis=-1)


def ranking(
    vectors: Sequence[Tensor], targets: Tensor, *, scale: float = 20.0, symmetric: bool = False
) -> Tensor:
    """Pick the positive among all positives and hard negatives of the batch (MNRL; van den Oord).

    Args:
        vectors: anchors, positives and any number of hard negatives.
        targets: not looked at.
        scale: factor of the cosines.
        symmetric: also pick the anchor of each positive.
    """
    anchors, candidates = unit(vectors[0]), unit(ops.concatenate(list(vectors[1:]), axis=0))
    scores = ops.matmul(anchors, ops.transpose(candidates)) * scale  # (B, B · columns)
    rows = ops.shape(anchors)[0]
    loss = -ops.mean(ops.diagonal(ops.log_softmax(scores)[:, :rows]))
    if not symmetric:
        return loss
    back = ops.log_softmax(ops.transpose(scores[:, :rows]))
    return (loss - ops.mean(ops.diagonal(back))) / 2


def cosent(vectors: Sequence[Tensor], targets: Tensor, *, scale: float = 20.0) -> Tensor:
    """Order the cosines of pairs as their scores are ordered (CoSENT, Su 2022).

    Args:
        vectors: left and right of each pair.
        targets: score of each pair, (B,).
        scale: factor of the cosines.
    """
    scores = cosines(vectors[0], vectors[1]) * scale
    differences = scores[:, None] - scores[None, :]  # where i should lie below j
    wrong = ops.cast(targets[:, None] < targets[None, :], differences.dtype)
    differences = ops.reshape(differences - (1 - wrong) * 1e12, (-1,))
    return ops.logsumexp(ops.concatenate([ops.zeros_like(differences[:1]), differences], axis=0))


def cosine(vectors: Sequence[Tensor], targets: Tensor) -> Tensor:
    """Mean squared error of the cosines of pairs."""
    return ops.mean(ops.square(cosines(vectors[0], vectors[1]) - targets))


def triplet(vectors: Sequence[Tensor], targets: Tensor, *, margin: float = 5.0) -> Tensor:
    """Keep the negative farther from the anchor than the positive by a margin (Euclidean)."""
    near, far = (distance(vectors[0], other) for other in vectors[1:3])
    return ops.mean(ops.relu(near - far + margin))


def contrastive(vectors: Sequence[Tensor], targets: Tensor, *, margin: float = 0.5) -> Tensor:
    """Pull pairs of label 1 together, those of 0 apart, by cosine distance (Hadsell 2006)."""
    gap = 1 - cosines(vectors[0], vectors[1])
    apart = ops.square(ops.relu(margin - gap))
    return 0.5 * ops.mean(targets * ops.square(gap) + (1 - targets) * apart)


class Softmax(keras.layers.Layer):
    """Tell classes of pairs apart by u, v and ``|u - v|`` (Reimers and Gurevych 2019).

    Args:
        classes: their number.
        size: of the vectors.
    """

    def __init__(self, classes: int, size: int) -> None:
        super().__init__(name="softmax", dtype="float32")
        self.scores = keras.layers.Dense(classes, name="scores", dtype="float32")
        self.scores.build((None, 3 * size))
        self.built = True

    def call(self, vectors: Sequence[Tensor], targets: Tensor) -> Tensor:
        """Return the mean cross-entropy; targets are numbers of classes, (B,)."""
        left, right = vectors
        scores = self.scores(ops.concatenate([left, right, ops.abs(left - right)], axis=-1))
        targets = ops.cast(targets, "int32")
        return ops.mean(ops.sparse_categorical_crossentropy(targets, scores, from_logits=True))


def distance(left: Tensor, right: Tensor) -> Tensor:
    """Return the Euclidean distance of each pair, (B,), as PyTorch's ``pairwise_distance``."""
    return ops.sqrt(ops.sum(ops.square(left - right + 1e-6), axis=-1))


def vectors_like(vectors: Sequence[Tensor], targets: Tensor) -> Tensor:
    """Mean squared error of the vectors; targets are a teacher's, (B, columns, dim)."""
    return ops.mean(ops.square(ops.stack(list(vectors), axis=1) - targets))


def margin_like(vectors: Sequence[Tensor], targets: Tensor) -> Tensor:
    """Mean squared error of how much better the positive fits than the negative, by products.

    Hofstätter et al. 2020 (MarginMSE); targets are a teacher's differences, (B,).
    """
    anchors, positives, negatives = vectors[:3]
    return ops.mean(ops.square(ops.sum(anchors * (positives - negatives), axis=-1) - targets))


def matryoshka(
    loss: Loss, dimensions: Sequence[int]
) -> Callable[[Sequence[Tensor], Tensor], Tensor]:
    """Return the sum of a loss over vectors cut to several lengths (Kusupati et al. 2022)."""

    def summed(vectors: Sequence[Tensor], targets: Tensor) -> Tensor:
        return sum(loss([v[:, :size] for v in vectors], targets) for size in dimensions)

    return summed


LOSSES: dict[str, Loss] = {
    "ranking": ranking,
    "symmetric-ranking": partial(ranking, symmetric=True),
    "cosent": cosent,
    "cosine": cosine,
    "triplet": triplet,
    "contrastive": contrastive,
    "mse": vectors_like,
    "margin-mse": margin_like,
}
