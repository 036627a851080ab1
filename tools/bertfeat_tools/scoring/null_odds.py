"""Above which odds a question should be left without an answer: SQuAD 2.0's search."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bertfeat.errors import InputError, listed
from bertfeat_tools.scoring.span import Question, has_answer, read_object, score_answer


def read_null_odds(path: Path, questions: Sequence[Question]) -> dict[str, float]:
    """Return the odds of no answer of each question, as ``null_odds.json`` has them.

    Raises:
        InputError: the file is no object of numbers, or lacks a question; all bad ones are listed.
    """
    found = read_object(path, "number")
    bad = [
        question.id for question in questions if not isinstance(found.get(question.id), int | float)
    ]
    if bad:
        raise InputError(f"{path} has no number for {len(bad)} question(s):{listed(bad)}")
    return found


def best_thresholds(
    questions: Sequence[Question], predictions: Mapping[str, str], null_odds: Mapping[str, float]
) -> dict[str, float]:
    """Find the thresholds that give the highest scores, as ``evaluate-v2.0.py`` does.

    A question whose odds are above the threshold counts as left without an answer.  The scripts'
    rule for a question without answer is kept: the more a prediction has, the worse.

    Args:
        questions: all of the data.
        predictions: the answer of each, best without regard to whether there is one.
        null_odds: of each predicted question.

    Returns:
        ``best_exact`` and ``best_f1`` in percent, ``best_exact_thresh`` and ``best_f1_thresh``.
    """
    known = [question for question in questions if question.id in predictions]
    known.sort(key=lambda question: null_odds[question.id])
    without = sum(not has_answer(question) for question in questions)
    gains = np.array([_gains(question, predictions[question.id]) for question in known])
    found: dict[str, float] = {}
    for name, gain in zip(("exact", "f1"), gains.reshape(-1, 2).T, strict=True):
        # summed in the scripts' order: near ties are theirs, to the last bit
        totals = np.concatenate([[float(without)], gain]).cumsum()
        place = int(totals.argmax())
        found[f"best_{name}"] = 100 * float(totals[place]) / max(len(known), 1)
        found[f"best_{name}_thresh"] = null_odds[known[place - 1].id] if place else 0.0
    return found


def _gains(question: Question, predicted: str) -> tuple[float, float]:
    """Return what answering adds to exact match and F1 over leaving the question alone."""
    if has_answer(question):
        return score_answer(predicted, question.answers)
    return (-1.0, -1.0) if predicted else (0.0, 0.0)
