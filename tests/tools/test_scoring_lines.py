"""Labels and similarities score as scikit-learn and SciPy have it."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bertfeat.errors import InputError
from bertfeat_tools.cli.evaluate import evaluate
from bertfeat_tools.scoring.lines import as_scores, read_pairs, score_classes, score_similarities


@pytest.mark.parametrize("seed", range(5))
def test_classes_equal_scikit_learn(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    gold, predicted = np.random.default_rng(seed).choice(list("abcd"), (2, 30)).tolist()
    found = score_classes(gold, predicted)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(gold, predicted))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(gold, predicted, average="macro"))
    assert found["mcc"] == pytest.approx(metrics.matthews_corrcoef(gold, predicted))


@pytest.mark.parametrize("seed", range(5))
def test_similarities_with_ties_equal_scipy(seed: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    gold, predicted = np.random.default_rng(seed).integers(0, 6, (2, 40)).astype(float)
    found = score_similarities(gold, predicted)
    assert found["spearman"] == pytest.approx(stats.spearmanr(gold, predicted).statistic)
    assert found["pearson"] == pytest.approx(stats.pearsonr(gold, predicted).statistic)


def test_one_class_only_has_no_correlation() -> None:
    assert score_classes(["a", "a"], ["a", "a"])["mcc"] == 0


def test_bad_lines_are_listed_together(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lines 2, 3"):
        as_scores(["1", "nan", "x"])
    (tmp_path / "a").write_text("1\n\n2\n\n3\n")
    with pytest.raises(InputError, match="lines 2, 4"):
        read_pairs(tmp_path / "a", tmp_path / "a")


def test_equal_scores_and_unequal_counts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="all of one file are equal"):
        score_similarities(np.ones(3), np.arange(3.0))
    (tmp_path / "a").write_text("1\n")
    (tmp_path / "b").write_text("1\n2\n")
    with pytest.raises(InputError, match="has 1 and"):
        read_pairs(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize(("command", "key"), [("classify", "accuracy"), ("sts", "spearman")])
def test_the_commands_read_both_files(tmp_path: Path, command: str, key: str) -> None:
    (tmp_path / "a").write_text("1\n2\n3\n")
    result = CliRunner().invoke(evaluate, [command, str(tmp_path / "a"), str(tmp_path / "a")])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)[key] == pytest.approx(1)
