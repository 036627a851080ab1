"""``bertfeat models whiten``: mean 0, covariance 1, and a folder that everyone loads."""

import numpy as np
import pytest

from bertfeat import Encoder
from bertfeat.errors import InputError
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.embedding.whitening import whitening
from command_line import call

RNG = np.random.default_rng(0)
WORDS = ("the", "cat", "dog", "sat", "mat", "ran", "sun", "rain", "big", "red", "blue", "hello")
TEXTS = [" ".join(RNG.choice(WORDS, 5)) for _ in range(60)]


def test_whitened_vectors_have_mean_0_and_covariance_1():
    mixing = RNG.normal(size=(6, 6))
    vectors = RNG.normal(size=(500, 6)) @ mixing + 3
    layer = whitening(vectors.astype(np.float32))
    found = vectors @ layer.kernel + layer.bias
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(found.T, bias=True), np.eye(6), atol=1e-4)


def test_fewer_dimensions_are_the_widest():
    vectors = RNG.normal(size=(500, 4)) * np.array([0.1, 5, 1, 0.2])
    layer = whitening(vectors, 2)
    found = vectors @ layer.kernel + layer.bias
    assert abs(np.corrcoef(found[:, 0], vectors[:, 1])[0, 1]) > 0.99
    assert abs(np.corrcoef(found[:, 1], vectors[:, 2])[0, 1]) > 0.99


def test_too_few_texts_are_an_error():
    with pytest.raises(InputError, match="span 4 of 6; give more texts or fewer dimensions"):
        whitening(RNG.normal(size=(5, 6)))


def test_a_whitened_folder_gives_the_same_vectors_everywhere(tiny_bert, tmp_path):
    model, texts = tiny_bert(num_hidden_layers=1), tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS) + "\n\n")
    target = tmp_path / "white"
    done = call(bertfeat, "models", "whiten", model, target, "--texts", texts,
                "--dimensions", 5, "--quiet")  # fmt: skip
    assert done.code == 0, done.err
    assert "60 texts, 16 dimensions become 5" in done.err
    ours = Encoder.load(target).encode(TEXTS)
    np.testing.assert_allclose(ours.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(ours.T, bias=True), np.eye(5), atol=1e-2)
    again = call(bertfeat, "models", "whiten", model, target, "--texts", texts)
    assert again.code == 1
    others = pytest.importorskip("sentence_transformers")
    theirs = others.SentenceTransformer(str(target), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
