"""A training of a tagger from files to folder, for one seed or several."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bertfeat.api import Encoder
from bertfeat.checkpoints.folder_files import write_json
from bertfeat.ner.batching import character_rows
from bertfeat.ner.schemes import detect_scheme, labels_of
from bertfeat.ner.sentences import Sentence
from bertfeat.ner.settings import FILE, TaggerSettings
from bertfeat.ner.token_rows import token_rows
from bertfeat.ner.word_vectors import FeatureOptions, Progress, WordVectors
from bertfeat_tools.ner.approaches import Approach, FineTuning
from bertfeat_tools.ner.train import (
    FEATURE_BASED,
    NerTraining,
    Tagged,
    character_table,
    check_types,
    tagged,
    train_tagger,
    types_of,
)
from bertfeat_tools.scoring.bootstrap import mean_and_sd
from bertfeat_tools.training.encoder import open_folder
from bertfeat_tools.training.settings import RUN

RESULT = "result.json"


@dataclass(frozen=True)
class Features:
    """Where a tagger's features come from.

    Attributes:
        encoder: None for a trainable character table.
        name: how the encoder is found again.
        layers: as ``Encoder.encode`` takes them.
        pooling, context: see :class:`FeatureOptions`.
        encoder_learning_rate: None = the encoder is frozen, else it is trained at this rate.
    """

    encoder: Encoder | None
    name: str = ""
    layers: Any = "-4:"
    pooling: str = "first"
    context: str = "none"
    encoder_learning_rate: float | None = None

    @cached_property
    def approach(self) -> Approach:
        """What the tagger is trained on.

        Raises:
            CheckpointError: the encoder cannot be trained.
        """
        if self.encoder is None or self.encoder_learning_rate is None:
            return FEATURE_BASED
        return FineTuning(*open_folder(self.encoder.folder), self.encoder_learning_rate)

    @cached_property
    def word_vectors(self) -> WordVectors:
        """What computes them, kept on disk."""
        assert self.encoder is not None
        options = FeatureOptions.of(self.encoder, self.layers, self.pooling, self.context)
        return WordVectors(self.encoder, options)

    def settings(self, train: Sequence[Sentence], **network: Any) -> TaggerSettings:
        """Return the settings of a tagger on these features.

        Args:
            train: gives the labels, and a character table's rows.
            network: fields of :class:`TaggerSettings`; ``scheme`` defaults to that of the tags.
        """
        network.setdefault("scheme", detect_scheme(s.tags or () for s in train))
        labels = tuple(labels_of(types_of(train), network["scheme"]))
        if self.encoder is None:
            table = character_table(train)
            return TaggerSettings(labels=labels, characters=table, **network)
        options = self.word_vectors.options
        return TaggerSettings(
            labels=labels, encoder=self.name, encoder_hash=self.encoder.model_hash,
            layers=options.layers, hidden_size=self.encoder.config.hidden_size,
            pooling=options.pooling, context=options.context, max_seq_len=options.max_seq_len,
            **network,
        )  # fmt: skip

    def rows(
        self, settings: TaggerSettings, sentences: Sequence[Sentence],
        progress: Progress | None = None,
    ) -> Sequence[Any]:  # fmt: skip
        """Return what the network reads of sentences."""
        if self.encoder is None:
            return character_rows(settings, [s.words for s in sentences])
        if self.encoder_learning_rate is not None:
            options = FeatureOptions.of_tagger(settings)
            return token_rows(sentences, options, self.encoder.tokenizer)
        return self.word_vectors(sentences, progress)


def data_for(
    features: Features, settings: TaggerSettings, files: Sequence[Sequence[Sentence]],
    progress: Progress | None = None,
) -> list[Tagged]:  # fmt: skip
    """Return the data of training and development sentences.

    Raises:
        InputError: development has types of entities that training lacks.
    """
    check_types(*files)
    rows = [features.rows(settings, sentences, progress) for sentences in files]
    return [tagged(s, r, settings.scheme) for s, r in zip(files, rows, strict=True)]


def train_seeds(
    settings: TaggerSettings, data: Sequence[Tagged], training: NerTraining, folder: Path,
    seeds: Sequence[int], progress: Any = None, *, approach: Approach = FEATURE_BASED,
) -> dict[str, Any]:  # fmt: skip
    """Train a tagger for each seed; the best by entity F1 becomes `folder`'s tagger.

    Each seed goes on where it was interrupted, and one that is done is not trained again.

    Args:
        settings: the tagger.
        data: training and development.
        training: how.
        folder: gets a folder for each seed, ``tagger/`` and ``result.json``.
        seeds: of weights, dropout and order.
        progress: called after each update.
        approach: on frozen features, or with the encoder.

    Returns:
        The scores of each seed, their means and deviations, and learned layer weights.
    """
    runs: list[dict[str, Any]] = []
    for seed in seeds:
        place = folder / f"seed-{seed}"
        if not (place / RESULT).is_file():
            own = replace(training, seed=seed)
            train_one(settings, data, own, place, progress, approach=approach)
        runs.append({"seed": seed, **json.loads((place / RESULT).read_text("utf-8"))})
    return {"runs": runs, **_summary(runs)}


def train_one(
    settings: TaggerSettings, data: Sequence[Tagged], training: NerTraining, folder: Path,
    progress: Any = None, *, approach: Approach = FEATURE_BASED,
) -> None:  # fmt: skip
    """Train one tagger; the folder gets ``tagger/`` and, last of all, ``result.json``."""
    network, result = train_tagger(
        settings, data[0], data[1], training, folder / RUN, approach=approach, progress=progress
    )
    if not (folder / "tagger" / FILE).is_file():
        approach.save(network, settings, folder / "tagger")
    found: dict[str, Any] = {
        **result.scores, "best_step": result.best_step, "train_s": round(result.train_s, 2),
    }  # fmt: skip
    mixed = network.mix_weights()
    if mixed is not None:
        shares = [round(float(share), 6) for share in mixed[0]]
        found |= {"layer_weights": shares, "layer_scale": mixed[1]}
    write_json(folder / RESULT, found)


def best_seed(result: Mapping[str, Any]) -> int:
    """Return the seed with the highest entity F1."""
    return int(max(result["runs"], key=lambda run: run["f1"])["seed"])


def _summary(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = ("f1", "precision", "recall")
    found: dict[str, Any] = dict(mean_and_sd([{name: run[name] for name in names} for run in runs]))
    if "layer_weights" in runs[0]:
        columns = [dict(enumerate(run["layer_weights"])) for run in runs]
        found["layer_weights"] = list(mean_and_sd(columns).values())
    return found
