"""Labelled texts and pairs: from files, and GLUE's tasks by name from GLUE's own files."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bertfeat.errors import InputError
from bertfeat_tools.table import read_table

PROBLEMS = ("single_label_classification", "multi_label_classification", "regression")
SEPARATOR = "|"
"""Between the labels of one row, where there are several."""


@dataclass(frozen=True)
class Examples:
    """Texts or pairs with what is to be predicted of them.

    Attributes:
        items: strings or pairs.
        labels: as they stand in the file.
        lines: numbers of their lines.
        path: of the file.
    """

    items: list[str | tuple[str, str]]
    labels: list[str]
    lines: list[int]
    path: Path

    def __len__(self) -> int:
        return len(self.items)

    @property
    def digest(self) -> str:
        """Hash of all of it."""
        text = json.dumps([self.items, self.labels])
        return hashlib.sha256(text.encode()).hexdigest()

    def drawn(self, count: int | None, seed: int) -> "Examples":
        """Return so many examples drawn by a seed; all of them if there are no more."""
        if count is None or count >= len(self):
            return self
        rows = np.random.default_rng(seed).permutation(len(self))[:count]
        items, labels, lines = (
            [values[row] for row in rows] for values in (self.items, self.labels, self.lines)
        )
        return Examples(items, labels, lines, self.path)


@dataclass(frozen=True)
class Task:
    """One of GLUE's tasks, or another known data set.

    Attributes:
        train, dev: names of the files in its folder.
        columns: of the texts and of the label, by name or by number.
        problem: one of ``PROBLEMS``.
        metric: the one that the task is judged by.
        positive: the label whose F1 counts.
    """

    train: str
    dev: str
    columns: tuple[str, ...]
    problem: str = PROBLEMS[0]
    metric: str = "accuracy"
    positive: str | None = None


TASKS = {
    "cola": Task("train.tsv", "dev.tsv", ("4", "2"), metric="mcc"),
    "sst-2": Task("train.tsv", "dev.tsv", ("sentence", "label")),
    "mrpc": Task("train.tsv", "dev.tsv", ("#1 String", "#2 String", "Quality"), metric="f1",
                 positive="1"),
    "sts-b": Task("train.tsv", "dev.tsv", ("sentence1", "sentence2", "score"), "regression",
                  metric="spearman"),
    "qqp": Task("train.tsv", "dev.tsv", ("question1", "question2", "is_duplicate"), metric="f1",
                positive="1"),
    "mnli": Task("train.tsv", "dev_matched.tsv", ("sentence1", "sentence2", "gold_label")),
    "mnli-mm": Task("train.tsv", "dev_mismatched.tsv", ("sentence1", "sentence2", "gold_label")),
    "qnli": Task("train.tsv", "dev.tsv", ("question", "sentence", "label")),
    "rte": Task("train.tsv", "dev.tsv", ("sentence1", "sentence2", "label")),
    "wnli": Task("train.tsv", "dev.tsv", ("sentence1", "sentence2", "label")),
    "lcqmc": Task("train.txt", "dev.txt", ("1", "2", "3")),
    "chnsenticorp": Task("train.tsv", "dev.tsv", ("text_a", "label")),
}  # fmt: skip


def read_examples(path: Path, columns: Sequence[str]) -> Examples:
    """Read labelled texts or pairs.

    Args:
        path: see :func:`bertfeat_tools.table.read_table`.
        columns: one or two of text, then that of the label.

    Raises:
        InputError: rows are bad; all are listed.
    """
    if len(columns) not in (2, 3):
        raise InputError(f"{len(columns)} columns; give text and label, or two texts and label")
    rows = read_table(path, columns)
    items: list[str | tuple[str, str]] = [
        row.values[0] if len(columns) == 2 else (row.values[0], row.values[1]) for row in rows
    ]
    return Examples(items, [row.values[-1] for row in rows], [row.line for row in rows], path)


def labels_of(examples: Examples, problem: str) -> list[str]:
    """Return the classes that occur, sorted; for regression the one name ``score``."""
    if problem == "regression":
        return ["score"]
    if problem == "multi_label_classification":
        return sorted({label for row in examples.labels for label in split_labels(row)})
    return sorted(set(examples.labels), key=_natural)


def split_labels(row: str) -> list[str]:
    """Return the labels of a row with several; ``-`` is none."""
    return [label.strip() for label in row.split(SEPARATOR) if label.strip() not in ("", "-")]


def targets(examples: Examples, labels: Sequence[str], problem: str) -> np.ndarray:
    """Return int32 (n,) classes, float32 (n,) values, or float32 (n, labels) of 0 and 1.

    Raises:
        InputError: labels are unknown or no numbers; all lines are listed.
    """
    places = {label: place for place, label in enumerate(labels)}
    bad: list[str] = []
    found = []
    for line, row in zip(examples.lines, examples.labels, strict=True):
        wrong = _wrong(row, places, problem)
        if wrong:
            bad.append(f"\n  line {line}: {wrong}")
        elif problem == "regression":
            found.append(float(row))
        elif problem == "multi_label_classification":
            own = set(split_labels(row))
            found.append([float(label in own) for label in labels])  # type: ignore[arg-type]
        else:
            found.append(places[row])
    if bad:
        raise InputError(f"{examples.path}: {len(bad)} label(s) cannot be used{''.join(bad[:100])}")
    return np.array(found, np.int32 if problem == PROBLEMS[0] else np.float32)


def _wrong(row: str, places: dict[str, int], problem: str) -> str:
    if problem == "regression":
        try:
            return "" if math.isfinite(float(row)) else f"{row!r} is no finite number"
        except ValueError:
            return f"{row!r} is no number"
    own = split_labels(row) if problem == "multi_label_classification" else [row]
    unknown = [label for label in own if label not in places]
    return f"unknown label(s) {', '.join(unknown)}" if unknown else ""


def _natural(label: str) -> tuple[int, float, str]:
    return (0, float(label), label) if label.lstrip("-").isdigit() else (1, 0.0, label)
