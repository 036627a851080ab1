"""Questions with contexts and answers, from files in SQuAD's layout (1.1, 2.0, CMRC 2018)."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.errors import InputError, listed
from bertfeat_tools.scoring.span import Question


@dataclass(frozen=True)
class SpanExample:
    """One question.

    Attributes:
        id: names it in files of predictions.
        question, context: the texts.
        answers: accepted ones; none where there is no answer.
        start: character of the first answer in the context; None where there is none.
    """

    id: str
    question: str
    context: str
    answers: tuple[str, ...]
    start: int | None


@dataclass(frozen=True)
class SpanExamples:
    """All questions of a file.

    Attributes:
        has_null: whether the file says of questions that they may have no answer.
    """

    rows: list[SpanExample]
    path: Path
    has_null: bool

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Question and context of each."""
        return [(row.question, row.context) for row in self.rows]

    @property
    def questions(self) -> list[Question]:
        """What is scored."""
        return [Question(row.id, row.answers) for row in self.rows]

    @property
    def digest(self) -> str:
        """Hash of all of it."""
        seen = hashlib.sha256()
        for row in self.rows:
            seen.update(json.dumps([row.id, row.question, row.context, row.start]).encode())
            seen.update(json.dumps(row.answers).encode())
        return seen.hexdigest()

    def drawn(self, count: int | None, seed: int) -> "SpanExamples":
        """Return so many questions drawn by a seed; all of them if there are no more."""
        if count is None or count >= len(self):
            return self
        chosen = np.random.default_rng(seed).permutation(len(self))[:count]
        return SpanExamples([self.rows[row] for row in chosen], self.path, self.has_null)


def read_spans(path: Path, *, answered: bool) -> SpanExamples:
    """Read a file in SQuAD's layout, ``.gz`` unpacked.

    Args:
        path: of the file.
        answered: whether each answer must stand where it says, as training needs it.

    Raises:
        InputError: the file is no such JSON, or questions are bad; all are listed.
    """
    bad: list[str] = []
    rows: dict[str, SpanExample] = {}
    has_null = False
    for where, context, entry in _entries(_read(path), path):
        has_null |= "is_impossible" in entry
        reasons = [*_wrong_texts(context, entry), *_wrong_answers(context, entry, answered)]
        if not reasons and entry["id"] in rows:
            reasons = ["its id stands before already"]
        if reasons:
            bad.append(f"{where} (id {entry.get('id')!r:.40}): {'; '.join(reasons)}")
        else:
            rows[entry["id"]] = _example(context, entry)
    if bad:
        raise InputError(
            f"{path}: {len(bad)} question(s) cannot be used; repair them:{listed(bad)}"
        )
    if not rows:
        raise InputError(f"expected questions, {path} has none; give a file with data")
    return SpanExamples(list(rows.values()), path, has_null)


def _read(path: Path) -> Any:
    try:
        data = path.read_bytes()
        return json.loads((gzip.decompress(data) if path.suffix == ".gz" else data).decode())
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"expected JSON in UTF-8, {path} is not: {error}; repair it") from error


def _entries(content: Any, path: Path) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield the place, context and entry of each question.

    Raises:
        InputError: the file is laid out otherwise.
    """
    where = "data"
    try:
        for a, article in enumerate(content["data"]):
            for p, part in enumerate(article["paragraphs"]):
                for q, entry in enumerate(part["qas"]):
                    where = f"data[{a}].paragraphs[{p}].qas[{q}]"
                    yield where, part["context"], dict(entry)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            "expected SQuAD's layout (data, paragraphs, context, qas, id, question, answers), "
            f"{path} differs after {where} at {error}; give the data set's own file"
        ) from error


def _wrong_texts(context: Any, entry: dict[str, Any]) -> Iterator[str]:
    texts = {"context": context, "question": entry.get("question"), "id": entry.get("id")}
    for name, text in texts.items():
        if not isinstance(text, str):
            yield f"{name} is {text!r:.40}, not a text"
        elif not text.strip():
            yield f"{name} is empty"


def _wrong_answers(context: Any, entry: dict[str, Any], answered: bool) -> Iterator[str]:
    answers = entry.get("answers", [])
    if not isinstance(answers, list) or not all(
        isinstance(one, dict) and isinstance(one.get("text"), str) for one in answers
    ):
        yield "answers is no list of objects with a text"
        return
    if not answered:
        return
    if bool(answers) == bool(entry.get("is_impossible", False)):
        yield "an answer though is_impossible" if answers else "no answer"
        return
    for one in answers[:1]:
        text, start = one["text"], one.get("answer_start")
        if not text.strip() or type(start) is not int or start < 0:
            yield f"no answer or no place: {text!r:.40} at {start!r:.20}"
        elif isinstance(context, str) and not context.startswith(text, start):
            yield f"{text!r:.40} does not stand at character {start}"


def _example(context: str, entry: dict[str, Any]) -> SpanExample:
    answers = [] if entry.get("is_impossible") else entry.get("answers", [])
    start = answers[0].get("answer_start") if answers else None
    return SpanExample(
        entry["id"], entry["question"], context, tuple(one["text"] for one in answers), start
    )
