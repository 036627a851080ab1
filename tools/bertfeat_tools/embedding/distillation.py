"""What a student learns of a teacher: its vectors or its scores; and the layers a student keeps."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bertfeat.checkpoints import ModelFolder
from bertfeat.errors import InputError
from bertfeat_tools.embedding.rows import Columns

if TYPE_CHECKING:
    from bertfeat.api import Encoder

TAUGHT = ("mse", "margin-mse", "cosine", "cosent")
"""Losses whose targets a teacher can give."""
LAYER = re.compile(r"^layers/(\d+)/")


def check_teacher(loss: str, teacher: str | None) -> None:
    """Check that a loss has the teacher that it needs, and none that it would not hear.

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


def taught(train: Columns, loss: str, teacher: "Encoder", size: int) -> Columns:
    """Return the rows with the teacher's targets in the place of scores.

    Vectors for ``mse``, float32 (rows, columns, size); differences of two scores for
    ``margin-mse``, cosines (or a cross-encoder's scores) for the others, float32 (rows,).

    Args:
        train: rows of texts.
        loss: one of ``TAUGHT``.
        teacher: an encoder of sentences or, for scores, a cross-encoder.
        size: of the student's vectors.
    """
    if loss == "mse":
        targets = np.stack([teacher.encode(column) for column in train.texts], axis=1)
        return replace(train, scores=narrowed(targets, size))
    margin = loss == "margin-mse"
    scores = scored(teacher, train.texts[0], train.texts[1], raw=margin)
    if margin:
        scores = scores - scored(teacher, train.texts[0], train.texts[2], raw=True)
    return replace(train, scores=scores.astype(np.float32))


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


def with_layers(model: ModelFolder, layers: Sequence[int]) -> ModelFolder:
    """Return a model with some of its layers, in the order given.

    Args:
        model: as read.
        layers: numbers from 1, the lowest, to N.

    Raises:
        InputError: there is no such layer, or one comes twice.
    """
    count = model.config.num_hidden_layers
    if len(set(layers)) < len(layers) or not all(1 <= layer <= count for layer in layers):
        raise InputError(
            f"expected different layers of {model.folder} from 1 to {count}, got "
            f"{', '.join(map(str, layers))}; choose among them"
        )
    places = {layer - 1: place for place, layer in enumerate(layers)}
    tensors = {}
    for name, tensor in model.tensors.items():
        found = LAYER.match(name)
        if found is None:
            tensors[name] = tensor
        elif int(found[1]) in places:
            tensors[LAYER.sub(f"layers/{places[int(found[1])]}/", name)] = tensor
    return replace(
        model, tensors=tensors, config=replace(model.config, num_hidden_layers=len(layers)),
        raw_config={**model.raw_config, "num_hidden_layers": len(layers)},
    )  # fmt: skip
