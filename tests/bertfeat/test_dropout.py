"""Dropout drops what it is told to, scales up the rest, and repeats itself from its state."""

import numpy as np
import pytest

from bertfeat.engine.backend import load_keras

RATE = 0.1


@pytest.fixture(scope="module")
def dropout():
    load_keras()
    from bertfeat.encoder.dropout import Dropout

    return lambda seed=1, rate=RATE: Dropout(rate, seed=seed)


def applied(layer, x):
    import tensorflow as tf

    return np.asarray(tf.cast(layer(x, training=True), tf.float32))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("shape", [(1000, 257), (25, 8, 32, 40)])  # the first one's rows are odd
def test_the_rate_and_the_mean_are_right(dropout, dtype, shape):
    import tensorflow as tf

    found = applied(dropout(), tf.ones(shape, dtype))
    assert found.shape == shape
    share = (found == 0).mean()
    deviation = np.sqrt(RATE * (1 - RATE) / found.size)
    assert abs(share - RATE) < 4 * deviation
    kept = found[found != 0]
    np.testing.assert_allclose(kept, 1 / (1 - RATE), rtol=5e-3)
    rows = (found == 0).reshape(-1, shape[-1])
    assert abs(np.corrcoef(rows[:, 0], rows[:, 1])[0, 1]) < 0.2  # both halves of one draw
    assert rows.any(axis=0).all()


def test_each_call_draws_anew_and_the_state_repeats_it(dropout):
    import tensorflow as tf

    x, layer = tf.ones((50, 64)), dropout()
    state = np.asarray(layer.seed_generator.state)
    first, second = applied(layer, x), applied(layer, x)
    assert (first != second).any() and (first != applied(dropout(seed=2), x)).any()
    layer.seed_generator.state.assign(state)
    np.testing.assert_array_equal(applied(layer, x), first)


def test_without_training_or_rate_nothing_is_dropped(dropout):
    import tensorflow as tf

    x = tf.ones((3, 5))
    np.testing.assert_array_equal(dropout()(x, training=False), x)
    np.testing.assert_array_equal(applied(dropout(rate=0.0), x), x)


def test_the_gradient_passes_where_something_was_kept(dropout):
    import tensorflow as tf

    x, layer = tf.ones((20, 30)), dropout(rate=0.5)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    np.testing.assert_array_equal(tape.gradient(y, x), y)
