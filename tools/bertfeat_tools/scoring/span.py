"""Exact match and F1 of answer spans, as SQuAD's own scripts count them.

The rules are those of ``evaluate-v1.1.py`` and ``evaluate-v2.0.py`` (Rajpurkar et al. 2016, 2018).
They differ: 1.1 counts a question without a prediction as wrong, 2.0 leaves it out of the mean.
Not here: CMRC, whose script counts characters.
"""

import json
import math
import re
import string
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bertfeat.errors import InputError

ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
PUNCTUATION = frozenset(string.punctuation)


class Question(NamedTuple):
    """A question's identifier and its accepted answers, none where it has no answer."""

    id: str
    answers: tuple[str, ...]


def read_questions(path: Path) -> tuple[list[Question], bool]:
    """Return a SQuAD file's questions and whether the file follows version 2.0.

    Raises:
        InputError: the file is not JSON or not laid out as SQuAD is.
    """
    try:
        articles = _read_json(path)["data"]
        entries = [
            entry for article in articles for part in article["paragraphs"] for entry in part["qas"]
        ]
        questions = [
            Question(entry["id"], tuple(answer["text"] for answer in entry["answers"]))
            for entry in entries
        ]
    except (KeyError, TypeError) as error:
        raise InputError(
            f"expected SQuAD's layout (data, paragraphs, qas, id, answers, text), {path} differs "
            f"at {error}; give the data set's own file"
        ) from error
    return questions, any("is_impossible" in entry for entry in entries)


def read_predictions(path: Path) -> dict[str, str]:
    """Return the answer text of each question's identifier.

    Raises:
        InputError: the file is not JSON or not an object of texts; every bad identifier is listed.
    """
    found = read_object(path, "answer text")
    bad = [name for name, text in found.items() if not isinstance(text, str)]
    if bad:
        raise InputError(
            f"expected a text for each identifier, {path} has something else for "
            f"{', '.join(bad)}; write an empty text for no answer"
        )
    return found


def read_object(path: Path, what: str) -> dict[str, Any]:
    """Return a JSON object of question identifiers to something.

    Raises:
        InputError: the file is not JSON, or holds something else.
    """
    found = _read_json(path)
    if not isinstance(found, dict):
        raise InputError(
            f"expected one JSON object of identifier to {what}, {path} holds a "
            f"{type(found).__name__}; write it as {path.name}"
        )
    return found


def score_spans(
    questions: list[Question], predictions: dict[str, str], version_2: bool
) -> dict[str, float | int]:
    """Return exact match and F1 in percent, and how many questions had no prediction.

    Version 2.0 adds both for questions with an answer and for those without.

    Raises:
        InputError: there is no question to score, or no prediction for any of them.
    """
    known = [question for question in questions if question.id in predictions]
    if not known:
        raise InputError(
            f"expected predictions for the data's {len(questions)} question(s), none of "
            f"{len(predictions)} identifier(s) is one of them; give the file of this data"
        )
    score = score_answer if version_2 else _score_1
    scores = {q.id: score(predictions[q.id], q.answers) for q in known}
    total = len(known) if version_2 else len(questions)
    found: dict[str, float | int] = _mean(list(scores.values()), total)
    if version_2:
        for kind, wanted in (("HasAns", True), ("NoAns", False)):
            part = [scores[q.id] for q in known if has_answer(q) is wanted]
            found.update({f"{kind}_{key}": value for key, value in _mean(part, len(part)).items()})
    return {**found, "missing": len(questions) - len(known)}


def span_statistic(
    questions: list[Question], predictions: dict[str, str], version_2: bool
) -> Callable[[NDArray[np.intp]], dict[str, float]]:
    """Return exact match and F1 of :func:`score_spans` as a function of the questions chosen.

    A part of them that none was predicted of, or that has none, scores NaN.

    Raises:
        InputError: there is no question to score, or no prediction for any of them.
    """
    score_spans(questions, predictions, version_2)
    score, absent = (score_answer, math.nan) if version_2 else (_score_1, 0.0)
    table = np.array([
        score(predictions[q.id], q.answers) if q.id in predictions else (absent, absent)
        for q in questions
    ])  # fmt: skip
    answered = np.array([has_answer(question) for question in questions])

    def mean(rows: NDArray[np.intp]) -> dict[str, float]:
        parts = {"": table[rows]}
        if version_2:
            kinds = {"HasAns_": answered[rows], "NoAns_": ~answered[rows]}
            parts |= {kind: table[rows][chosen] for kind, chosen in kinds.items()}
        return {
            f"{kind}{name}": value
            for kind, part in parts.items()
            for name, value in zip(("exact", "f1"), _percent(part), strict=True)
        }

    return mean


def has_answer(question: Question) -> bool:
    """Return whether SQuAD 2.0 takes the question for answerable: it has any answer listed."""
    return bool(question.answers)


def normalize_answer(text: str) -> str:
    """Lower the case, drop punctuation and articles, and join words by single blanks."""
    kept = "".join(char for char in text.lower() if char not in PUNCTUATION)
    return " ".join(ARTICLES.sub(" ", kept).split())


def token_f1(predicted: str, gold: str, empty_agrees: bool) -> float:
    """Return the F1 of two texts' bags of words.

    Args:
        predicted: the answer given.
        gold: an accepted answer.
        empty_agrees: as 2.0 has it, two texts without any word agree; in 1.1 they do not.
    """
    left, right = normalize_answer(predicted).split(), normalize_answer(gold).split()
    if empty_agrees and not (left and right):
        return float(left == right)
    same = sum((Counter(left) & Counter(right)).values())
    if not same:
        return 0.0
    precision, recall = same / len(left), same / len(right)
    return 2 * precision * recall / (precision + recall)


def _score_1(predicted: str, answers: tuple[str, ...]) -> tuple[float, float]:
    return _best(predicted, answers, empty_agrees=False)


def score_answer(predicted: str, answers: tuple[str, ...]) -> tuple[float, float]:
    """Return exact match and F1 of an answer as SQuAD 2.0 counts them; no answers = none right."""
    golds = tuple(answer for answer in answers if normalize_answer(answer)) or ("",)
    return _best(predicted, golds, empty_agrees=True)


def _best(predicted: str, golds: tuple[str, ...], empty_agrees: bool) -> tuple[float, float]:
    normal = normalize_answer(predicted)
    exact = max((float(normal == normalize_answer(gold)) for gold in golds), default=0.0)
    f1 = max((token_f1(predicted, gold, empty_agrees) for gold in golds), default=0.0)
    return exact, f1


def _percent(table: NDArray[np.float64]) -> list[float]:
    """Return the means of the rows that have scores, in percent; NaN where there are none."""
    known = table[~np.isnan(table).any(axis=1)]
    return (100 * known.mean(axis=0)).tolist() if len(known) else [math.nan, math.nan]


def _mean(scores: list[tuple[float, float]], total: int) -> dict[str, float | int]:
    if not total:
        return {"total": 0}
    exact, f1 = (100 * sum(column) / total for column in zip(*scores, strict=True))
    return {"exact": exact, "f1": f1, "total": total}


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"expected JSON in UTF-8, {path} is not: {error}; repair it") from error
