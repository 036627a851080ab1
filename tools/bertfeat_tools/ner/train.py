"""Train a tagger: features once, then the network on the common loop, then a folder."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bertfeat.errors import InputError
from bertfeat.ner import paths
from bertfeat.ner.batching import MULTIPLE, emissions
from bertfeat.ner.schemes import convert
from bertfeat.ner.sentences import Sentence
from bertfeat.ner.settings import TaggerSettings
from bertfeat_tools.ner.approaches import Approach, FeatureBased
from bertfeat_tools.scoring.chunks import score_chunks
from bertfeat_tools.training.batches import Batch, ShuffledBatches
from bertfeat_tools.training.settings import Recipe, TrainSettings

if TYPE_CHECKING:
    from bertfeat_tools.training.loop import Progress, TrainResult

FEATURE_BASED = FeatureBased()
FINE_TUNING_DEFAULTS: dict[str, Any] = {
    "epochs": 5,
    "warmup": 0.1,
    "weight_decay": 0.01,
    "clip": 1.0,
}
"""How a tagger is trained together with its encoder unless told otherwise, after BERT's recipe."""


@dataclass(frozen=True)
class Tagged:
    """Sentences with what the network reads of them.

    Attributes:
        rows: float (words, L, H), int (words,) or :class:`TokenRow` of each sentence.
        tags: of each sentence, in the tagger's scheme.
        digest: hash of words and tags.
    """

    rows: Sequence[Any]
    tags: list[list[str]]
    digest: str


@dataclass(frozen=True, kw_only=True)
class NerTraining(Recipe):
    """How a tagger is trained.

    Attributes:
        epochs: at most.
        batch_size: sentences.
        patience: epochs without a better entity F1 after which training ends; 0 = never.
        clip: largest global norm of a gradient.
    """

    epochs: int = 30
    patience: int = 5
    learning_rate: float = 1e-3
    optimizer: str = "adamw"
    warmup: float = 0.0
    weight_decay: float = 0.0
    clip: float = 5.0

    def settings(
        self, steps_per_epoch: int, rates: Callable[[str], float] | None = None
    ) -> TrainSettings:
        """Return what the loop is told."""
        return TrainSettings.of(self, steps_per_epoch, metric="f1", rates=rates)


def tagged(sentences: Sequence[Sentence], rows: Sequence[Any], scheme: str) -> Tagged:
    """Put sentences and their features together, tags in the tagger's scheme."""
    tags = [convert(s.tags or (), scheme) for s in sentences]
    words = json.dumps([[s.words, t] for s, t in zip(sentences, tags, strict=True)])
    return Tagged(rows, tags, hashlib.sha256(words.encode()).hexdigest())


def types_of(sentences: Sequence[Sentence]) -> set[str]:
    """Return the types of entities that sentences have."""
    return {kind for sentence in sentences for _, _, kind in sentence.spans}


def check_types(train: Sequence[Sentence], dev: Sequence[Sentence]) -> None:
    """Check that training shows every type that is asked for later.

    Raises:
        InputError: it does not, or shows none.
    """
    known = types_of(train)
    if not known:
        raise InputError("the training file has no entity at all: every tag is O")
    unknown = sorted(types_of(dev) - known)
    if unknown:
        raise InputError(
            f"the development file has entities of types that the training file lacks: "
            f"{', '.join(unknown)} (it has {', '.join(sorted(known))})"
        )


def train_tagger(
    settings: TaggerSettings,
    train: Tagged,
    dev: Tagged,
    training: NerTraining,
    folder: Path,
    *,
    approach: Approach = FEATURE_BASED,
    progress: "Progress | None" = None,
) -> tuple[Any, "TrainResult"]:
    """Train a network; a run in the same folder that was interrupted goes on.

    Args:
        settings: the tagger.
        train: what it learns from.
        dev: what decides when it has learned enough.
        training: how.
        folder: of the run (see ``bertfeat_tools.training.loop``).
        approach: on frozen features, or with the encoder.
        progress: called after each update.

    Returns:
        The network with its best weights, and the scores of these.
    """
    training.start()
    from bertfeat_tools.ner.training_model import TaggerTraining
    from bertfeat_tools.training.loop import train as run

    lengths = np.array([-(-approach.size(row) // MULTIPLE) for row in train.rows])
    collate = Collate(settings, train, approach)
    batches = ShuffledBatches(len(train.rows), training.batch_size, training.seed, collate, lengths)
    told = training.settings(batches.steps_per_epoch, approach.rates(training.learning_rate))
    network = approach.network(settings, training.precision)
    judge = Judge(settings, dev, approach)
    facts = {"train": train.digest, "dev": dev.digest, "tagger": settings.to_dict()}
    result = run(
        TaggerTraining(network), batches, told, folder, evaluate=lambda model: judge(model.network),
        progress=progress, facts=facts,
    )  # fmt: skip
    return network, result


@dataclass(frozen=True)
class Collate:
    """Makes the batch of some training sentences."""

    settings: TaggerSettings
    data: Tagged
    approach: Approach

    def __call__(self, numbers: np.ndarray) -> Batch:
        """Return inputs and ``tags`` int32 (B, S)."""
        rows = [self.data.rows[number] for number in numbers]
        batch = self.approach.inputs(self.settings, rows)
        places = {label: place for place, label in enumerate(self.settings.labels)}
        tags = np.zeros(batch["mask"].shape, np.int32)
        for place, number in enumerate(numbers):
            found = [places[tag] for tag in self.data.tags[number]]
            tags[place, : len(found)] = found
        return {**batch, "tags": tags}


@dataclass(frozen=True)
class Judge:
    """Scores a network on held-out sentences."""

    settings: TaggerSettings
    data: Tagged
    approach: Approach

    def __call__(self, network: Any) -> dict[str, float]:
        """Return entity precision, recall and F1."""
        whole = score_chunks(self.data.tags, self.predict(network))[""]
        return {"f1": whole.f1, "precision": whole.precision, "recall": whole.recall}

    def predict(self, network: Any) -> list[list[str]]:
        """Return the likeliest tags of each sentence."""
        inputs, rows = partial(self.approach.inputs, self.settings), self.data.rows
        scores, labels = network.path_scores(), self.settings.labels
        found: list[list[str]] = [[] for _ in rows]
        for numbers, values, mask in emissions(
            inputs, network.predict_on_batch, rows, self.approach.size
        ):
            best = paths.viterbi(values, mask, scores)
            for place, number in enumerate(numbers):
                found[number] = [labels[tag] for tag in best[place][mask[place]]]
        return found


def character_table(sentences: Sequence[Sentence], least: int = 1) -> tuple[str, ...]:
    """Return the words, or characters, that stand at least so often in sentences; sorted."""
    counts: dict[str, int] = {}
    for sentence in sentences:
        for word in sentence.words:
            counts[word] = counts.get(word, 0) + 1
    return tuple(sorted(word for word, count in counts.items() if count >= least))
