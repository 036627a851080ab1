"""Fine-tune an encoder to tag words or to segment texts, and write a folder that does."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from bertfeat.ner.batching import emissions
from bertfeat.ner.schemes import convert, labels_of
from bertfeat.ner.sentences import Sentence
from bertfeat.ner.token_rows import TokenRow, token_rows
from bertfeat.ner.word_vectors import FeatureOptions
from bertfeat.tokenization import Tokenizer
from bertfeat_tools.finetuning.classify import ClassifyOptions
from bertfeat_tools.finetuning.fine_tune import Lesson, fine_tune, named
from bertfeat_tools.finetuning.segmented import LABELS, words_of
from bertfeat_tools.ner.token_inputs import token_inputs
from bertfeat_tools.scoring.chunks import score_chunks
from bertfeat_tools.scoring.segmentation import segmentation_statistic
from bertfeat_tools.training.batches import Batch
from bertfeat_tools.training.encoder import make_bert, open_folder

if TYPE_CHECKING:
    from bertfeat_tools.finetuning.token_classifier import TokenClassifier

SCHEME = "IOB2"
Tags = list[list[str]]


class Prepared(NamedTuple):
    """What is trained on, what is held out, and how its tags are scored.

    Attributes:
        rows: tokens of each training text.
        tags: number of the tag of each of its words, int32 (words,).
        held_out: tokens of each held-out text.
        score: from the tags found there to scores, ``f1`` among them.
    """

    rows: Sequence[TokenRow]
    tags: Sequence[np.ndarray]
    held_out: Sequence[TokenRow]
    score: Callable[[Tags], dict[str, float]]


class TagTask(Protocol):
    """What :func:`train_tags` learns."""

    @property
    def labels(self) -> Sequence[str]:
        """Every tag, by number."""

    @property
    def facts(self) -> dict[str, Any]:
        """What a run must have in common with the one that it goes on with."""

    @property
    def told(self) -> dict[str, Any]:
        """What the model's ``config.json`` says under ``tagging``."""

    def prepare(self, tokenizer: Tokenizer, limit: int) -> Prepared:
        """Tokenize, in windows of so many tokens.

        Raises:
            InputError: a text cannot be tokenized.
        """


@dataclass(frozen=True)
class SentenceTask:
    """Words, or characters, of sentences.

    Attributes:
        train: sentences with their tags.
        dev: held-out ones.
        labels: every tag, by number.
        unit: what of a text is tagged: ``word`` or ``character``.
        score: from the tags found of ``dev`` to scores, ``f1`` among them.
    """

    train: Sequence[Sentence]
    dev: Sequence[Sentence]
    labels: Sequence[str]
    unit: str
    score: Callable[[Tags], dict[str, float]]

    @property
    def facts(self) -> dict[str, Any]:
        """Hashes of the sentences, and the labels."""
        return {
            "train": digest(self.train), "dev": digest(self.dev), "labels": list(self.labels),
        }  # fmt: skip

    @property
    def told(self) -> dict[str, Any]:
        """What is tagged of a text."""
        return {"unit": self.unit}

    def prepare(self, tokenizer: Tokenizer, limit: int) -> Prepared:
        """Tokenize the words; see :class:`TagTask`."""
        features = FeatureOptions((), max_seq_len=limit)
        rows, held_out = (token_rows(part, features, tokenizer) for part in (self.train, self.dev))
        tags = [numbered(self.labels, sentence.tags or ()) for sentence in self.train]
        return Prepared(rows, tags, held_out, self.score)


def entity_task(train: Sequence[Sentence], dev: Sequence[Sentence]) -> SentenceTask:
    """Return the task of finding entities, whose tags become IOB2; scored as conlleval does."""
    train, dev = ([_in_iob2(sentence) for sentence in part] for part in (train, dev))
    labels = labels_of({kind for s in train for _, _, kind in s.spans}, SCHEME)
    gold = [list(s.tags or ()) for s in dev]

    def score(found: Tags) -> dict[str, float]:
        values = score_chunks(gold, found, mode="conlleval", scheme=SCHEME)[""].to_dict()
        return {name: float(values[name]) for name in ("precision", "recall", "f1")}

    return SentenceTask(train, dev, labels, "word", score)


