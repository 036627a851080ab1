"""Thresholds of null odds are those of a plain restatement of SQuAD 2.0's search."""

import json

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from bertfeat.errors import InputError
from bertfeat_tools.cli.evaluate import evaluate
from bertfeat_tools.scoring.null_odds import best_thresholds, read_null_odds
from bertfeat_tools.scoring.span import Question, score_answer

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["", "red cat", "the cat", "dog"]),  # predicted
        st.sampled_from([(), ("cat",), ("a red cat", "dog")]),  # accepted
        st.integers(-3, 3),  # odds, with ties
    ),
    min_size=1,
    max_size=12,
)


def plain_search(rows, which):
    """Raise the threshold question by question and remember the best place."""
    score = best = sum(not accepted for _, accepted, _ in rows)
    threshold = 0.0
    for predicted, accepted, odds in sorted(rows, key=lambda row: row[2]):
        if accepted:
            score += score_answer(predicted, accepted)[which]
        elif predicted:
            score -= 1
        if score > best:
            best, threshold = score, odds
    return 100 * best / len(rows), threshold


NEAR_TIE = [("", (), 0)] * 4 + [("red cat", (), 0)] * 2 + [
    ("red cat", ("cat",), 0), ("red cat", ("cat",), 0), ("red cat", ("cat",), 1)
]  # fmt: skip


@given(ROWS)
@example(NEAR_TIE)
def test_thresholds_are_those_of_the_plain_search(rows):
    questions = [Question(str(n), accepted) for n, (_, accepted, _) in enumerate(rows)]
    predictions = {str(n): predicted for n, (predicted, _, _) in enumerate(rows)}
    found = best_thresholds(questions, predictions, {str(n): r[2] for n, r in enumerate(rows)})
    for which, name in enumerate(("exact", "f1")):
        best, threshold = plain_search(rows, which)
        assert found[f"best_{name}"] == pytest.approx(best)
        assert found[f"best_{name}_thresh"] == threshold


def test_the_command_prints_them_and_lists_missing_odds(tmp_path):
    entries = [{"id": name, "question": "?", "is_impossible": not answers,
                "answers": [{"text": text, "answer_start": 0} for text in answers]}
               for name, answers in (("a", ["cat"]), ("b", []), ("c", ["dog"]))]  # fmt: skip
    data = {"version": "2.0", "data": [{"paragraphs": [{"context": "x", "qas": entries}]}]}
    files = {"data": data, "predictions": {"a": "cat", "b": "cat", "c": "cat"},
             "odds": {"a": -2.0, "b": 1.0, "c": 3.0}, "short": {"a": "high", "b": 1.0}}  # fmt: skip
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    arguments = ["span", str(tmp_path / "data"), str(tmp_path / "predictions"), "--null-odds"]
    found = json.loads(CliRunner().invoke(evaluate, [*arguments, str(tmp_path / "odds")]).output)
    assert found["exact"] == pytest.approx(100 / 3)
    assert found["best_exact"] == pytest.approx(200 / 3)
    assert found["best_exact_thresh"] == -2.0
    questions = [Question(name, ()) for name in "abc"]
    with pytest.raises(InputError, match=r"no number for 2 question\(s\):\n  a\n  c"):
        read_null_odds(tmp_path / "short", questions)
