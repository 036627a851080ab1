"""``Predictor``: texts in, classes or values out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.api import Encoder
from bertfeat.checkpoints.folder_files import read_json
from bertfeat.errors import InputError, MissingHead

SEVERAL = "multi_label_classification"


@dataclass(frozen=True)
class Prediction:
    """What is predicted of one text.

    Attributes:
        label: the likeliest class; None for a value and for several labels.
        score: its probability, or the value.
        scores: probability of each label; empty for a value.
        labels: those above one half, for several labels.
    """

    label: str | None
    score: float
    scores: dict[str, float]
    labels: tuple[str, ...] = ()


class Predictor:
    """A fine-tuned classifier or regressor; made by :meth:`load`.

    Attributes:
        encoder: with its ``classifier`` head.
        labels: by number.
        problem: ``single_label_classification``, ``multi_label_classification`` or ``regression``.
    """

    def __init__(self, encoder: Encoder, labels: tuple[str, ...], problem: str) -> None:
        self.encoder, self.labels, self.problem = encoder, labels, problem

    @classmethod
    def load(cls, folder: str | Path, **options: Any) -> "Predictor":
        """Load what ``bertfeat train classify`` made, or any ``BertForSequenceClassification``.

        Args:
            folder: of the model; ``folder/model`` is taken where the model lies there.
            options: of :meth:`Encoder.load`.

        Raises:
            MissingHead: the model has no classifier.
        """
        folder = Path(folder)
        folder = folder / "model" if (folder / "model" / "config.json").is_file() else folder
        config = read_json(folder / "config.json")
        if "max_seq_len" in config:
            options = {"max_seq_len": config["max_seq_len"], **options}
        encoder = Encoder.load(folder, **options)
        if not encoder.has_head("classifier"):
            raise MissingHead(
                f"{folder} has no classifier (it has: {', '.join(encoder.runtime.heads) or 'none'})"
                "; bertfeat train classify makes a model with one"
            )
        names = config.get("id2label") or {}
        labels = tuple(names[str(number)] for number in range(len(names)))
        problem = config.get("problem_type") or (
            "regression" if len(labels) == 1 else "single_label_classification"
        )
        return cls(encoder, labels, problem)

    def predict(self, texts: Any) -> list[Prediction]:
        """Predict texts or pairs.

        Args:
            texts: an iterable of strings, or of pairs (tuples of two).

        Raises:
            RowErrors: some are not acceptable.
            InputError: ``texts`` is one string.
        """
        if isinstance(texts, str):
            raise InputError("texts is one string; give a list of them")
        items = list(texts)
        return list(self._predictions(self.encoder.score(items, raw=True))) if items else []

    def _predictions(self, logits: np.ndarray) -> Iterator[Prediction]:
        for row in logits.astype(np.float64):
            if self.problem == "regression":
                yield Prediction(None, float(row[0]), {})
                continue
            chances = 1 / (1 + np.exp(-row)) if self.problem == SEVERAL else _softmax(row)
            scores = {label: float(x) for label, x in zip(self.labels, chances, strict=True)}
            best = max(scores, key=scores.__getitem__)
            if self.problem == SEVERAL:
                chosen = tuple(label for label, score in scores.items() if score > 0.5)
                yield Prediction(None, scores[best], scores, chosen)
            else:
                yield Prediction(best, scores[best], scores)


def _softmax(row: np.ndarray) -> np.ndarray:
    powers = np.exp(row - row.max())
    return np.asarray(powers / powers.sum())
