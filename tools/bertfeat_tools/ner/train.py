"""Train a tagger: features once, then the network on the common loop, then a folder."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bertfeat.checkpoints.folder_files import new_folder
from bertfeat.checkpoints.weight_files import write_safetensors
from bertfeat.errors import InputError
from bertfeat.ner import paths
from bertfeat.ner.batching import MULTIPLE, Rows, emissions, network_inputs
from bertfeat.ner.schemes import convert
from bertfeat.ner.sentences import Sentence
from bertfeat.ner.settings import TaggerSettings
from bertfeat.tasks.tagger import WEIGHTS, weight_name
from bertfeat_tools.scoring.chunks import score_chunks
from bertfeat_tools.training.batches import Batch, ShuffledBatches
from bertfeat_tools.training.encoder import POLICIES, start
from bertfeat_tools.training.settings import TrainSettings

if TYPE_CHECKING:
    from bertfeat.ner.network import TaggerNetwork
    from bertfeat_tools.training.loop import Progress, TrainResult

Pick = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Tagged:
    """Sentences with what the network reads of them.

    Attributes:
        rows: float (words, L, H) or int (words,) of each sentence.
        tags: of each sentence, in the tagger's scheme.
        digest: hash of words and tags.
    """

    rows: Rows
    tags: list[list[str]]
    digest: str


@dataclass(frozen=True, kw_only=True)
class NerTraining:
    """How a tagger is trained.

    Attributes:
        epochs: at most.
        batch_size: sentences.
        patience: epochs without a better entity F1 after which training ends; 0 = never.
        learning_rate, optimizer, warmup, weight_decay, precision, seed: of the loop.
    """

    epochs: int = 30
    batch_size: int = 32
    patience: int = 5
    learning_rate: float = 1e-3
    optimizer: str = "adamw"
    warmup: float = 0.0
    weight_decay: float = 0.0
    precision: str = "float32"
    seed: int = 0

    def settings(self, steps_per_epoch: int) -> TrainSettings:
        """Return what the loop is told."""
        return TrainSettings(
            steps=self.epochs * steps_per_epoch, learning_rate=self.learning_rate,
            optimizer=self.optimizer, warmup=self.warmup, weight_decay=self.weight_decay,
            schedule="linear", clip=5.0, precision=self.precision, seed=self.seed,
            save_every=steps_per_epoch, evaluate_every=steps_per_epoch, metric="f1",
            patience=self.patience,
        )  # fmt: skip


def tagged(sentences: Sequence[Sentence], rows: Rows, scheme: str) -> Tagged:
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
    pick: Pick | None = None,
    progress: "Progress | None" = None,
) -> tuple["TaggerNetwork", "TrainResult"]:
    """Train a network; a run in the same folder that was interrupted goes on.

    Args:
        settings: the tagger.
        train: what it learns from.
        dev: what decides when it has learned enough.
        training: how.
        folder: of the run (see ``bertfeat_tools.training.loop``).
        pick: takes from a row of features what the network reads.
        progress: called after each update.

    Returns:
        The network with its best weights, and the scores of these.
    """
    start(training.seed)
    import keras

    from bertfeat.ner.network import TaggerNetwork
    from bertfeat_tools.ner.training_model import TaggerTraining
    from bertfeat_tools.training.loop import train as run

    policy = keras.dtype_policies.DTypePolicy(POLICIES[training.precision])
    network = TaggerNetwork(settings, policy)
    lengths = np.array([-(-len(row) // MULTIPLE) for row in train.rows])
    collate = Collate(settings, train, pick or (lambda row: row))
    batches = ShuffledBatches(len(train.rows), training.batch_size, training.seed, collate, lengths)
    judge = Judge(settings, dev, pick or (lambda row: row))
    facts = {"train": train.digest, "dev": dev.digest, "tagger": settings.to_dict()}
    result = run(
        TaggerTraining(network), batches, training.settings(batches.steps_per_epoch), folder,
        evaluate=lambda model: judge(model.network), progress=progress, facts=facts,
    )  # fmt: skip
    return network, result


@dataclass(frozen=True)
class Collate:
    """Makes the batch of some training sentences."""

    settings: TaggerSettings
    data: Tagged
    pick: Pick

    def __call__(self, numbers: np.ndarray) -> Batch:
        """Return inputs and ``tags`` int32 (B, S)."""
        rows = [self.pick(self.data.rows[number]) for number in numbers]
        batch = network_inputs(self.settings, rows)
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
    pick: Pick

    def __call__(self, network: "TaggerNetwork") -> dict[str, float]:
        """Return entity precision, recall and F1."""
        whole = score_chunks(self.data.tags, self.predict(network))[""]
        return {"f1": whole.f1, "precision": whole.precision, "recall": whole.recall}

    def predict(self, network: "TaggerNetwork") -> list[list[str]]:
        """Return the likeliest tags of each sentence."""
        rows = [self.pick(row) for row in self.data.rows]
        scores, labels = network.path_scores(), self.settings.labels
        found: list[list[str]] = [[] for _ in rows]
        for numbers, values, mask in emissions(self.settings, network.predict_on_batch, rows):
            best = paths.viterbi(values, mask, scores)
            for place, number in enumerate(numbers):
                found[number] = [labels[tag] for tag in best[place][mask[place]]]
        return found


def save_tagger(network: "TaggerNetwork", settings: TaggerSettings, target: Path) -> None:
    """Write a tagger's folder, whole or not at all.

    Raises:
        CheckpointError: it exists, or cannot be written.
    """
    with new_folder(target) as folder:
        settings.save(folder)
        tensors = {weight_name(w): np.asarray(w.value, order="C") for w in network.weights}
        write_safetensors(folder / WEIGHTS, tensors)


def character_table(sentences: Sequence[Sentence], least: int = 1) -> tuple[str, ...]:
    """Return the words, or characters, that stand at least so often in sentences; sorted."""
    counts: dict[str, int] = {}
    for sentence in sentences:
        for word in sentence.words:
            counts[word] = counts.get(word, 0) + 1
    return tuple(sorted(word for word, count in counts.items() if count >= least))
