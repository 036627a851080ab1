"""The GELU of training is Keras's, and so is its gradient."""

import numpy as np
import pytest

from bertfeat.engine.backend import load_keras

X = np.concatenate([np.linspace(-12, 12, 481), [-1e4, -0.0, 1e-8, 1e4]]).astype(np.float32)


def both(function, dtype):
    import tensorflow as tf

    x = tf.constant(X, dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    slope = tape.gradient(y, x, output_gradients=tf.constant(np.cos(X), dtype))
    assert y.dtype == slope.dtype == x.dtype
    return [np.asarray(tf.cast(value, tf.float32)) for value in (y, slope)]


@pytest.mark.parametrize(("dtype", "atol"), [("float32", 1e-6), ("bfloat16", 0.04)])
def test_value_and_gradient_are_those_of_keras_in_float32(dtype, atol):
    load_keras()
    from keras import ops

    from bertfeat.encoder.trained_gelu import gelu

    expected = both(lambda x: ops.gelu(x, approximate=False), "float32")
    for ours, theirs in zip(both(gelu, dtype), expected, strict=True):
        assert np.isfinite(ours).all()
        np.testing.assert_allclose(
            ours, theirs, rtol=1e-6 if dtype == "float32" else 8e-3, atol=atol
        )
