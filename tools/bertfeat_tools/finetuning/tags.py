"""Fine-tune an encoder to tag words or to segment texts, and write a folder that does."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bertfeat.checkpoints import model_hash
from bertfeat.ner.batching import emissions
from bertfeat.ner.schemes import convert, labels_of
from bertfeat.ner.sentences import Sentence
from bertfeat.ner.token_rows import TokenRow, token_rows
from bertfeat.ner.word_vectors import FeatureOptions
from bertfeat_tools.finetuning.classify import MODEL, RUN, ClassifyOptions, Rates
from bertfeat_tools.finetuning.segmented import LABELS, words_of
from bertfeat_tools.ner.token_inputs import token_inputs
from bertfeat_tools.scoring.chunks import score_chunks
from bertfeat_tools.scoring.segmentation import segmentation_statistic
from bertfeat_tools.training.batches import Batch, ShuffledBatches
from bertfeat_tools.training.encoder import make_bert, open_folder, save_bert, start

if TYPE_CHECKING:
    from bertfeat_tools.finetuning.token_classifier import TokenClassifier

SCHEME = "IOB2"
Tags = list[list[str]]


@dataclass(frozen=True)
class TagTask:
    """What is tagged, and how it is scored.

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


def entity_task(train: Sequence[Sentence], dev: Sequence[Sentence]) -> TagTask:
    """Return the task of finding entities, whose tags become IOB2; scored as conlleval does."""
    train, dev = ([_in_iob2(sentence) for sentence in part] for part in (train, dev))
    labels = labels_of({kind for s in train for _, _, kind in s.spans}, SCHEME)
    gold = [list(s.tags or ()) for s in dev]

    def score(found: Tags) -> dict[str, float]:
        values = score_chunks(gold, found, mode="conlleval", scheme=SCHEME)[""].to_dict()
        return {name: float(values[name]) for name in ("precision", "recall", "f1")}

    return TagTask(train, dev, labels, "word", score)


def segmentation_task(train: Sequence[Sentence], dev: Sequence[Sentence]) -> TagTask:
    """Return the task of segmenting texts, scored as SIGHAN's bakeoffs do."""
    known = frozenset(word for s in train for word in words_of(s.words, s.tags or ()))
    gold = [words_of(s.words, s.tags or ()) for s in dev]

    def score(found: Tags) -> dict[str, float]:
        words = [words_of(s.words, tags) for s, tags in zip(dev, found, strict=True)]
        return segmentation_statistic(gold, words, known)(np.arange(len(gold)))

    return TagTask(train, dev, LABELS, "character", score)


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
    start(options.seed)
    from bertfeat_tools.finetuning.token_classifier import TokenClassifier
    from bertfeat_tools.training.loop import train as run

    source, tokenizer = open_folder(options.model)
    bert = make_bert(
        source, heads=("classifier",), num_labels=len(task.labels), precision=options.precision
    )
    limit = min(options.max_seq_len, source.config.max_position_embeddings)
    features = FeatureOptions((), max_seq_len=limit)
    rows, held_out = (token_rows(part, features, tokenizer) for part in (task.train, task.dev))
    collate = partial(collated_tags, rows, numbered(task), tokenizer.pad_id)
    lengths = np.array([row.num_tokens for row in rows])
    batches = ShuffledBatches(len(rows), options.batch_size, options.seed, collate, lengths)
    rates = Rates(source.config.num_hidden_layers, options.layer_decay, options.frozen)
    facts = {"train": digest(task.train), "dev": digest(task.dev), "labels": list(task.labels),
             "model": model_hash(source.folder), "options": asdict(options)}  # fmt: skip
    result = run(
        TokenClassifier(bert), batches, options.settings(batches.steps_per_epoch, rates),
        folder / RUN, evaluate=TagJudge(task, held_out, tokenizer.pad_id), progress=progress,
        facts=facts,
    )  # fmt: skip
    if not (folder / MODEL).exists():
        save_bert(
            bert, source, tokenizer, folder / MODEL, architectures=["BertForTokenClassification"],
            id2label={str(place): label for place, label in enumerate(task.labels)},
            label2id={label: place for place, label in enumerate(task.labels)},
            max_seq_len=limit, tagging={"unit": task.unit},
        )  # fmt: skip
    return {**result.scores, "train_s": round(result.train_s, 2), "best_step": result.best_step}


def numbered(task: TagTask) -> list[np.ndarray]:
    """Return the number of each training tag, int32 (words,) a sentence."""
    places = {label: place for place, label in enumerate(task.labels)}
    return [np.array([places[tag] for tag in s.tags or ()], np.int32) for s in task.train]


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
    """Scores a tagger on the held-out sentences of its task."""

    task: TagTask
    rows: Sequence[TokenRow]
    pad_id: int

    def __call__(self, model: "TokenClassifier") -> dict[str, float]:
        """Return the task's scores."""
        return self.task.score(self.tags(model))

    def tags(self, model: "TokenClassifier") -> Tags:
        """Return the likeliest tag of each word."""
        found: Tags = [[] for _ in self.rows]
        inputs = partial(token_inputs, pad_id=self.pad_id)
        for numbers, logits, mask in emissions(
            inputs, model.logits, self.rows, lambda row: row.num_tokens
        ):
            best = logits.argmax(axis=-1)
            for place, number in enumerate(numbers):
                found[number] = [self.task.labels[tag] for tag in best[place][mask[place]]]
        return found


def _in_iob2(sentence: Sentence) -> Sentence:
    return replace(sentence, tags=tuple(convert(sentence.tags or (), SCHEME)))
