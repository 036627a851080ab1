"""The optimizers against PyTorch's and against plain restatements; the rates over the steps."""

import numpy as np
import pytest

from bertfeat.engine.backend import load_keras

STEPS, RATE, DECAY = 20, 1e-2, 0.1


@pytest.fixture(scope="module")
def gradients():
    """Gradients of a kernel (3, 4) and a bias (4,) for each step, some of them large."""
    rng = np.random.default_rng(0)
    scales = rng.uniform(0.01, 3, STEPS)
    return [(s * rng.normal(size=(3, 4)), s * rng.normal(size=4)) for s in scales]


def ours(kind, gradients, **options):
    """The weights after all gradients, float32."""
    load_keras()
    import keras

    from bertfeat_tools.training.optimizers import OPTIMIZERS, Schedule

    rng = np.random.default_rng(1)
    kernel, bias = (
        keras.Variable(rng.normal(size=shape), dtype="float32", name=name)
        for shape, name in (((3, 4), "kernel"), ((4,), "bias"))
    )
    make, constants = OPTIMIZERS[kind]
    options = {"weight_decay": DECAY, **constants, **options}
    rate = Schedule(RATE, STEPS, 5, "linear", google=kind == "google")
    optimizer = make(rate, **options)
    optimizer.build([kernel, bias])
    for pair in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(g, "float32") for g in pair], [kernel, bias])
    return np.asarray(kernel.value), np.asarray(bias.value)


def clipped(pair):
    """The gradients with a global norm of at most 1."""
    norm = np.sqrt(sum(np.sum(g**2) for g in pair))
    return [g / max(norm, 1.0) for g in pair]


def google(gradients):
    """google-research/bert optimization.py in plain NumPy, float64."""
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=(3, 4)), rng.normal(size=4)]
    m, v = [0, 0], [0, 0]
    for step, pair in enumerate(gradients):
        rate = RATE * step / 5 if step < 5 else RATE * (1 - step / STEPS)
        for i, g in enumerate(clipped(pair)):
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g**2
            update = m[i] / (np.sqrt(v[i]) + 1e-6)
            if i == 0:
                update = update + DECAY * weights[i]
            weights[i] = weights[i] - rate * update
    return weights


def lamb(gradients):
    """You et al. 2020, algorithm 2, in plain NumPy, float64."""
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=(3, 4)), rng.normal(size=4)]
    m, v = [0, 0], [0, 0]
    for step, pair in enumerate(gradients):
        rate = RATE * step / 5 if step < 5 else RATE * (STEPS - step) / (STEPS - 5)
        for i, g in enumerate(clipped(pair)):
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g**2
            update = m[i] / (1 - 0.9 ** (step + 1))
            update = update / (np.sqrt(v[i] / (1 - 0.999 ** (step + 1))) + 1e-6)
            if i == 0:
                update = update + DECAY * weights[i]
                update = update * np.linalg.norm(weights[i]) / np.linalg.norm(update)
            weights[i] = weights[i] - rate * update
    return weights


@pytest.mark.parametrize(("kind", "oracle"), [("google", google), ("lamb", lamb)])
def test_an_optimizer_equals_its_plain_restatement(kind, oracle, gradients):
    for got, expected in zip(ours(kind, gradients), oracle(gradients), strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-6)


def test_adamw_equals_torchs(gradients):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    rng = np.random.default_rng(1)
    kernel, bias = (
        torch.nn.Parameter(torch.tensor(rng.normal(size=shape), dtype=torch.float32))
        for shape in ((3, 4), (4,))
    )
    groups = [
        {"params": [kernel], "weight_decay": DECAY}, {"params": [bias], "weight_decay": 0.0},
    ]  # fmt: skip
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, 5, STEPS)
    for pair in gradients:
        kernel.grad, bias.grad = (torch.tensor(g, dtype=torch.float32) for g in pair)
        torch.nn.utils.clip_grad_norm_([kernel, bias], 1.0)
        optimizer.step()
        schedule.step()
    found = ours("adamw", gradients)
    np.testing.assert_allclose(found[0], kernel.detach().numpy(), atol=2e-6)
    np.testing.assert_allclose(found[1], bias.detach().numpy(), atol=2e-6)


@pytest.mark.parametrize("kind", ["google", "adamw", "lamb"])
def test_accumulated_gradients_move_the_weights_as_their_mean_does(kind, gradients):
    load_keras()
    import keras

    from bertfeat_tools.training.optimizers import OPTIMIZERS, Schedule

    make, constants = OPTIMIZERS[kind]
    found = []
    for accumulation in (1, 2):
        weight = keras.Variable(np.ones((3, 4)), dtype="float32", name="kernel")
        rate = Schedule(RATE, 5, 2, "cosine", accumulation)
        optimizer = make(rate, accumulation=accumulation, **constants)
        optimizer.build([weight])
        pairs = [kernel for kernel, _ in gradients[:10]]
        if accumulation == 1:
            pairs = [(a + b) / 2 for a, b in zip(pairs[::2], pairs[1::2], strict=True)]
        for gradient in pairs:
            optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [weight])
        found.append(np.asarray(weight.value))
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def test_rates_rise_and_fall():
    load_keras()
    from bertfeat_tools.training.optimizers import Schedule

    def rates(*arguments, **options):
        schedule = Schedule(*arguments, **options)
        return [round(float(schedule(step)), 6) for step in range(10)]

    assert rates(1.0, 10, 5) == [0, 0.2, 0.4, 0.6, 0.8, 1, 0.8, 0.6, 0.4, 0.2]
    assert rates(1.0, 10, 5, google=True) == [0, 0.2, 0.4, 0.6, 0.8, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert rates(1.0, 10, 0, "constant") == [1] * 10
    assert rates(1.0, 5, 0, accumulation=2) == [1, 1, 0.8, 0.8, 0.6, 0.6, 0.4, 0.4, 0.2, 0.2]
    assert rates(1.0, 10, 0, "cosine")[5] == 0.5
