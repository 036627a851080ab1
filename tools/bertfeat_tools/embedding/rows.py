"""Rows of texts for losses of sentence vectors."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bertfeat.errors import InputError
from bertfeat_tools.scoring.lines import as_scores
from bertfeat_tools.table import read_table

COLUMNS = {"ranking": "anchor,positive[,negative …]", "symmetric-ranking": "anchor,positive",
           "cosent": "text,text,score", "cosine": "text,text,score",
           "triplet": "anchor,positive,negative", "contrastive": "text,text,label",
           "softmax": "text,text,class", "mse": "text[,text …] and a teacher",
           "margin-mse": "anchor,positive,negative, and a margin or a teacher",
           "denoising": "text[,text …]"}  # fmt: skip
SCORED = ("cosent", "cosine", "contrastive", "margin-mse")
"""Losses whose last column is a number, unless a teacher gives it."""
TEXTS = {"ranking": 1, "symmetric-ranking": 1, "mse": 1, "denoising": 1, "triplet": 3,
         "margin-mse": 3}  # fmt: skip
"""Columns of text that a loss needs, where it is not two."""


@dataclass(frozen=True)
class Columns:
    """Rows of one to several texts, with a number where the loss wants one.

    Attributes:
        texts: for each column the text of each row.
        scores: float32 (rows,); zeros where there are none, numbers where there are classes.
        classes: names of the classes, in order.
    """

    texts: list[list[str]]
    scores: np.ndarray
    classes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Hash of all of it."""
        text = json.dumps([self.texts, self.scores.tolist(), *self.classes])
        return hashlib.sha256(text.encode()).hexdigest()


def read_columns(
    path: Path, columns: Sequence[str], loss: str, max_score: float, *, taught: bool = False
) -> Columns:
    """Read the rows that a loss needs; one column alone pairs each text with itself (SimCSE).

    Args:
        path: see :func:`bertfeat_tools.table.read_table`.
        columns: of texts, and of the number or class where the loss wants one.
        loss: what they are for.
        max_score: numbers are divided by it.
        taught: whether a teacher gives the numbers, which the file then has not.

    Raises:
        InputError: rows are bad, or there are too few columns; all bad rows are listed.
    """
    scored = loss in SCORED and not taught
    least = TEXTS.get(loss, 2) + (scored or loss == "softmax")
    if len(columns) < least:
        raise InputError(f"the loss {loss} needs {COLUMNS[loss]}, got {len(columns)} column(s)")
    rows = read_table(path, columns)
    values = [list(column) for column in zip(*(row.values for row in rows), strict=True)]
    scores = np.zeros(len(rows), np.float32)
    if loss == "softmax":
        named = values.pop()
        classes = tuple(sorted(set(named)))
        return Columns(values, np.array([classes.index(n) for n in named], np.float32), classes)
    if scored:
        lines = [row.line for row in rows]
        scores = (as_scores(values.pop(), lines) / max_score).astype(np.float32)
    if loss == "denoising":  # texts of their own, whatever stands beside them
        values = [[text for column in values for text in column]]
        return Columns(values, np.zeros(len(values[0]), np.float32))
    alone = len(values) == 1 and loss != "mse"
    return Columns(values * 2 if alone else values, scores)
