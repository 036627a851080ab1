"""The torch twin of our tagger is a fair peer: it learns, and padding changes nothing."""

import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchcrf")
pytest.importorskip("seqeval")
from torch_tagging import Network, batch_of, batches, train  # noqa: E402

WORDS = {"in": "O", "paul": "B-X", "jones": "I-X", "rome": "B-Y"}
VECTORS = {
    word: np.random.default_rng(place).normal(scale=4, size=(3, 8)).astype(np.float16)
    for place, word in enumerate(WORDS)
}


def sentences(count, seed):
    rng = np.random.default_rng(seed)
    parts = (["in"], ["paul", "jones"], ["rome"])
    for _ in range(count):
        words = [w for n in rng.integers(0, 3, rng.integers(1, 5)) for w in parts[n]]
        yield np.stack([VECTORS[word] for word in words]), [WORDS[word] for word in words]


@pytest.mark.slow
def test_it_learns():
    torch.manual_seed(0)
    random.seed(0)
    parts = [list(sentences(192, 0)), list(sentences(16, 1))]
    vectors = [[vectors for vectors, _ in part] for part in parts]
    tags = [[tags for _, tags in part] for part in parts]
    found = train(vectors, tags, [1, 2], True, 30, 10)
    assert found["f1"] > 0.95 and found["epochs"] <= 30


def test_padding_changes_no_score():
    torch.manual_seed(0)
    network = Network((2, 8), 4, False).eval()
    rows = [vectors for vectors, _ in sentences(3, 2)]
    together = batch_of(rows, [[0] * len(row) for row in rows], [0, 1])
    scores = network(together["vectors"], together["mask"])
    for place, row in enumerate(rows):
        alone = batch_of([row], [[0] * len(row)], [0, 1])
        own = network(alone["vectors"], alone["mask"])[0]
        torch.testing.assert_close(scores[place, : len(row)], own, atol=1e-6, rtol=1e-5)


def test_an_epoch_has_each_sentence_once():
    lengths = [3, 1, 4, 1, 5, 9, 2]
    found = list(batches(lengths, 3))
    assert sorted(n for batch in found for n in batch) == list(range(7))
    assert sorted(map(len, found)) == [1, 3, 3]
