"""``Predictor``: texts in, classes or values out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.api import Encoder
from bertfeat.checkpoints.folder_files import read_json
from bertfeat.errors import InputError, MissingHead, RowErrors
from bertfeat.features.heads import log_softmax

SEVERAL = "multi_label_classification"
CHOICE = "multiple_choice"
RELATION_FILE = "relation.json"


@dataclass(frozen=True)
class Prediction:
    """What is predicted of one text.

    Attributes:
        label: the likeliest class; None for a value and for several labels.  For multiple choice
            classes are the numbers of the choices, from 0.
        score: its probability, or the value.
        scores: probability of each label; empty for a value.
        labels: those above one half, for several labels.
    """

    label: str | None
    score: float
    scores: dict[str, float]
    labels: tuple[str, ...] = ()


class Predictor:
    """A fine-tuned classifier, regressor or chooser; made by :meth:`load`.

    Attributes:
        encoder: with its ``classifier`` head.
        labels: by number.
        problem: ``single_label_classification``, ``multi_label_classification``, ``regression`` or
            ``multiple_choice``.
    """

    def __init__(self, encoder: Encoder, labels: tuple[str, ...], problem: str) -> None:
        self.encoder, self.labels, self.problem = encoder, labels, problem

    @classmethod
    def load(cls, folder: str | Path, **options: Any) -> "Predictor":
        """Load what ``bertfeat train classify`` or ``choice`` made, or Hugging Face's like.

        A ``BertForQuestionAnswering`` gives an :class:`~bertfeat.tasks.answerer.Answerer`, a
        ``BertForTokenClassification`` a :class:`~bertfeat.tasks.token_tagger.TokenTagger`, and
        what ``bertfeat train relation`` made a
        :class:`~bertfeat.tasks.relation_extractor.RelationExtractor`.

        Args:
            folder: of the model; ``folder/model`` is taken where the model lies there.
            options: of :meth:`Encoder.load`.

        Raises:
            MissingHead: the model has no head for a task.
        """
        folder = Path(folder)
        for name in ("config.json", RELATION_FILE):
            folder = folder / "model" if (folder / "model" / name).is_file() else folder
        if (folder / RELATION_FILE).is_file():
            from bertfeat.tasks.relation_extractor import RelationExtractor

            return RelationExtractor.from_folder(folder, **options)
        config = read_json(folder / "config.json")
        if "max_seq_len" in config:
            options = {"max_seq_len": config["max_seq_len"], **options}
        encoder = Encoder.load(folder, **options)
        if encoder.has_head("span"):
            from bertfeat.tasks.answerer import Answerer, span_options

            return Answerer(encoder, span_options(config, encoder.max_seq_len))
        if not encoder.has_head("classifier"):
            raise MissingHead(
                f"{folder} has no classifier (it has: {', '.join(encoder.runtime.heads) or 'none'})"
                "; bertfeat train classify makes a model with one"
            )
        if config.get("architectures") == ["BertForMultipleChoice"]:
            return cls(encoder, (), CHOICE)
        names = config.get("id2label") or {}
        labels = tuple(names[str(number)] for number in range(len(names)))
        if config.get("architectures") == ["BertForTokenClassification"]:
            from bertfeat.tasks.token_tagger import TokenTagger

            return TokenTagger(encoder, labels, (config.get("tagging") or {}).get("unit", "word"))
        problem = config.get("problem_type") or (
            "regression" if len(labels) == 1 else "single_label_classification"
        )
        return cls(encoder, labels, problem)

    def predict(self, texts: Any) -> list[Prediction]:
        """Predict texts or pairs.

        Args:
            texts: an iterable of strings, or of pairs (tuples of two); for multiple choice of
                tuples of a text and the list of its choices.

        Raises:
            RowErrors: some are not acceptable.
            InputError: ``texts`` is one string.
        """
        if isinstance(texts, str):
            raise InputError("texts is one string; give a list of them")
        items = list(texts)
        if self.problem == CHOICE:
            return self._choose(items)
        return list(self._predictions(self.encoder.score(items, raw=True))) if items else []

    def _choose(self, items: list[Any]) -> list[Prediction]:
        errors: dict[int, Exception] = {
            row: InputError(f"{item!r:.60} is no tuple of a text and a list of two choices or more")
            for row, item in enumerate(items)
            if not _is_question(item)
        }
        pairs = [(row, (item[0], choice)) for row, item in enumerate(items) if row not in errors
                 for choice in item[1]]  # fmt: skip
        logits = np.zeros((0, 1), np.float32)
        try:
            if pairs:
                logits = self.encoder.score([pair for _, pair in pairs], raw=True)
        except RowErrors as failed:
            errors |= {pairs[place][0]: error for place, error in failed.errors.items()}
        if errors:
            raise RowErrors(errors, None)
        owners = np.array([row for row, _ in pairs])
        return [_chosen(logits[owners == row, 0]) for row in range(len(items))]

    def _predictions(self, logits: np.ndarray) -> Iterator[Prediction]:
        for row in logits.astype(np.float64):
            if self.problem == "regression":
                yield Prediction(None, float(row[0]), {})
                continue
            several = self.problem == SEVERAL
            chances = 1 / (1 + np.exp(-row)) if several else np.exp(log_softmax(row))
            scores = {label: float(x) for label, x in zip(self.labels, chances, strict=True)}
            best = max(scores, key=scores.__getitem__)
            if several:
                chosen = tuple(label for label, score in scores.items() if score > 0.5)
                yield Prediction(None, scores[best], scores, chosen)
            else:
                yield Prediction(best, scores[best], scores)


def _is_question(item: Any) -> bool:
    return (
        isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], list | tuple)
        and len(item[1]) > 1
    )  # fmt: skip


def _chosen(logits: np.ndarray) -> Prediction:
    chances = np.exp(log_softmax(logits.astype(np.float64)))
    scores = {str(number): float(chance) for number, chance in enumerate(chances)}
    best = max(scores, key=scores.__getitem__)
    return Prediction(best, scores[best], scores)
