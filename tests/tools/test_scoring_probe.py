"""Probing: the layer that knows is found, scores are those of scikit-learn's own pipeline."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from bertfeat import Encoder
from bertfeat.errors import InputError
from bertfeat_tools.cli.evaluate import evaluate
from bertfeat_tools.scoring.layer_plot import Point, layer_plot
from bertfeat_tools.scoring.probe import baseline, check_labels, folds, probe_layers
from command_line import call, load_once

linear_model = pytest.importorskip("sklearn.linear_model")
model_selection = pytest.importorskip("sklearn.model_selection")
pipeline = pytest.importorskip("sklearn.pipeline")
preprocessing = pytest.importorskip("sklearn.preprocessing")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def models(monkeypatch):
    """Each model is loaded once for all commands of this process."""
    monkeypatch.setattr("bertfeat.api.load", load_once)


@pytest.fixture(scope="module")
def planted():
    """Noise in three layers, and in the middle one the labels too; and the labels."""
    rng = np.random.default_rng(0)
    labels = rng.choice(["a", "b", "c"], 90, p=[0.5, 0.3, 0.2])
    vectors = rng.normal(size=(90, 3, 6)).astype(np.float32)
    vectors[:, 1, 2] += 8 * (labels == "a")
    vectors[:, 1, 4] -= 8 * (labels == "b")
    vectors[:, 0, 5] = 7
    return vectors, labels.tolist()


def test_the_layer_that_knows_is_found(planted):
    vectors, labels = planted
    splits = folds(labels, 3, seed=1)
    found = list(probe_layers(vectors, [4, 5, 6], labels, splits))
    means = {one.layer: one.scores["accuracy"]["mean"] for one in found}
    assert means[5] > 0.95
    assert max(means[4], means[6]) < 0.6
    assert all(one.converged for one in found)


@pytest.mark.parametrize("c", [0.01, 1.0])
def test_scores_are_those_of_scikit_learns_own_cross_validation(planted, c):
    vectors, labels = planted
    found = list(probe_layers(vectors, [0, 1, 2], labels, folds(labels, 3, seed=1), c=[c]))
    theirs = pipeline.make_pipeline(
        preprocessing.StandardScaler(), linear_model.LogisticRegression(C=c, max_iter=1000)
    )
    parts = model_selection.StratifiedKFold(3, shuffle=True, random_state=1)
    for layer, one in enumerate(found):
        for name, scoring in (("accuracy", "accuracy"), ("mcc", "matthews_corrcoef")):
            scores = model_selection.cross_val_score(
                theirs, vectors[:, layer], labels, cv=parts, scoring=scoring
            )
            assert one.scores[name]["mean"] == pytest.approx(scores.mean(), abs=1e-6)
            assert one.scores[name]["sd"] == pytest.approx(scores.std(ddof=1), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_strength_is_chosen_as_a_grid_search_in_the_training_rows_does(seed):
    rng = np.random.default_rng(seed)
    labels, grid = rng.choice(["a", "b"], 120), [0.001, 0.01, 0.1, 1.0]
    vectors = rng.normal(size=(120, 1, 20)).astype(np.float32)
    vectors[:, 0, :3] += 0.7 * (labels == "a")[:, None]
    rows = np.arange(120)
    (found,) = probe_layers(vectors, [0], labels, [(rows[:90], rows[90:])], c=grid[::-1])
    search = model_selection.GridSearchCV(
        linear_model.LogisticRegression(max_iter=1000), {"C": grid},
        cv=model_selection.KFold(3, shuffle=True, random_state=0),
    )  # fmt: skip
    scaler = preprocessing.StandardScaler().fit(vectors[:90, 0])
    search.fit(scaler.transform(vectors[:90, 0]), labels[:90])
    assert found.c == (search.best_params_["C"],)
    right = search.score(scaler.transform(vectors[90:, 0]), labels[90:])
    assert found.scores["accuracy"]["mean"] == pytest.approx(right)


def test_the_baseline_always_gives_the_most_frequent_label(planted):
    _, labels = planted
    rows = np.arange(90)
    found = baseline(labels, [(rows[:60], rows[60:])])
    commonest = max(set(labels[:60]), key=labels[:60].count)
    assert found["accuracy"] == {"mean": pytest.approx(labels[60:].count(commonest) / 30)}
    assert found["mcc"] == {"mean": 0}


def test_labels_that_cannot_be_split_are_listed():
    with pytest.raises(InputError, match="fewer of b, c;"):
        folds(["a", "b", "a", "c", "a", "b"], 3, 0)
    with pytest.raises(InputError, match="all 2 rows have 'a'"):
        check_labels(["a", "a"])


def test_the_plot_stands_alone_and_shows_the_scores():
    points = [Point(0, 0.5), Point(3, 0.9, 0.02), Point(6, 0.7, 0.1)]
    picture = layer_plot(points, title="a < b & c", metric="accuracy", baseline=0.4)
    root = ElementTree.fromstring(picture)
    line = root.find(f"{SVG}polyline").get("points").split()
    xs, ys = np.array([place.split(",") for place in line], float).T
    assert np.allclose(np.diff(xs), xs[1] - xs[0])
    scores = np.array([point.score for point in points])
    slope = np.diff(ys) / np.diff(scores)
    assert slope == pytest.approx([slope[0]] * 2, rel=1e-2)
    assert slope[0] < 0
    bars = [one for one in root.iter(f"{SVG}line") if one.get("class") == "bar"]
    lengths = [float(bar.get("y1")) - float(bar.get("y2")) for bar in bars]
    assert lengths == pytest.approx([-slope[0] * 0.04, -slope[0] * 0.2], rel=2e-2)
    told = [one.text for one in root.iter(f"{SVG}title")]
    assert told == ["layer 0: 0.5000", "layer 3: 0.9000 ± 0.0200", "layer 6: 0.7000 ± 0.1000"]
    assert [one.text for one in root.iter(f"{SVG}text")][0] == "a < b & c"
    for attribute in ("href", "src=", "url(", "@import"):
        assert attribute not in picture


@pytest.fixture
def rows(tmp_path):
    """Texts whose label is whether a cat is in them."""
    rng = np.random.default_rng(1)
    words = ["the", "dog", "sat", "ran", "big", "red", "rain"]
    lines = ["text\tlabel"]
    for row in range(30):
        some = [*rng.choice(words, 4), *(["cat"] if row % 2 else [])]
        lines.append(f"{' '.join(rng.permutation(some))}\t{'cat' if row % 2 else 'none'}")
    (tmp_path / "rows.tsv").write_text("\n".join(lines))
    (tmp_path / "dev.tsv").write_text("\n".join([*lines[:1], *lines[20:]]))
    return tmp_path


def test_the_command_scores_every_layer(rows, tiny_bert):
    folder = tiny_bert(seed=8)
    arguments = (
        "--model",
        folder,
        "--folds",
        3,
        "--c",
        "1",
        "--plot",
        rows / "plot.html",
        "--quiet",
    )
    table = call(evaluate, "probe", rows / "rows.tsv", *arguments)
    found = json.loads(call(evaluate, "probe", rows / "rows.tsv", *arguments, "--json").out)
    assert [one["layer"] for one in found["layers"]] == [0, 1, 2]
    assert (found["rows"], found["classes"], found["splits"]) == (30, 2, 3)
    labels = [line.split("\t")[1] for line in (rows / "rows.tsv").read_text().splitlines()[1:]]
    texts = [line.split("\t")[0] for line in (rows / "rows.tsv").read_text().splitlines()[1:]]
    vectors = Encoder.load(folder).encode(texts, layers="all", combine="none")
    expected = list(probe_layers(vectors, [0, 1, 2], labels, folds(labels, 3, 0), c=[1]))
    for one, wanted in zip(found["layers"], expected, strict=True):
        assert one["mcc"] == pytest.approx(wanted.scores["mcc"], abs=0.05)
    lines = table.out.decode().splitlines()
    assert lines[0].split() == ["accuracy", "macro_f1", "mcc"]
    assert [line.split("\t")[0] for line in lines[1:5]] == [
        "most frequent label", "layer 0", "layer 1", "layer 2"
    ]  # fmt: skip
    assert f"{found['layers'][1]['accuracy']['mean']:.4f} ± " in lines[3]
    page = (rows / "plot.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert page.count("<circle") == 3


def test_rows_of_their_own_are_scored_and_layers_chosen(rows, tiny_bert):
    done = call(
        evaluate, "probe", rows / "rows.tsv", "--dev", rows / "dev.tsv", "--limit", 20,
        "--layers=-1,0", "--pooling", "cls", "--model", tiny_bert(seed=8), "--json",
    )  # fmt: skip
    found = json.loads(done.out)
    assert [one["layer"] for one in found["layers"]] == [2, 0]
    assert (found["rows"], found["splits"]) == (31, 1)
    assert set(found["layers"][0]["accuracy"]) == {"mean"}


@pytest.mark.parametrize(
    "arguments", [("--columns", "text"), ("--columns", "a,b,c,d"), ("--c", "0"), ("--c", "1,x")]
)
def test_wrong_usage(rows, arguments):
    assert call(evaluate, "probe", rows / "rows.tsv", *arguments).code == 2


def test_pairs_are_encoded_as_pairs(tmp_path, tiny_bert):
    lines = [f"{'cat' if n % 3 else 'dog'} sat\tthe {n}\t{n % 2}" for n in range(12)]
    (tmp_path / "pairs.tsv").write_text("\n".join(lines))
    done = call(
        evaluate, "probe", tmp_path / "pairs.tsv", "--columns", "1,2,3", "--folds", 2,
        "--model", tiny_bert(seed=8), "--json",
    )  # fmt: skip
    assert json.loads(done.out)["rows"] == 12
