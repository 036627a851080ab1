"""Fine-tune an encoder on labelled texts or pairs, and write a folder that classifies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from bertfeat.tokenization import Encoding
from bertfeat_tools.finetuning.examples import PROBLEMS, Examples, labels_of, targets
from bertfeat_tools.finetuning.fine_tune import FineTuning, Lesson, fine_tune, named
from bertfeat_tools.scoring.lines import score_classes, score_similarities
from bertfeat_tools.training.batches import Batch
from bertfeat_tools.training.encoder import make_bert, open_folder
from bertfeat_tools.training.texts import computed, encoder_inputs, tokenized

if TYPE_CHECKING:
    from bertfeat_tools.finetuning.classifier import Classifier

HEADS = ("pooler", "classifier")


@dataclass(frozen=True, kw_only=True)
class ClassifyOptions(FineTuning):
    """How a classifier is trained.

    Attributes:
        problem: one of ``bertfeat_tools.finetuning.examples.PROBLEMS``.
        positive: label whose F1 is ``f1``.
        max_seq_len: tokens read of each text or pair.
        class_weights: ``balanced`` weighs each class by its rarity; ``none``.
        smoothing: of the labels.
    """

    problem: str = "single_label_classification"
    positive: str | None = None
    max_seq_len: int = 128
    class_weights: str = "none"
    smoothing: float = 0.0

    @classmethod
    def given(cls, options: Mapping[str, Any], **more: Any) -> Self:
        """Take from a command's options those that are known here."""
        known = {one.name for one in fields(cls)} & options.keys()
        return cls(**{name: options[name] for name in known if options[name] is not None} | more)


def train_classifier(
    options: ClassifyOptions, train: Examples, dev: Examples, folder: Path, progress: Any = None
) -> dict[str, Any]:
    """Fine-tune a classifier; an interrupted run in the same folder goes on.

    Args:
        options: how.
        train: what it learns from.
        dev: what is scored after each epoch.
        folder: gets ``training/`` and, at the end, ``model/``.
        progress: called after each update.

    Returns:
        The scores of the weights that are kept, and seconds of training.

    Raises:
        InputError: labels cannot be used.
    """
    labels = labels_of(train, options.problem)
    wanted = [targets(part, labels, options.problem) for part in (train, dev)]
    options.start()
    from bertfeat_tools.finetuning.classifier import Classifier

    source, tokenizer = open_folder(options.model)
    bert = make_bert(source, heads=HEADS, num_labels=len(labels), precision=options.precision)
    weights = balanced(wanted[0], len(labels)) if options.class_weights == "balanced" else None
    limit = min(options.max_seq_len, source.config.max_position_embeddings)
    encodings = [tokenized(part.items, tokenizer, limit) for part in (train, dev)]
    lesson = Lesson(
        Classifier(bert, options.problem, class_weights=weights, smoothing=options.smoothing),
        len(train),
        partial(collated, encodings[0], wanted[0], tokenizer.pad_id),
        Judge(options, encodings[1], wanted[1], tokenizer.pad_id),
        facts={"train": train.digest, "dev": dev.digest},
        config={
            "architectures": ["BertForSequenceClassification"], **named(labels),
            "problem_type": PROBLEMS[1] if options.problem == "relevance" else options.problem,
            "max_seq_len": limit,
        },
        lengths=np.array([len(encoding) for encoding in encodings[0]]),
    )  # fmt: skip
    return fine_tune(options, lesson, (source, tokenizer), folder, progress)


def collated(
    encodings: Sequence[Encoding], wanted: np.ndarray, pad_id: int, rows: np.ndarray
) -> Batch:
    """Return the batch of some examples."""
    chosen = [encodings[row] for row in rows]
    return {**encoder_inputs(chosen, pad_id), "targets": wanted[rows]}


@dataclass(frozen=True)
class Judge:
    """Scores a classifier on held-out examples."""

    options: ClassifyOptions
    encodings: Sequence[Encoding]
    wanted: np.ndarray
    pad_id: int

    def __call__(self, model: "Classifier") -> dict[str, float]:
        """Return accuracy, macro F1 and MCC; correlations for values; F1 for several labels."""
        logits = np.stack(computed(self.encodings, self.pad_id, model.computing("logits")))
        if self.options.problem in ("regression", "relevance"):
            found = score_similarities(self.wanted.astype(float), logits[:, 0].astype(float))
            return {name: float(found[name]) for name in ("spearman", "pearson")}
        if self.options.problem == "multi_label_classification":
            return several_scores(self.wanted > 0.5, logits > 0)
        return self._classes(logits.argmax(axis=1))

    def _classes(self, predicted: np.ndarray) -> dict[str, float]:
        gold, guessed = ([str(n) for n in values] for values in (self.wanted, predicted))
        positive = self.options.positive
        found = score_classes(gold, guessed, positive if positive in {*gold, *guessed} else None)
        return {name: float(value) for name, value in found.items() if name != "total"}


def several_scores(gold: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return micro precision, recall and F1 of bool (n, labels), and the share of rows right."""
    both, found, wanted = (gold & predicted).sum(), predicted.sum(), gold.sum()
    return {
        "precision": float(both / max(found, 1)), "recall": float(both / max(wanted, 1)),
        "f1": float(2 * both / max(found + wanted, 1)),
        "accuracy": float((gold == predicted).all(axis=1).mean()),
    }  # fmt: skip


def balanced(wanted: np.ndarray, labels: int) -> list[float]:
    """Return the weight of each class: the more, the rarer it is; 1 on average over examples."""
    counts = np.bincount(wanted, minlength=labels)
    return [float(len(wanted) / (labels * max(count, 1))) for count in counts]
