"""Similarities of a model's vectors, beside SciPy and sentence-transformers."""

import csv
import gzip
import json

import numpy as np
import pytest

from bertfeat import Encoder
from bertfeat.errors import InputError
from bertfeat_tools.cli.evaluate import evaluate
from bertfeat_tools.scoring.similarity import similarities
from command_line import call, load_once

TEXTS = (
    "the cat sat",
    "a dog ran in the rain",
    "hello world",
    "one big red mat",
    "it was not blue",
)


@pytest.fixture(autouse=True)
def models(monkeypatch):
    """Each model is loaded once for all commands of this process."""
    monkeypatch.setattr("bertfeat.api.load", load_once)


@pytest.fixture(scope="module")
def folder(tiny_bert):
    return tiny_bert(seed=4)


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.tsv"
    rows = [f"{a}\t{b}\t{len(a) - len(b) / 3}\n" for a in TEXTS for b in TEXTS[::-1]]
    path.write_text("sentence1\tsentence2\tscore\n" + "".join(rows))
    return path


def test_measures_equal_scipys_distances():
    distance = pytest.importorskip("scipy.spatial.distance")
    first, second = np.random.default_rng(0).normal(size=(2, 7, 5)).astype(np.float32)
    found = similarities(first, second)
    for row, (a, b) in enumerate(zip(first.astype(float), second.astype(float), strict=True)):
        assert found["cosine"][row] == pytest.approx(1 - distance.cosine(a, b))
        assert found["dot"][row] == pytest.approx(a @ b)
        assert found["euclid"][row] == pytest.approx(-distance.euclidean(a, b))
        assert found["manhattan"][row] == pytest.approx(-distance.cityblock(a, b))


def test_a_vector_of_zeros_is_told():
    with pytest.raises(InputError, match="pairs 1 have one"):
        similarities(np.eye(2), np.diag([1, 0]))


def test_the_command_scores_a_models_own_vectors(folder, pairs):
    stats = pytest.importorskip("scipy.stats")
    done = call(evaluate, "sts", pairs, "--model", folder, "--pooling", "cls", "--quiet")
    found = json.loads(done.out)
    rows = [line.split("\t") for line in pairs.read_text().splitlines()[1:]]
    encoder = Encoder.load(folder)
    left, right = (encoder.encode([row[at] for row in rows], pooling="cls") for at in (0, 1))
    gold = [float(row[2]) for row in rows]
    dot = (left.astype(float) * right).sum(axis=1)
    assert found["total"] == 25
    assert found["dot"]["spearman"] == pytest.approx(stats.spearmanr(gold, dot).statistic)
    assert found["dot"]["pearson"] == pytest.approx(stats.pearsonr(gold, dot).statistic)
    assert set(found) == {"cosine", "dot", "euclid", "manhattan", "total"}


@pytest.mark.parametrize(
    "arguments", [["--pooling", "none"], ["--dtype", "ubinary"], ["--against", "FILE"],
                  ["--columns", "a,b"]],
)  # fmt: skip
def test_what_cannot_be_compared_is_wrong_usage(folder, pairs, arguments):
    given = [str(pairs) if item == "FILE" else item for item in arguments]
    assert call(evaluate, "sts", pairs, "--model", folder, *given).code == 2


def test_bad_rows_are_listed(folder, tmp_path):
    (tmp_path / "a.csv").write_text("a,b,x\nc,d,1\ne,f,nan\n")
    done = call(evaluate, "sts", tmp_path / "a.csv", "--columns", "1,2,3", "--model", folder)
    assert done.code == 1
    assert "lines 1, 3 hold none" in done.err


@pytest.mark.data
@pytest.mark.model
@pytest.mark.slow
def test_the_default_model_scores_as_sentence_transformers_scores_it(data_dir, default_model):
    transformers = pytest.importorskip("sentence_transformers")
    evaluation = pytest.importorskip("sentence_transformers.evaluation")
    path = data_dir / "sts/stsb-en-dev.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        first, second, scores = zip(*csv.reader(file), strict=True)
    gold = [float(score) for score in scores]
    theirs = evaluation.EmbeddingSimilarityEvaluator(
        first, second, gold, main_similarity="cosine", similarity_fn_names=["cosine", "manhattan"]
    )(transformers.SentenceTransformer(str(default_model), device="cpu"))
    done = call(evaluate, "sts", path, "--columns", "1,2,3", "--model", default_model)
    found = json.loads(done.out)
    for measure in ("cosine", "manhattan"):
        for name in ("spearman", "pearson"):
            assert found[measure][name] == pytest.approx(theirs[f"{name}_{measure}"], abs=1e-4)
