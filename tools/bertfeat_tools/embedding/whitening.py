"""Whitening of sentence vectors (Su et al. 2021): mean 0 and covariance 1 on given texts.

What it does to a vector is one affine map, so it is kept as a Dense layer of the model's folder.
"""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.checkpoints import Dense, SentenceModules, write
from bertfeat.errors import InputError, NotTrainedForSimilarity
from bertfeat_tools.training.encoder import open_folder


def whitening(vectors: np.ndarray, dimensions: int | None = None) -> Dense:
    """Return the layer that gives vectors mean 0 and covariance 1, the widest directions first.

    Args:
        vectors: float (n, dim).
        dimensions: directions kept; None = all.

    Raises:
        InputError: the vectors do not span so many directions.
    """
    vectors = vectors.astype(np.float64)
    wanted = vectors.shape[1] if dimensions is None else dimensions
    mean = vectors.mean(axis=0)
    widths, directions = np.linalg.eigh((vectors - mean).T @ (vectors - mean) / len(vectors))
    widths, directions = widths[::-1], directions[:, ::-1]
    spanned = int((widths > widths[0] * 1e-9).sum()) if widths[0] > 0 else 0
    if wanted > spanned:
        raise InputError(
            f"expected texts whose vectors span {wanted} dimensions, {len(vectors)} texts span "
            f"{spanned} of {vectors.shape[1]}; give more texts or fewer dimensions"
        )
    kernel = directions[:, :wanted] / np.sqrt(widths[:wanted])
    return Dense(kernel.astype(np.float32), (-mean @ kernel).astype(np.float32))


def whiten(
    model: str | Path, texts: Sequence[str], target: Path, *, dimensions: int | None = None,
    **load: Any,
) -> Dense:  # fmt: skip
    """Write a model with whitened vectors as a sentence-transformers folder, whole or not at all.

    Args:
        model: name or folder.
        texts: what the whitening is fitted on.
        target: must not exist.
        dimensions: of the new vectors; None = as many as before.
        load: further fields of :class:`bertfeat.loading.LoadOptions`.

    Returns:
        The new layer.

    Raises:
        InputError: the model cuts its vectors, or the texts are too few.
        CheckpointError: the target exists or cannot be written.
    """
    from bertfeat import Encoder

    source, tokenizer = open_folder(model, offline=load.get("offline", False))
    sentence = source.sentence or SentenceModules()
    if sentence.truncate_dim:
        raise InputError(
            f"{source.folder} cuts its vectors to {sentence.truncate_dim} dimensions, which would "
            "cut the whitened ones too; remove truncate_dim from its configuration"
        )
    encoder = Encoder.load(source.folder, **load)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotTrainedForSimilarity)  # it is what whitening mends
        layer = whitening(encoder.encode(list(texts), normalize=False), dimensions)
    changed = replace(sentence, dense=(*sentence.dense, layer))
    write(replace(source, sentence=changed, format="sentence-transformers"), tokenizer, target,
          "sentence-transformers")  # fmt: skip
    return layer
