"""What a student learns of a teacher: its vectors or its scores."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bertfeat.errors import InputError
from bertfeat.tokenization import Encoding
from bertfeat_tools.embedding.rows import Columns
from bertfeat_tools.training.texts import computed

if TYPE_CHECKING:
    from bertfeat.api import Encoder
    from bertfeat_tools.embedding.model import SentenceModel

TAUGHT = ("mse", "margin-mse", "cosine", "cosent")
"""Losses whose targets a teacher can give."""
FITTED = 4096
"""Texts of each column on which the map to a teacher's vectors is fitted before training."""


def check_teacher(loss: str, teacher: str | None, *, project: bool = False) -> None:
    """Check that a loss has the teacher that it needs, and none that it would not hear.

    Args:
        loss: a name out of ``bertfeat_tools.embedding.rows.COLUMNS``.
        teacher: a model, or None.
        project: whether vectors are to be mapped to the teacher's.

    Raises:
        InputError: it is not so.
    """
    if teacher is None and loss == "mse":
        raise InputError("the loss mse needs a teacher, got none; name a model with --teacher")
    if teacher is not None and loss not in TAUGHT:
        raise InputError(
            f"a teacher gives targets to {', '.join(TAUGHT)}, the loss is {loss}; choose one of "
            "these or leave the teacher out"
        )
    if project and loss != "mse":
        raise InputError(
            f"vectors are mapped to a teacher's by the loss mse, the loss is {loss}; choose mse or "
            "no projection"
        )


def taught(train: Columns, loss: str, teacher: "Encoder", size: int | None) -> Columns:
    """Return the rows with the teacher's targets in the place of scores.

    Vectors for ``mse``, float32 (rows, columns, size); differences of two scores for
    ``margin-mse``, cosines (or a cross-encoder's scores) for the others, float32 (rows,).

    Args:
        train: rows of texts.
        loss: one of ``TAUGHT``.
        teacher: an encoder of sentences or, for scores, a cross-encoder.
        size: of the student's vectors; None = they are mapped to the teacher's.
    """
    if loss == "mse":
        targets = np.stack([teacher.encode(column) for column in train.texts], axis=1)
        return replace(train, scores=narrowed(targets, size or targets.shape[-1]))
    margin = loss == "margin-mse"
    scores = scored(teacher, train.texts[0], train.texts[1], raw=margin)
    if margin:
        scores = scores - scored(teacher, train.texts[0], train.texts[2], raw=True)
    return replace(train, scores=scores.astype(np.float32))


def fit_projection(
    model: "SentenceModel", columns: Sequence[Sequence[Encoding]], targets: np.ndarray, pad_id: int
) -> None:
    """Let the map to the teacher's vectors begin as the best one of the untrained vectors.

    Args:
        model: with a projection, which gets the least-squares fit of the first ``FITTED`` texts.
        columns: of texts.
        targets: the teacher's vectors, float32 (rows, columns, dim).
        pad_id: fills up short texts.
    """
    vectors = [computed(texts[:FITTED], pad_id, model.computing("pooled")) for texts in columns]
    known = np.concatenate(vectors).astype(np.float64)
    known = np.concatenate([known, np.ones((len(known), 1))], axis=1)
    wanted = np.concatenate(list(targets[:FITTED].swapaxes(0, 1)))
    # The last layer's normalization puts all vectors into one plane: the fit has not full rank.
    found = np.linalg.lstsq(known, wanted, rcond=1e-3)[0]
    model.projection.set_weights([found[:-1], found[-1]])


def scored(
    teacher: "Encoder", left: Sequence[str], right: Sequence[str], *, raw: bool
) -> np.ndarray:
    """Return the teacher's score of each pair, float32 (rows,): by its head, or of its vectors.

    Raw are logits, and products of vectors as they are; else what the head's activation makes of
    them, and cosines.
    """
    if teacher.rerank_method == "cross-encoder":
        return teacher.score(list(zip(left, right, strict=True)), raw=raw)[:, 0]
    normalize = None if raw else True
    first, second = (teacher.encode(list(texts), normalize=normalize) for texts in (left, right))
    return np.asarray((first * second).sum(axis=1))


def narrowed(vectors: np.ndarray, size: int) -> np.ndarray:
    """Return vectors (…, dim) as (…, size): in the directions in which they are longest.

    Of all maps to fewer dimensions that one keeps products of vectors best.

    Raises:
        InputError: they are shorter than that.
    """
    dim = vectors.shape[-1]
    if dim == size:
        return vectors
    if dim < size:
        raise InputError(
            f"expected a teacher with at least the student's {size} dimensions, got {dim}; choose "
            "a wider teacher, or the loss cosine, which compares scores"
        )
    flat = vectors.reshape(-1, dim).astype(np.float64)
    _, directions = np.linalg.eigh(flat.T @ flat)
    return np.asarray(vectors @ directions[:, ::-1][:, :size], np.float32)
