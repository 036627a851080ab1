"""Labelled texts and pairs from files, and their labels as numbers."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bertfeat.errors import InputError, listed
from bertfeat_tools.table import read_table

PROBLEMS = ("single_label_classification", "multi_label_classification", "regression",
            "relevance")  # fmt: skip
SEVERAL_OR_ONE = PROBLEMS[1], PROBLEMS[3]
"""Problems under binary cross-entropy: of each label, or how well a pair fits, from 0 to 1."""
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
        known: labels that may occur, where rows were drawn of more.
    """

    items: list[str | tuple[str, str]]
    labels: list[str]
    lines: list[int]
    path: Path
    known: tuple[str, ...] = ()

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
        rows = self.places(count, seed)
        items, labels, lines = (
            [values[row] for row in rows] for values in (self.items, self.labels, self.lines)
        )
        return Examples(items, labels, lines, self.path, self.known or tuple(self.labels))

    def places(self, count: int, seed: int) -> NDArray[np.intp]:
        """Return which rows :meth:`drawn` takes, in their order."""
        return np.random.default_rng(seed).permutation(len(self))[:count]


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
    """Return the classes that occur, sorted; of values ``score`` or ``relevance``."""
    if problem in ("regression", "relevance"):
        return ["score" if problem == "regression" else problem]
    found = examples.known or examples.labels
    if problem == "multi_label_classification":
        return sorted({label for row in found for label in split_labels(row)})
    return sorted(set(found), key=_natural)


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
            bad.append(f"line {line}: {wrong}")
        elif problem in ("regression", "relevance"):
            found.append(float(row))
        elif problem == "multi_label_classification":
            own = set(split_labels(row))
            found.append([float(label in own) for label in labels])  # type: ignore[arg-type]
        else:
            found.append(places[row])
    if bad:
        raise InputError(f"{examples.path}: {len(bad)} label(s) cannot be used{listed(bad)}")
    return np.array(found, np.int32 if problem == PROBLEMS[0] else np.float32)


def _wrong(row: str, places: dict[str, int], problem: str) -> str:
    if problem in ("regression", "relevance"):
        try:
            if problem == "relevance" and not 0 <= float(row) <= 1:
                return f"{row!r} is not from 0 to 1"
            return "" if math.isfinite(float(row)) else f"{row!r} is no finite number"
        except ValueError:
            return f"{row!r} is no number"
    own = split_labels(row) if problem == "multi_label_classification" else [row]
    unknown = [label for label in own if label not in places]
    return f"unknown label(s) {', '.join(unknown)}" if unknown else ""


def _natural(label: str) -> tuple[int, float, str]:
    return (0, float(label), label) if label.lstrip("-").isdigit() else (1, 0.0, label)
