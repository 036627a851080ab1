"""What all fine-tunings with labels share: their options, and the run that ends in a folder."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bertfeat.checkpoints import ModelFolder, model_hash
from bertfeat.tokenization import Tokenizer
from bertfeat_tools.training.batches import Batch, ShuffledBatches
from bertfeat_tools.training.encoder import save_bert
from bertfeat_tools.training.settings import MODEL, RUN, Recipe, TrainSettings

if TYPE_CHECKING:
    from bertfeat_tools.training.model import TrainingModel


@dataclass(frozen=True, kw_only=True)
class FineTuning(Recipe):
    """How an encoder is trained with labels.

    Attributes:
        model: what training starts from.
        metric: that decides which weights are kept.
        patience: evaluations without a better score after which it ends; 0 = never.
        layer_decay: factor of the learning rate from each layer to the one below.
        frozen: so many lowest layers, and the embeddings, stay as they are; -1 = not even these.
    """

    model: str = "all-MiniLM-L6-v2"
    metric: str = "accuracy"
    patience: int = 0
    layer_decay: float = 1.0
    frozen: int = -1

    def settings(self, steps_per_epoch: int, num_layers: int) -> TrainSettings:
        """Return what the loop is told of an encoder with so many layers."""
        rates = Rates(num_layers, self.layer_decay, self.frozen)
        return TrainSettings.of(self, steps_per_epoch, rates=rates)


@dataclass(frozen=True)
class Rates:
    """The factor of the learning rate of each variable: layer-wise decay, frozen layers."""

    num_layers: int
    decay: float
    frozen: int

    def __call__(self, path: str) -> float:
        """Return the factor for a variable's path."""
        found = re.search(r"layers_(\d+)/", path)
        depth = int(found[1]) + 1 if found else 0 if "/embeddings/" in path else self.num_layers + 1
        if depth <= self.frozen:
            return 0.0
        return math.pow(self.decay, self.num_layers + 1 - depth)


@dataclass(frozen=True)
class Lesson:
    """What is trained on which examples, how it is scored, and what its folder says of it.

    Attributes:
        model: the encoder with its head and its loss.
        size: examples.
        collate: from numbers of examples to their batch.
        judge: from the model as it stands to its scores.
        facts: what a run must have in common with the one that it goes on with.
        config: entries of the folder's ``config.json``.
        lengths: tokens of each example, where batches are to be of like length.
    """

    model: "TrainingModel"
    size: int
    collate: Callable[[np.ndarray], Batch]
    judge: Callable[[Any], dict[str, float]]
    facts: Mapping[str, Any]
    config: Mapping[str, Any]
    lengths: np.ndarray | None = None


def fine_tune(
    options: FineTuning, lesson: Lesson, start: tuple[ModelFolder, Tokenizer], folder: Path,
    progress: Any = None,
) -> dict[str, Any]:  # fmt: skip
    """Train, or go on where an interrupted run in the same folder stopped, and save the model.

    Args:
        options: how.
        lesson: what.
        start: the folder that the encoder came from, and its tokenizer.
        folder: gets ``training/`` and, at the end, ``model/``.
        progress: called after each update.

    Returns:
        The scores of the weights that are kept, and seconds of training.
    """
    from bertfeat_tools.training.loop import train

    source, tokenizer = start
    batches = ShuffledBatches(
        lesson.size, options.batch_size, options.seed, lesson.collate, lesson.lengths
    )
    settings = options.settings(batches.steps_per_epoch, source.config.num_hidden_layers)
    facts = {**lesson.facts, "model": model_hash(source.folder), "options": asdict(options)}
    result = train(
        lesson.model, batches, settings, folder / RUN, evaluate=lesson.judge, progress=progress,
        facts=facts,
    )  # fmt: skip
    if not (folder / MODEL).exists():
        save_bert(lesson.model.bert, source, tokenizer, folder / MODEL, **lesson.config)
    return {**result.scores, "train_s": round(result.train_s, 2), "best_step": result.best_step}


def named(labels: Sequence[str]) -> dict[str, Any]:
    """Return the entries of ``config.json`` that name what a head tells apart."""
    return {
        "id2label": {str(place): label for place, label in enumerate(labels)},
        "label2id": {label: place for place, label in enumerate(labels)},
    }
