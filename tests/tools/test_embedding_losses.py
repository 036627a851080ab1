"""Losses of sentence vectors and their gradients against sentence-transformers' own."""

import numpy as np
import pytest

from bertfeat.engine.backend import load_keras

RNG = np.random.default_rng(0)
VECTORS = [RNG.normal(size=(6, 8)).astype(np.float32) for _ in range(3)]
SCORES = np.array([0.1, 0.9, 0.4, 0.4, 1.0, 0.0], np.float32)
LABELS = np.array([1, 0, 1, 1, 0, 0], np.float32)
CASES = {
    "ranking": ("MultipleNegativesRankingLoss", 3, None, {}),
    "symmetric-ranking": ("MultipleNegativesSymmetricRankingLoss", 2, None, {}),
    "cosent": ("CoSENTLoss", 2, SCORES, {}),
    "cosine": ("CosineSimilarityLoss", 2, SCORES, {}),
    "triplet": ("TripletLoss", 3, None, {}),
    "contrastive": ("ContrastiveLoss", 2, LABELS, {}),
}


def ours(loss, count, targets):
    """Loss and gradients of the vectors."""
    load_keras()
    import tensorflow as tf

    given = [tf.Variable(v) for v in VECTORS[:count]]
    with tf.GradientTape() as tape:
        value = loss(given, tf.constant(LABELS if targets is None else targets))
    return float(value), [np.asarray(g) for g in tape.gradient(value, given)]


def theirs(name, count, targets):
    """The same of sentence-transformers, its model replaced by fixed vectors."""
    torch = pytest.importorskip("torch")
    losses = pytest.importorskip("sentence_transformers.losses")

    class Fixed(torch.nn.Module):
        def forward(self, features):
            return {"sentence_embedding": features["vectors"]}

        __getitem__ = similarity_fn_name = None

    given = [torch.tensor(v, requires_grad=True) for v in VECTORS[:count]]
    loss = getattr(losses, name)(Fixed())
    labels = None if targets is None else torch.tensor(targets)
    value = loss([{"vectors": v} for v in given], labels)
    value.backward()
    return value.item(), [v.grad.numpy() for v in given]


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", CASES)
def test_losses_and_gradients_equal_sentence_transformers(name):
    from bertfeat_tools.embedding.losses import LOSSES

    other, count, targets, _ = CASES[name]
    expected, slopes = theirs(other, count, targets)
    value, gradients = ours(LOSSES[name], count, targets)
    assert value == pytest.approx(expected, rel=1e-5)
    for got, slope in zip(gradients, slopes, strict=True):
        np.testing.assert_allclose(got, slope, atol=1e-5)


def test_matryoshka_sums_over_cut_vectors():
    from bertfeat_tools.embedding.losses import LOSSES, matryoshka

    whole, _ = ours(matryoshka(LOSSES["cosine"], [8, 4]), 2, SCORES)
    eight, _ = ours(LOSSES["cosine"], 2, SCORES)
    four, _ = ours(lambda v, t: LOSSES["cosine"]([x[:, :4] for x in v], t), 2, SCORES)
    assert whole == pytest.approx(eight + four)
