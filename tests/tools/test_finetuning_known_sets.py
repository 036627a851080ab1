"""Data sets by name: GLUE's files, submissions and diagnostic set, XNLI, learning curves."""

import json
from types import SimpleNamespace

import pytest

from bertfeat.errors import InputError
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.finetuning.known_sets import GLUE, TASKS, submission
from bertfeat_tools.scoring.diagnostic import score_diagnostic
from command_line import call

CLASSES = ["cat", "dog", "mat"]
ROWS = [(f"the {word} {more}", word) for word in CLASSES for more in ("sat", "ran", "and he", "is")]


@pytest.fixture(scope="module")
def model(tiny_bert):
    """A tiny encoder of one layer without dropout."""
    return tiny_bert(num_hidden_layers=1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def write(path, *rows):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("".join("\t".join(row) + "\n" for row in rows), "utf-8")
    return path


def says(*found):
    """A predictor that says these things, whatever it is asked, and notes it."""
    asked = []

    def predict(items):
        asked.extend(items)
        return [SimpleNamespace(label=label, score=score) for label, score in found]

    return SimpleNamespace(predict=predict, asked=asked)


def test_submissions_have_the_rows_numbers_and_the_tasks_labels(tmp_path):
    write(tmp_path / "test.tsv", ("index", "#1 ID", "#2 ID", "#1 String", "#2 String"),
          ("0", "7", "8", "a cat", "a dog"), ("1", "9", "9", "he ran", 'he "ran'))  # fmt: skip
    predictor = says(("1", 0.9), ("0", 0.8))
    lines = list(submission(GLUE["mrpc"], tmp_path, predictor))
    assert lines == ["index\tprediction", "0\t1", "1\t0"]
    assert predictor.asked == [("a cat", "a dog"), ("he ran", 'he "ran')]
    write(tmp_path / "test.tsv", ("index", "sentence"), ("0", "a cat"))
    assert list(submission(GLUE["cola"], tmp_path, says(("1", 0.7))))[1:] == ["0\t1"]
    write(tmp_path / "test.tsv", ("index", "genre", "sentence1", "sentence2"),
          *((str(n), "news", "a", "b") for n in range(3)))  # fmt: skip
    values = list(submission(GLUE["sts-b"], tmp_path, says((None, 5.2), (None, -1.0), (None, 2.5))))
    assert values[1:] == ["0\t5.000", "1\t0.000", "2\t2.500"]


def test_glues_tasks_name_their_files_of_predictions():
    names = {
        "CoLA",
        "SST-2",
        "MRPC",
        "STS-B",
        "QQP",
        "MNLI-m",
        "MNLI-mm",
        "QNLI",
        "RTE",
        "WNLI",
        "AX",
    }
    assert {task.submission for task in GLUE.values()} == names
    assert GLUE["mnli-mm"].test == "test_mismatched.tsv" and "xnli" not in GLUE


def test_xnli_is_read_in_one_language_with_one_name_for_each_label(tmp_path):
    write(tmp_path / "multinli" / "multinli.train.zh.tsv", ("premise", "hypo", "label"),
          ("他 来", "他 走", "contradictory"), ("他 来", "他 来", "entailment"))  # fmt: skip
    write(tmp_path / "xnli.dev.tsv", ("language", "gold_label", "sentence1", "sentence2"),
          ("de", "neutral", "ja", "nein"), ("zh", "contradiction", "他来了", "他走了"))  # fmt: skip
    train, dev = TASKS["xnli"].read(tmp_path, "zh")
    assert train.labels == ["contradiction", "entailment"]
    assert (dev.items, dev.labels, dev.lines) == ([("他来了", "他走了")], ["contradiction"], [3])
    write(tmp_path / "multinli" / "multinli.train.fr.tsv", ("premise", "hypo", "label"),
          ("a", "b", "neutral"))  # fmt: skip
    with pytest.raises(InputError, match="no rows whose language is fr"):
        TASKS["xnli"].read(tmp_path, "fr")


def test_the_diagnostic_set_is_scored_by_category(tmp_path):
    sk = pytest.importorskip("sklearn.metrics")
    e, n, c = "entailment", "neutral", "contradiction"
    gold = [e, n, c, e, n, c]
    guessed = [e, n, e, n, n, c]
    kinds = [("", "Negation;Double negation"), ("", "Negation"), ("Quantifiers", "Negation"),
             ("Quantifiers", ""), ("Quantifiers", ""), ("", "")]  # fmt: skip
    names = ("Lexical Semantics", "Predicate-Argument Structure", "Logic", "Knowledge", "Premise",
             "Hypothesis", "Label")  # fmt: skip
    write(tmp_path / "full.tsv", names,
          *((lexical, "", logic, "", "p", "h", label)
            for (lexical, logic), label in zip(kinds, gold, strict=True)))  # fmt: skip
    write(tmp_path / "AX.tsv", ("index", "prediction"),
          *((str(row), label) for row, label in enumerate(guessed)))  # fmt: skip
    found = score_diagnostic(tmp_path / "full.tsv", tmp_path / "AX.tsv")
    assert set(found) == {"All", "Logic", "Logic: Negation", "Logic: Double negation",
                          "Lexical Semantics", "Lexical Semantics: Quantifiers"}  # fmt: skip
    assert found["All"]["mcc"] == pytest.approx(sk.matthews_corrcoef(gold, guessed))
    assert found["Logic"]["mcc"] == pytest.approx(sk.matthews_corrcoef(gold[:3], guessed[:3]))
    quantifiers = found["Lexical Semantics: Quantifiers"]
    assert (quantifiers["total"], quantifiers["accuracy"]) == (3, pytest.approx(1 / 3))
    done = call(bertfeat, "evaluate", "diagnostic", tmp_path / "full.tsv", tmp_path / "AX.tsv")
    assert json.loads(done.out) == found
    write(tmp_path / "AX.tsv", ("index", "prediction"), ("0", e))
    with pytest.raises(InputError, match=r"each of the 6 rows .* has 1"):
        score_diagnostic(tmp_path / "full.tsv", tmp_path / "AX.tsv")


def test_a_learning_curve_sets_fine_tuning_beside_a_frozen_probe(tmp_path, model):
    pytest.importorskip("sklearn")
    for name, rows in (("train", ROWS * 2), ("dev", ROWS)):
        write(tmp_path / f"{name}.tsv", ("text", "label"), *rows)
    arguments = (
        "train", "classify", "--train", tmp_path / "train.tsv", "--dev", tmp_path / "dev.tsv",
        "--columns", "text,label", "--model", model, "--output", tmp_path / "out", "--quiet",
        "--learning-rate", 0.01, "--epochs", 3, "--batch-size", 4, "--seeds", 2,
    )  # fmt: skip
    done = call(bertfeat, *arguments, "--learning-curve", "24,5")
    assert done.code == 0, done.err
    few, all_rows = json.loads(done.out)["learning_curve"]
    assert (few["rows"], all_rows["rows"]) == (5, 24)
    for kind in ("frozen", "fine_tuned"):
        assert all_rows[kind]["accuracy"]["mean"] >= few[kind]["accuracy"]["mean"] > 0
        assert set(few[kind]["accuracy"]) == {"mean", "sd"}
    # classes that were not drawn are known all the same
    config = json.loads((tmp_path / "out" / "rows-5" / "model" / "config.json").read_text())
    assert sorted(config["label2id"]) == CLASSES
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == json.loads(done.out)
    wrong = call(bertfeat, *arguments, "--learning-curve", "x")
    assert wrong.code == 2 and "50,100,500" in wrong.err
    wrong = call(bertfeat, *arguments, "--learning-curve", "5", "--problem", "multi")
    assert wrong.code == 2


def test_training_starts_from_a_model_of_another_task(tmp_path, tiny_bert):
    start = tiny_bert(heads=("pooler", "classifier"), num_labels=5, num_hidden_layers=1)
    for name, rows in (("train", ROWS), ("dev", ROWS)):
        write(tmp_path / f"{name}.tsv", ("sentence", "label"), *rows)
    write(tmp_path / "test.tsv", ("index", "sentence"), ("0", "the cat sat"))
    done = call(bertfeat, "train", "classify", "--task", "sst-2", "--data", tmp_path, "--model",
                start, "--output", tmp_path / "out", "--epochs", 1, "--quiet")  # fmt: skip
    assert done.code == 0, done.err
    told = call(
        bertfeat, "predict", tmp_path / "out", "--task", "sst-2", "--data", tmp_path, "--quiet"
    )
    header, row = told.out.decode().splitlines()
    assert header == "index\tprediction" and row.split("\t")[1] in CLASSES
    assert call(bertfeat, "predict", tmp_path / "out", "--task", "sst-2").code == 2