def segmentation_task(train: Sequence[Sentence], dev: Sequence[Sentence]) -> SentenceTask:
    """Return the task of segmenting texts, scored as SIGHAN's bakeoffs do."""
    known = frozenset(word for s in train for word in words_of(s.words, s.tags or ()))
    gold = [words_of(s.words, s.tags or ()) for s in dev]

    def score(found: Tags) -> dict[str, float]:
        words = [words_of(s.words, tags) for s, tags in zip(dev, found, strict=True)]
        return segmentation_statistic(gold, words, known)(np.arange(len(gold)))

    return SentenceTask(train, dev, LABELS, "character", score)


def train_tags(
    options: ClassifyOptions, task: TagTask, folder: Path, progress: Any = None
) -> dict[str, Any]:
    """Fine-tune a tagger; an interrupted run in the same folder goes on.

    Args:
        options: how; ``metric`` is one of the task's scores.
        task: what it learns and is scored on after each epoch.
        folder: gets ``training/`` and, at the end, ``model/``.
        progress: called after each update.

    Returns:
        The scores of the weights that are kept, and seconds of training.

    Raises:
        InputError: a sentence cannot be tokenized.
    """
    options.start()
    from bertfeat_tools.finetuning.token_classifier import TokenClassifier

    source, tokenizer = open_folder(options.model)
    bert = make_bert(
        source, heads=("classifier",), num_labels=len(task.labels), precision=options.precision
    )
    limit = min(options.max_seq_len, source.config.max_position_embeddings)
    found = task.prepare(tokenizer, limit)
    # Batches of like length would give the few words of short texts the weight of many.
    lesson = Lesson(
        TokenClassifier(bert),
        len(found.rows),
        partial(collated_tags, found.rows, found.tags, tokenizer.pad_id),
        TagJudge(found, task.labels, tokenizer.pad_id),
        facts=task.facts,
        config={
            "architectures": ["BertForTokenClassification"], **named(task.labels),
            "max_seq_len": limit, "tagging": task.told,
        },
    )  # fmt: skip
    return fine_tune(options, lesson, (source, tokenizer), folder, progress)


def numbered(labels: Sequence[str], tags: Sequence[str]) -> np.ndarray:
    """Return the number of each tag, int32 (words,)."""
    places = {label: place for place, label in enumerate(labels)}
    return np.array([places[tag] for tag in tags], np.int32)


def collated_tags(
    rows: Sequence[TokenRow], tags: Sequence[np.ndarray], pad_id: int, numbers: np.ndarray
) -> Batch:
    """Return the batch of some sentences."""
    batch = token_inputs([rows[number] for number in numbers], pad_id)
    targets = np.full(batch["mask"].shape, -1, np.int32)
    for place, number in enumerate(numbers):
        targets[place, : len(tags[number])] = tags[number]
    return {**batch, "targets": targets}


def digest(sentences: Sequence[Sentence]) -> str:
    """Return the hash of sentences and tags."""
    text = json.dumps([[s.words, s.tags] for s in sentences])
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class TagJudge:
    """Scores a tagger on held-out texts."""

    texts: Prepared
    labels: Sequence[str]
    pad_id: int

    def __call__(self, model: "TokenClassifier") -> dict[str, float]:
        """Return the scores of the likeliest tags."""
        return self.texts.score(self.tags(model))

    def tags(self, model: "TokenClassifier") -> Tags:
        """Return the likeliest tag of each word."""
        found: Tags = [[] for _ in self.texts.held_out]
        inputs = partial(token_inputs, pad_id=self.pad_id)
        for numbers, logits, mask in emissions(
            inputs, model.computing("logits"), self.texts.held_out, lambda row: row.num_tokens
        ):
            best = logits.argmax(axis=-1)
            for place, number in enumerate(numbers):
                found[number] = [self.labels[tag] for tag in best[place][mask[place]]]
        return found


def _in_iob2(sentence: Sentence) -> Sentence:
    return replace(sentence, tags=tuple(convert(sentence.tags or (), SCHEME)))
