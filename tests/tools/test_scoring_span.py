"""Spans score as SQuAD's scripts have it: their rules, worked by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from bertfeat.errors import InputError
from bertfeat_tools.cli.evaluate import evaluate
from bertfeat_tools.scoring.span import (
    Question,
    normalize_answer,
    read_predictions,
    score_spans,
    span_statistic,
    token_f1,
)

QUESTIONS = [
    Question("a", ("the Eiffel Tower", "Eiffel")),
    Question("b", ("in 1999",)),
    Question("c", ()),
    Question("d", ("never predicted",)),
]
PREDICTIONS = {"a": "Eiffel Tower!", "b": "1999", "c": "something"}


def test_version_1_counts_a_missing_prediction_as_wrong() -> None:
    found = score_spans(QUESTIONS, PREDICTIONS, version_2=False)
    assert found == pytest.approx(
        {"exact": 25.0, "f1": 100 * (1 + 2 / 3) / 4, "total": 4, "missing": 1}
    )


def test_version_2_leaves_it_out_and_splits_by_answerability() -> None:
    found = score_spans(QUESTIONS, PREDICTIONS, version_2=True)
    assert found["exact"] == pytest.approx(100 / 3)
    assert found["HasAns_f1"] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert (found["NoAns_exact"], found["NoAns_total"], found["missing"]) == (0.0, 1, 1)


def test_no_answer_is_right_where_there_is_none_in_version_2_only() -> None:
    assert score_spans([Question("c", ())], {"c": ""}, version_2=True)["f1"] == 100
    assert score_spans([Question("c", ())], {"c": ""}, version_2=False)["f1"] == 0


def test_articles_and_punctuation_do_not_count() -> None:
    assert normalize_answer("The  U.S.A., an  Answer") == "usa answer"


@pytest.mark.parametrize(
    ("predicted", "gold", "in_1", "in_2"),
    [
        ("", "", 0.0, 1.0),
        ("the", "a", 0.0, 1.0),
        ("", "Paris", 0.0, 0.0),
        ("Paris Paris", "Paris", 2 / 3, 2 / 3),
        ("big old red house", "the red house", 2 / 3, 2 / 3),
    ],
)
def test_f1_counts_words_once_each(predicted: str, gold: str, in_1: float, in_2: float) -> None:
    assert token_f1(predicted, gold, empty_agrees=False) == pytest.approx(in_1)
    assert token_f1(predicted, gold, empty_agrees=True) == pytest.approx(in_2)


@given(st.text("abthe .,\u00e9", max_size=12), st.text("abthe .,\u00e9", max_size=12))
def test_f1_is_symmetric_and_whole_for_equal_texts(predicted: str, gold: str) -> None:
    forth = token_f1(predicted, gold, empty_agrees=True)
    assert forth == pytest.approx(token_f1(gold, predicted, empty_agrees=True))
    assert token_f1(gold, gold, empty_agrees=True) == 1


def test_predictions_of_other_data_are_refused() -> None:
    with pytest.raises(InputError, match="none of 1 identifier"):
        score_spans(QUESTIONS, {"z": "text"}, version_2=True)


def test_every_bad_prediction_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "predictions.json"
    path.write_text(json.dumps({"a": 1, "b": "text", "c": None}))
    with pytest.raises(InputError, match="a, c"):
        read_predictions(path)


def test_the_command_reads_both_files(tmp_path: Path) -> None:
    entry = {"id": "a", "is_impossible": False, "answers": [{"text": "Paris"}]}
    data = {"data": [{"paragraphs": [{"qas": [entry]}]}]}
    (tmp_path / "data.json").write_text(json.dumps(data))
    (tmp_path / "out.json").write_text(json.dumps({"a": "paris"}))
    paths = [str(tmp_path / "data.json"), str(tmp_path / "out.json")]
    result = CliRunner().invoke(evaluate, ["span", *paths])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["HasAns_exact"] == 100


@pytest.mark.parametrize("version_2", [False, True])
def test_all_questions_chosen_score_as_the_whole_does(version_2: bool) -> None:
    questions = [*QUESTIONS, Question("none", ()), Question("unasked", ("x",))]
    predictions = {q.id: (q.answers or ("a guess",))[0] for q in questions[:-1]}
    predictions[QUESTIONS[0].id] += " and more"
    whole = score_spans(questions, predictions, version_2)
    statistic = span_statistic(questions, predictions, version_2)
    found = statistic(np.arange(len(questions)))
    assert found == pytest.approx({name: whole[name] for name in found})
    assert ("HasAns_f1" in found) is version_2
    assert statistic(np.array([1, 1]))["exact"] == 100
    if version_2:
        assert np.isnan(statistic(np.array([1, 1]))["NoAns_exact"])
        assert np.isnan(statistic(np.array([len(questions) - 1]))["f1"])


def test_runs_of_answers_are_compared(tmp_path: Path) -> None:
    entries = [
        {"id": str(n), "is_impossible": False, "answers": [{"text": "Paris"}]} for n in range(20)
    ]
    data = {"data": [{"paragraphs": [{"qas": entries}]}]}
    (tmp_path / "data.json").write_text(json.dumps(data))
    for name, right in (("a", 18), ("b", 16), ("c", 4)):
        answers = {str(n): "Paris" if n < right else "Rome" for n in range(20)}
        (tmp_path / name).write_text(json.dumps(answers))
    paths = [str(tmp_path / name) for name in ("data.json", "a", "b")]
    against = ["--against", str(tmp_path / "c"), "--resamples", "200"]
    result = CliRunner().invoke(evaluate, ["span", *paths, *against])
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["exact"] == pytest.approx({"mean": 85, "sd": np.std([90, 80], ddof=1)})
    assert found["against"]["f1"]["difference"] == pytest.approx(65)
    assert found["against"]["f1"]["p_value"] < 0.05
