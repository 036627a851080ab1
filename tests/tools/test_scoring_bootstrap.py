"""The paired bootstrap against every resample there is, and against SciPy's."""

import itertools
import json

import numpy as np
import pytest

from bertfeat.errors import InputError
from bertfeat_tools.cli.evaluate import evaluate
from bertfeat_tools.scoring.bootstrap import mean_and_sd, mean_of, paired_bootstrap
from bertfeat_tools.scoring.lines import class_statistic, score_classes
from command_line import call


def mean_score(values):
    """The mean of some rows' values, as a statistic."""
    return lambda rows: {"mean": float(np.mean(np.asarray(values)[rows]))}


def test_it_equals_all_resamples_of_a_small_set():
    left, right = np.array([1.0, 0, 1, 1]), np.array([0.0, 1, 0, 1])
    found = paired_bootstrap(4, mean_score(left), mean_score(right), resamples=40_000)["mean"]
    every = np.array([
        np.mean((left - right)[list(rows)]) for rows in itertools.product(range(4), repeat=4)
    ])  # fmt: skip
    assert found.difference == np.mean(left - right)
    exact = np.mean(np.abs(every - found.difference) >= abs(found.difference) - 1e-12)
    assert found.p_value == pytest.approx(exact, abs=0.01)
    assert [found.low, found.high] == pytest.approx(np.quantile(every, [0.025, 0.975]))


def test_the_interval_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    left, right = np.random.default_rng(0).normal((0.3, 0), 1, (200, 2)).T
    found = paired_bootstrap(200, mean_score(left), mean_score(right), resamples=8000)["mean"]
    theirs = stats.bootstrap(
        (left, right), lambda a, b, axis=-1: a.mean(axis) - b.mean(axis), paired=True,
        method="percentile", n_resamples=8000, rng=np.random.default_rng(1),
    )  # fmt: skip
    assert [found.low, found.high] == pytest.approx(list(theirs.confidence_interval), abs=0.02)
    test = stats.ttest_rel(left, right)
    assert found.p_value == pytest.approx(test.pvalue, abs=0.02)


def test_a_seed_repeats_and_a_system_equals_itself():
    scores = mean_score(np.random.default_rng(2).random(30))
    others = mean_score(np.random.default_rng(3).random(30))
    assert paired_bootstrap(30, scores, others, resamples=50, seed=1) == paired_bootstrap(
        30, scores, others, resamples=50, seed=1
    )
    assert paired_bootstrap(30, scores, scores, resamples=50)["mean"] == (0, 0, 0, 1)


def test_rows_without_a_score_are_passed_over_unless_there_are_no_others():
    seldom = lambda rows: {"x": float(rows.mean()) if rows.min() == 0 else float("nan")}  # noqa: E731
    found = paired_bootstrap(3, seldom, seldom, resamples=50)["x"]
    assert found.p_value == 1
    never = lambda rows: {"x": float("nan")}  # noqa: E731
    assert paired_bootstrap(3, never, seldom, resamples=5) == {}
    once = lambda rows: {"x": 1.0 if len(set(rows.tolist())) == 30 else float("nan")}  # noqa: E731
    with pytest.raises(InputError, match="no resample"):
        paired_bootstrap(30, once, once, resamples=5)
    with pytest.raises(InputError, match="at least one row"):
        paired_bootstrap(0, never, never)


def test_runs_have_a_mean_and_a_sample_sd():
    assert mean_and_sd([{"a": 1.0}, {"a": 3.0}]) == {"a": {"mean": 2.0, "sd": np.sqrt(2)}}
    both = mean_of([mean_score([1, 2]), mean_score([3, 6])])
    assert both(np.array([1, 1])) == {"mean": 4.0}


@pytest.mark.parametrize("seed", range(3))
def test_a_selection_of_rows_scores_as_these_rows_alone(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    gold, predicted = rng.choice(list("abc"), (2, 20))
    rows = rng.integers(0, 20, 20)
    found = class_statistic(gold.tolist(), predicted.tolist(), "b")(rows)
    alone = score_classes(gold[rows].tolist(), predicted[rows].tolist(), "b")
    alone.pop("total")
    assert found == pytest.approx(alone)
    for name in ("precision", "recall", "f1"):
        theirs = getattr(metrics, f"{name}_score")
        right = theirs(gold[rows] == "b", predicted[rows] == "b", zero_division=0)
        assert found[name] == pytest.approx(right)


def test_an_unknown_positive_label_is_told():
    with pytest.raises(InputError, match="labels a, b"):
        score_classes(["a"], ["b"], "c")


@pytest.fixture
def labels(tmp_path):
    rng = np.random.default_rng(7)
    gold = rng.integers(0, 2, 60)
    files = {"gold": gold}
    for name, errors in (("good1", 5), ("good2", 6), ("bad1", 25), ("bad2", 27)):
        files[name] = np.where(rng.permutation(60) < errors, 1 - gold, gold)
    for name, values in files.items():
        (tmp_path / name).write_text("".join(f"{value}\n" for value in values))
    return tmp_path


def test_the_command_gives_mean_and_sd_of_runs_and_compares_them(labels):
    good, bad = [labels / "good1", labels / "good2"], [labels / "bad1", labels / "bad2"]
    arguments = [item for path in bad for item in ("--against", path)]
    done = call(evaluate, "classify", labels / "gold", *good, *arguments, "--resamples", 500)
    found = json.loads(done.out)
    accuracies = np.array([55, 54]) / 60
    assert found["accuracy"] == pytest.approx({
        "mean": accuracies.mean(), "sd": accuracies.std(ddof=1)
    })  # fmt: skip
    assert (found["runs"], found["total"]) == (2, 60)
    compared = found["against"]["accuracy"]
    assert compared["difference"] == pytest.approx(accuracies.mean() - 34 / 60)
    assert 0 < compared["low"] < compared["difference"] < compared["high"]
    assert compared["p_value"] < 0.01


def test_similarity_files_have_runs_too(tmp_path):
    rng = np.random.default_rng(0)
    gold = rng.random(40)
    for name, noise in (("gold", 0), ("a", 0.1), ("b", 0.2), ("c", 2)):
        values = gold + noise * rng.normal(size=40)
        (tmp_path / name).write_text("".join(f"{value}\n" for value in values))
    done = call(
        evaluate, "sts", tmp_path / "gold", tmp_path / "a", tmp_path / "b",
        "--against", tmp_path / "c", "--resamples", 200,
    )  # fmt: skip
    found = json.loads(done.out)
    assert found["spearman"]["mean"] > 0.8
    assert found["against"]["pearson"]["p_value"] < 0.05
