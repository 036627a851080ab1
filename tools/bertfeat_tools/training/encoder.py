"""The encoder as training takes it and gives it back: weights, fresh heads, folders."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bertfeat.checkpoints import ModelFolder, read, resolve, write
from bertfeat.engine.backend import load_keras
from bertfeat.errors import CheckpointError
from bertfeat.tokenization import Tokenizer

if TYPE_CHECKING:
    from bertfeat.encoder.bert import Bert

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def start(seed: int, *, device: str = "auto", threads: int | None = None) -> None:
    """Start Keras with all random numbers to come fixed by a seed.

    Whatever is made afterwards in the same order has the same weights and the same dropout, and
    the same steps give the same bits.
    """
    load_keras(device, threads)
    import keras

    keras.utils.set_random_seed(seed)


def open_folder(model: str | Path, *, offline: bool = False) -> tuple[ModelFolder, Tokenizer]:
    """Resolve and read the model that a training starts from.

    Raises:
        ModelNotFound, CheckpointError, ConfigError, VocabularyError: as their names say.
    """
    folder = read(resolve(str(model), offline=offline))
    if folder.format == "lite":
        raise CheckpointError(
            f"{folder.folder} is a lite folder, whose weights cannot be trained; start from the "
            "model that it was made from"
        )
    return folder, Tokenizer.from_folder(folder.tokenizer_folder)


def make_bert(
    model: ModelFolder,
    *,
    heads: Iterable[str] = (),
    num_labels: int = 2,
    precision: str = "float32",
    dropout: float | None = None,
) -> "Bert":
    """Make the encoder of a folder with heads; those that the folder lacks get fresh weights.

    Args:
        model: the folder as read.
        heads: names out of ``bertfeat.encoder.names.HEADS``.
        num_labels: outputs of the ``classifier`` head; one of another size is made anew.
        precision: ``float32``, ``bfloat16`` or ``float16``; weights are float32 in each.
        dropout: of hidden states and attention; None = as the configuration says.
    """
    from bertfeat.encoder.bert import Bert

    config = model.config
    if dropout is not None:
        config = replace(config, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    bert = Bert(config, heads=heads, num_labels=num_labels, dtype=POLICIES[precision])
    for name, weight in bert.named_weights().items():
        found = model.tensors.get(name)
        if found is not None and found.shape == tuple(weight.shape):
            weight.assign(np.asarray(found, np.float32))
    return bert


def save_bert(
    bert: "Bert", source: ModelFolder, tokenizer: Tokenizer, target: Path,
    *, format: str = "huggingface", **changed: Any,
) -> None:  # fmt: skip
    """Write a trained encoder with its heads as a new folder, whole or not at all.

    Args:
        bert: the trained weights.
        source: the folder that training started from.
        tokenizer: saved beside the weights.
        target: must not exist.
        format: ``huggingface`` or ``sentence-transformers``.
        changed: keys of ``config.json`` (``architectures``, ``id2label`` …); ``sentence`` replaces
            the source's sentence modules.

    Raises:
        CheckpointError: the target exists or cannot be written.
    """
    sentence = changed.pop("sentence", source.sentence if format != "huggingface" else None)
    raw: Mapping[str, Any] = {**source.raw_config, **changed}
    tensors = {name: np.asarray(weight.value) for name, weight in bert.named_weights().items()}
    model = replace(source, raw_config=raw, tensors=tensors, sentence=sentence, format=format)
    write(model, tokenizer, target, format)
