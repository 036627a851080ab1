"""The CRF against every path spelled out, finite differences and pytorch-crf."""

import itertools

import numpy as np
import pytest

from bertfeat.engine.backend import load_keras
from bertfeat.ner import paths
from bertfeat.ner.paths import IMPOSSIBLE, Scores
from bertfeat.ner.schemes import allowed, labels_of


def case(seed, *, batch=3, length=5, tags=3, holes=True):
    """Random emissions (B, S, T), a mask with holes, scores and tags."""
    rng = np.random.default_rng(seed)
    emissions = 2 * rng.normal(size=(batch, length, tags))
    mask = rng.random((batch, length)) < 0.7
    if not holes:
        mask = np.arange(length) < rng.integers(1, length + 1, batch)[:, None]
    scores = Scores(rng.normal(size=tags), rng.normal(size=tags), rng.normal(size=(tags, tags)))
    return emissions, mask, scores, rng.integers(0, tags, (batch, length))


def every_path(emissions, scores):
    """All paths of one unmasked row with their scores, best first."""
    tags = emissions.shape[1]
    found = []
    for path in itertools.product(range(tags), repeat=len(emissions)):
        score = sum(emissions[place, tag] for place, tag in enumerate(path))
        if path:
            score += scores.start[path[0]] + scores.end[path[-1]]
        score += sum(scores.follow[a, b] for a, b in itertools.pairwise(path))
        found.append((path, score))
    return sorted(found, key=lambda pair: -pair[1])


def layer(scores, may=None):
    """A CRF layer with these scores."""
    load_keras()
    from bertfeat.ner.crf import CRF

    crf = CRF(len(scores.start), may)
    crf.build()
    for name in ("start", "end", "follow"):
        getattr(crf, name).assign(getattr(scores, name))
    return crf


@pytest.mark.parametrize(
    "seed", [*range(30), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(30, 1000))]
)
def test_sums_marginals_and_best_paths_equal_brute_force(seed):
    emissions, mask, scores, tags = case(seed)
    total, chances = (f(emissions, mask, scores) for f in (paths.log_partition, paths.marginals))
    best, several = paths.viterbi(emissions, mask, scores), paths.n_best(emissions, mask, scores, 4)
    likelihood = np.asarray(layer(scores)(emissions.astype(np.float32), tags, mask))
    for row, on in enumerate(mask):
        every = every_path(emissions[row, on], scores)
        values = np.array([score for _, score in every])
        expected = np.log(np.exp(values).sum())
        assert total[row] == pytest.approx(expected, abs=1e-9)
        shares = np.exp(values - expected)
        own = np.zeros((on.sum(), 3))
        for (path, _), share in zip(every, shares, strict=True):
            own[np.arange(len(path)), list(path)] += share
        np.testing.assert_allclose(chances[row][on], own, atol=1e-9)
        assert (chances[row][~on] == 0).all()
        assert tuple(best[row][on]) == every[0][0]
        assert (best[row][~on] == -1).all()
        assert [tuple(path.tags[on]) for path in several[row]] == [p for p, _ in every[:4]]
        scored = [path.score for path in several[row]]
        np.testing.assert_allclose(scored, values[:4] - expected, atol=1e-9)
        gold = dict(every)[tuple(tags[row][on])]
        assert likelihood[row] == pytest.approx(gold - expected if on.any() else 0, abs=2e-5)


def test_gradients_equal_finite_differences():
    load_keras()
    import tensorflow as tf

    emissions, mask, scores, tags = case(5)
    crf = layer(scores)
    x = tf.Variable(emissions.astype(np.float32))
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(crf(x, tags, mask))
    found = tape.gradient(value, [x, *(w.value for w in (crf.start, crf.end, crf.follow))])

    def likelihood(emissions, start, end, follow):
        given = Scores(start, end, follow)
        total = 0.0
        for row, on in enumerate(mask):
            every = dict(every_path(emissions[row, on], given))
            values = np.array(list(every.values()))
            total += every[tuple(tags[row][on])] - np.log(np.exp(values).sum())
        return total

    arrays = [emissions, scores.start, scores.end, scores.follow]
    for place, array in enumerate(arrays):
        for index in np.ndindex(array.shape):
            shifted = [a.copy() for a in arrays], [a.copy() for a in arrays]
            shifted[0][place][index] += 1e-5
            shifted[1][place][index] -= 1e-5
            slope = (likelihood(*shifted[0]) - likelihood(*shifted[1])) / 2e-5
            assert np.asarray(found[place])[index] == pytest.approx(slope, abs=1e-4)


def test_likelihoods_and_gradients_equal_pytorch_crf():
    torch = pytest.importorskip("torch")
    torchcrf = pytest.importorskip("torchcrf")
    load_keras()
    import tensorflow as tf

    emissions, mask, scores, tags = case(1, batch=6, length=9, tags=7, holes=False)
    crf = layer(scores)
    x = tf.Variable(emissions.astype(np.float32))
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(crf(x, tags, mask))
    other = torchcrf.CRF(7, batch_first=True).double()
    with torch.no_grad():
        other.start_transitions.copy_(torch.tensor(scores.start))
        other.end_transitions.copy_(torch.tensor(scores.end))
        other.transitions.copy_(torch.tensor(scores.follow))
    given = torch.tensor(emissions, requires_grad=True)
    expected = other(given, torch.tensor(tags), torch.tensor(mask))
    expected.backward()
    assert float(value) == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_allclose(tape.gradient(value, x), given.grad.numpy(), atol=1e-5)
    best = paths.viterbi(emissions, mask, scores)
    assert [list(row[on]) for row, on in zip(best, mask, strict=True)] == other.decode(
        given, torch.tensor(mask)
    )


def test_constraints_hold_in_decoding_and_in_training():
    labels = labels_of("XY", "IOBES")
    may = allowed(labels, "IOBES")
    emissions, mask, scores, _ = case(2, batch=8, length=7, tags=len(labels))
    free = paths.viterbi(emissions, mask, scores)
    bound = paths.viterbi(emissions, mask, scores.constrained(may))
    lawful = [
        not row.size or (may[0][row[0]] and may[1][row[-1]] and may[2][row[:-1], row[1:]].all())
        for found in (free, bound)
        for row in (r[on] for r, on in zip(found, mask, strict=True))
    ]
    assert all(lawful[8:])
    assert not all(lawful[:8])
    tags = np.where(bound < 0, 0, bound)
    x = emissions.astype(np.float32)
    among_all, among_lawful = (
        np.asarray(layer(scores, rule)(x, tags, mask)) for rule in (None, may)
    )
    assert (among_lawful > among_all).all()
    total = paths.log_partition(emissions, mask, scores.constrained(may))
    assert np.isfinite(total).all()
    assert all(
        path.score > IMPOSSIBLE / 2
        for row in paths.n_best(emissions, mask, scores.constrained(may), 50)
        for path in row
    )


def test_bfloat16_and_large_scores_stay_finite():
    load_keras()
    import tensorflow as tf

    emissions, mask, scores, tags = case(3)
    crf = layer(scores)
    x = tf.cast(1000 * emissions, tf.bfloat16)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_sum(crf(x, tags, mask))
    assert np.isfinite(float(value))
    assert np.isfinite(tf.cast(tape.gradient(value, x), tf.float32).numpy()).all()
    assert np.isfinite(paths.marginals(1000 * emissions, mask, scores)).all()
