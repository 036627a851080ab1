"""Fine-tune a pipeline of relation extraction, and write a folder with both its models."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.checkpoints.folder_files import copy_whole, new_folder, write_json
from bertfeat.errors import InputError
from bertfeat.tasks import Predictor
from bertfeat.tasks.predictor import RELATION_FILE, SEVERAL
from bertfeat.tasks.relation_extractor import ENTITIES, RELATIONS
from bertfeat.tasks.relation_spans import (
    LABELS,
    paired,
    places_of,
    tags_of,
    token_row,
    window_options,
)
from bertfeat.tasks.span_windows import Passage, passages
from bertfeat.tasks.tagger import Entity
from bertfeat.tokenization import Tokenizer
from bertfeat_tools.finetuning.classify import ClassifyOptions, train_classifier
from bertfeat_tools.finetuning.examples import SEPARATOR, Examples
from bertfeat_tools.finetuning.tags import Prepared, Tags, numbered, train_tags
from bertfeat_tools.finetuning.triple_examples import Part, TripleExample, digest, schema_of
from bertfeat_tools.scoring.triples import Triple, triple_statistic
from bertfeat_tools.training.settings import MODEL

NONE = "-"


@dataclass(frozen=True)
class PartsTask:
    """Subjects and objects, given the text and one of its relations.

    Attributes:
        train: what it learns from, each relation of each text by itself.
        dev: what is scored, with the relations that it really holds.
    """

    train: Sequence[TripleExample]
    dev: Sequence[TripleExample]

    @property
    def labels(self) -> Sequence[str]:
        """Every tag, by number."""
        return LABELS

    @property
    def facts(self) -> dict[str, Any]:
        """Hashes of the texts."""
        return {"train": digest(self.train), "dev": digest(self.dev)}

    @property
    def told(self) -> dict[str, Any]:
        """What reads the model."""
        return {"unit": "relation"}

    def prepare(self, tokenizer: Tokenizer, limit: int) -> Prepared:
        """Tokenize; see :class:`bertfeat_tools.finetuning.tags.TagTask`."""
        train, dev = (_asked(part) for part in (self.train, self.dev))
        read, held_out = (_passages(part, tokenizer, limit) for part in (train, dev))
        tags = [
            numbered(LABELS, tags_of(passage, example.pairs(name)))
            for passage, (example, name) in zip(read, train, strict=True)
        ]
        gold = [_found(name, example.pairs(name)) for example, name in dev]

        def score(found: Tags) -> dict[str, float]:
            places = [places_of(*pair) for pair in zip(held_out, found, strict=True)]
            guessed = [
                _found(name, paired(*own)) for own, (_, name) in zip(places, dev, strict=True)
            ]
            return triple_statistic(gold, guessed)(np.arange(len(gold)))

        rows = [[token_row(passage) for passage in part] for part in (read, held_out)]
        return Prepared(rows[0], tags, rows[1], score)


def train_relations(
    options: ClassifyOptions, train: Sequence[TripleExample], dev: Sequence[TripleExample],
    folder: Path, progress: Callable[[str], Any] = lambda stage: None,
) -> dict[str, Any]:  # fmt: skip
    """Fine-tune both models; an interrupted run in the same folder goes on.

    Args:
        options: how; ``problem`` and ``metric`` are set here.
        train: what they learn from.
        dev: what is scored.
        folder: gets a folder for each model's training, and at the end ``model/``.
        progress: gives, for the name of a stage, what is called after each update.

    Returns:
        Precision, recall and F1 of triples, ``strict`` and with ``boundaries_`` before the name,
        each model's own F1, and seconds of training.

    Raises:
        InputError: relations of ``dev`` do not occur in ``train``.
    """
    _check_relations(train, dev)
    own = replace(options, problem=SEVERAL, metric="f1")
    first = train_classifier(
        own, _classes(train), _classes(dev), folder / RELATIONS, progress(RELATIONS)
    )
    second = train_tags(own, PartsTask(train, dev), folder / ENTITIES, progress(ENTITIES))
    if not (folder / MODEL).exists():
        with new_folder(folder / MODEL) as target:
            for name in (RELATIONS, ENTITIES):
                copy_whole(folder / name / MODEL, target / name)
            write_json(target / RELATION_FILE, schema_of(train))
    return {
        **evaluate_relations(folder, dev),
        "relations_f1": first["f1"], "entities_f1": second["f1"],
        "train_s": round(first["train_s"] + second["train_s"], 2),
    }  # fmt: skip


def evaluate_relations(folder: Path, dev: Sequence[TripleExample]) -> dict[str, float]:
    """Return the scores of a trained pipeline on texts: what it finds by itself."""
    found = Predictor.load(folder).predict([example.text for example in dev])
    guessed = [
        TripleExample(example.text, tuple(
            (_part(t.subject), t.relation, _part(t.object))
            for t in one.triples  # type: ignore[attr-defined]
        ))
        for example, one in zip(dev, found, strict=True)
    ]  # fmt: skip
    scores: dict[str, float] = {}
    for match, prefix in (("strict", ""), ("boundaries", "boundaries_")):
        sides = [[example.scored(match) for example in part] for part in (dev, guessed)]
        for name, value in triple_statistic(*sides)(np.arange(len(dev))).items():
            scores[prefix + name] = value
    return scores


def _check_relations(train: Sequence[TripleExample], dev: Sequence[TripleExample]) -> None:
    known = {name for example in train for name in example.relations}
    unknown = sorted({name for example in dev for name in example.relations} - known)
    if unknown or not known:
        raise InputError(
            f"expected the held-out relations among the {len(known)} of the training texts, "
            f"{', '.join(unknown) or 'none'} are not; give texts that show them"
        )


def _classes(examples: Sequence[TripleExample]) -> Examples:
    labels = [SEPARATOR.join(example.relations) or NONE for example in examples]
    lines = list(range(1, len(examples) + 1))
    return Examples([example.text for example in examples], labels, lines, Path("texts"))


def _asked(examples: Sequence[TripleExample]) -> list[tuple[TripleExample, str]]:
    return [(example, name) for example in examples for name in example.relations]


def _passages(
    asked: Sequence[tuple[TripleExample, str]], tokenizer: Tokenizer, limit: int
) -> list[Passage]:
    found = passages([(name, e.text) for e, name in asked], tokenizer, window_options(limit))
    for one in found:
        if isinstance(one, InputError):
            raise one
    return found  # type: ignore[return-value]


def _found(name: str, pairs: Sequence[Any]) -> frozenset[Triple]:
    return frozenset(Triple(subject, name, target) for subject, target in pairs)


def _part(entity: Entity) -> Part:
    return Part(entity.start, entity.end, entity.label)
