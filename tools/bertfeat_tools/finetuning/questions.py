"""Questions with choices: SWAG's CSV, CODAH's TSV, OpenBookQA's TSV and JSON lines, and our own."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.errors import InputError
from bertfeat_tools.table import JSON_LINES, Problems, Row, json_objects, read_lines, read_table

Question = tuple[str, tuple[str, ...], int]
"""What is asked, its choices, the number of the right one."""

SWAG = ("sent1", "sent2", "ending0", "ending1", "ending2", "ending3", "label")
CODAH = ("2", "3", "4", "5", "6", "7")
OPENBOOKQA = ("Question Stem", "Choices", "Answer Key")
LETTERED = re.compile(r"\(([A-Z])\)")


@dataclass(frozen=True)
class Questions:
    """Questions with their choices and answers.

    Attributes:
        items: text and choices of each; a choice is read as the text's second part.
        answers: number of the right choice, from 0.
    """

    items: list[tuple[str, tuple[str, ...]]]
    answers: list[int]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def digest(self) -> str:
        """Hash of all of it."""
        return hashlib.sha256(json.dumps([self.items, self.answers]).encode()).hexdigest()

    def drawn(self, count: int | None, seed: int) -> "Questions":
        """Return so many questions drawn by a seed; all of them if there are no more."""
        if count is None or count >= len(self):
            return self
        rows = np.random.default_rng(seed).permutation(len(self))[:count]
        return Questions([self.items[row] for row in rows], [self.answers[row] for row in rows])


def read_questions(path: Path) -> Questions:
    """Read questions; the layout is told from the file's name and first line.

    Args:
        path: ``.csv`` as SWAG has it; JSON lines as OpenBookQA has them, or ``{"text": …,
            "choices": […], "label": 0}``; else values with tabs between, OpenBookQA's with their
            line of names, or CODAH's (category, text, four choices, answer).  ``.gz`` unpacks.

    Raises:
        InputError: rows are bad; all are listed.
    """
    suffix, problems = Path(path.name.removesuffix(".gz")).suffix, Problems(path)
    if suffix in JSON_LINES:
        objects = json_objects(read_lines(path), problems)
        found = [_checked(line, content, _of_object, problems) for line, content in objects]
    else:
        columns, parse = _layout(path, suffix)
        found = [_checked(row.line, row, parse, problems) for row in read_table(path, columns)]
    problems.raise_if_any("a text, two choices or more and the right one in each row")
    if not found:
        raise InputError(f"expected questions, {path} has none; give a file with data")
    kept = [question for question in found if question is not None]
    return Questions([(text, choices) for text, choices, _ in kept], [n for *_, n in kept])


def _layout(path: Path, suffix: str) -> tuple[tuple[str, ...], Callable[[Any], Question]]:
    if suffix == ".csv":
        return SWAG, _of_swag
    first = next((line.text for line in read_lines(path)), "")
    return (OPENBOOKQA, _of_openbookqa) if "Question Stem" in first else (CODAH, _of_codah)


def _checked(
    line: int, content: Any, parse: Callable[[Any], Question], problems: Problems
) -> Question | None:
    try:
        text, choices, answer = parse(content)
    except (KeyError, TypeError, ValueError) as error:
        problems.add(line, f"{type(error).__name__}: {error}")
        return None
    if not text.strip() or len(choices) < 2 or not all(choice.strip() for choice in choices):
        problems.add(line, f"a text {text!r:.40} and {len(choices)} choices, or an empty one")
    elif not 0 <= answer < len(choices):
        problems.add(line, f"the answer {answer} is none of 0 to {len(choices) - 1}")
    return text, choices, answer


def _of_swag(row: Row) -> Question:
    """Return the first sentence; a choice is the begun second one with an ending."""
    first, begun, *endings, label = row.values
    return first, tuple(f"{begun} {ending}" for ending in endings), int(label)


def _of_codah(row: Row) -> Question:
    text, *choices, answer = row.values
    return text, tuple(choices), int(answer)


def _of_openbookqa(row: Row) -> Question:
    stem, choices, key = row.values
    parts = LETTERED.split(choices)
    return stem, tuple(text.strip() for text in parts[2::2]), parts[1::2].index(key.strip())


def _of_object(content: dict[str, Any]) -> Question:
    if "question" not in content:
        text, choices, answer = content["text"], content["choices"], int(content["label"])
    else:
        question = content["question"]
        text, choices = question["stem"], [choice["text"] for choice in question["choices"]]
        answer = [choice["label"] for choice in question["choices"]].index(content["answerKey"])
    if not isinstance(text, str) or not all(isinstance(choice, str) for choice in choices):
        raise TypeError("text and choices must be strings")
    return text, tuple(choices), answer
