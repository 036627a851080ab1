"""The recurrent layers against PyTorch's, with masks, and the mix of layers against AllenNLP's."""

import numpy as np
import pytest

from bertfeat.engine.backend import load_keras

UNITS, WIDTH = 4, 6


@pytest.fixture
def rows():
    """Rows (B, S, I) and a mask that leaves each its first positions."""
    rng = np.random.default_rng(0)
    lengths = np.array([7, 3, 1, 5])
    return rng.normal(size=(4, 7, WIDTH)).astype(np.float32), np.arange(7) < lengths[:, None]


def made(kind, seed=0):
    """A layer with random weights."""
    load_keras()
    from bertfeat.ner.recurrent import Bidirectional

    layer = Bidirectional(UNITS, kind)
    layer.build((None, None, WIDTH))
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        if weight.dtype == "float32":
            weight.assign(rng.normal(0, 0.5, weight.shape))
    return layer


def torch_twin(layer, kind):
    """PyTorch's module with the layer's weights; its gates stand in another order."""
    torch = pytest.importorskip("torch")
    order = [0, 1, 3, 2] if kind == "lstm" else [0, 1, 2]

    def gates(array):
        parts = np.split(np.asarray(array), len(order), axis=-1)
        return torch.tensor(np.concatenate([parts[place] for place in order], axis=-1))

    twin = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](
        WIDTH, UNITS, batch_first=True, bidirectional=True
    )
    weights = {name: np.split(np.asarray(getattr(layer, name).value), 2, axis=-1)
               for name in ("kernel", "bias")}  # fmt: skip
    with torch.no_grad():
        for side, end in enumerate(("", "_reverse")):
            own = dict(twin.named_parameters())
            own[f"weight_ih_l0{end}"].copy_(gates(weights["kernel"][side]).T)
            own[f"weight_hh_l0{end}"].copy_(gates(layer.recurrent_kernel.value[side]).T)
            own[f"bias_ih_l0{end}"].copy_(gates(weights["bias"][side]))
            inner = layer.recurrent_bias.value[side][0] if kind == "gru" else np.zeros(4 * UNITS)
            own[f"bias_hh_l0{end}"].copy_(gates(np.asarray(inner, np.float32)))
    return twin


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_outputs_and_gradients_equal_pytorchs(kind, rows):
    torch = pytest.importorskip("torch")
    import tensorflow as tf

    x, mask = rows
    layer = made(kind)
    given = tf.Variable(x)
    with tf.GradientTape() as tape:
        found = layer(given, mask)
        value = tf.reduce_sum(found**2)
    twin, other = torch_twin(layer, kind), torch.tensor(x, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        other, torch.tensor(mask.sum(1)), batch_first=True, enforce_sorted=False
    )
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(twin(packed)[0], batch_first=True)
    (expected**2).sum().backward()
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-5)
    gradient, of_recurrent = tape.gradient(value, [given, layer.recurrent_kernel.value])
    np.testing.assert_allclose(gradient, other.grad.numpy(), atol=1e-5)
    first = twin.weight_hh_l0.grad.numpy().T  # input and forget gates stand first in both
    np.testing.assert_allclose(of_recurrent[0][:, :UNITS], first[:, :UNITS], atol=1e-5)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_holes_are_passed_over_as_if_they_were_not_there(kind, rows):
    x, _ = rows
    layer = made(kind)
    mask = np.random.default_rng(1).random(x.shape[:2]) < 0.6
    mask[2] = False
    found = np.asarray(layer(x, mask))
    assert (found[~mask] == 0).all()
    for row, on in enumerate(mask):
        if on.any():
            alone = layer(x[row : row + 1, on], np.ones((1, on.sum()), bool))
            np.testing.assert_allclose(found[row, on], np.asarray(alone)[0], atol=1e-6)


def test_dropout_takes_the_same_components_of_all_positions():
    load_keras()
    from bertfeat.ner.recurrent import Bidirectional

    layer = Bidirectional(UNITS, dropout=0.5)
    dropped = np.asarray(layer.dropout(np.ones((2, 5, 200), np.float32), training=True))
    assert (dropped == dropped[:, :1]).all()
    assert 0.3 < (dropped == 0).mean() < 0.7


def test_a_mix_learns_as_allennlps_formula_does():
    torch = pytest.importorskip("torch")
    load_keras()
    import tensorflow as tf

    from bertfeat.ner.mix import ScalarMix

    rng = np.random.default_rng(0)
    layers, target = (rng.normal(size=s).astype(np.float32) for s in ((3, 5, 4, 6), (3, 5, 6)))
    mix = ScalarMix(4)
    mix.build()
    optimizer = tf.keras.optimizers.SGD(0.5)
    weights = [torch.zeros(1, requires_grad=True) for _ in range(4)]
    gamma = torch.ones(1, requires_grad=True)
    other = torch.optim.SGD([*weights, gamma], lr=0.5)
    for _ in range(50):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((mix(layers) - target) ** 2)
        optimizer.apply(tape.gradient(loss, [v.value for v in mix.trainable_variables]),
                        mix.trainable_variables)  # fmt: skip
        # Peters et al. 2018, eq. 1, as allennlp.modules.scalar_mix computes it
        shares = torch.softmax(torch.cat(weights), dim=0)
        mixed = gamma * sum(s * torch.tensor(layers[:, :, k]) for k, s in enumerate(shares))
        twin = ((mixed - torch.tensor(target)) ** 2).mean()
        other.zero_grad()
        twin.backward()
        other.step()
        assert float(loss) == pytest.approx(twin.item(), abs=1e-5)
    shares, scale = mix.weights_now
    np.testing.assert_allclose(shares, torch.softmax(torch.cat(weights), 0).detach(), atol=1e-5)
    assert scale == pytest.approx(gamma.item(), abs=1e-5)
    assert not np.allclose(shares, 0.25, atol=1e-3)
