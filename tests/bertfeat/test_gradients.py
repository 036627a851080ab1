"""GELU and normalization of training are those of inference, and so are their gradients."""

import numpy as np
import pytest

from bertfeat.engine.backend import load_keras

X = np.concatenate([np.linspace(-12, 12, 481), [-1e4, -0.0, 1e-8, 1e4]]).astype(np.float32)


def with_gradient(function, *values, dtype="float32"):
    """Return a function's value and its gradient for each argument, as float32 arrays."""
    import tensorflow as tf

    told = [tf.constant(value, dtype) for value in values]
    with tf.GradientTape() as tape:
        tape.watch(told)
        y = function(*told)
    slopes = tape.gradient(y, told, output_gradients=tf.constant(np.cos(values[0]), dtype))
    assert {value.dtype for value in (y, *slopes)} == {told[0].dtype}
    return [np.asarray(tf.cast(value, tf.float32)) for value in (y, *slopes)]


@pytest.mark.parametrize(
    ("dtype", "rtol", "atol"), [("float32", 1e-6, 1e-6), ("bfloat16", 8e-3, 0.04)]
)
def test_gelu_is_that_of_keras_in_float32(dtype, rtol, atol):
    load_keras()
    from keras import ops

    from bertfeat.encoder.gradients import gelu

    expected = with_gradient(lambda x: ops.gelu(x, approximate=False), X)
    for ours, theirs in zip(with_gradient(gelu, X, dtype=dtype), expected, strict=True):
        assert np.isfinite(ours).all()
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)


@pytest.mark.parametrize("shape", [(6, 16), (2, 3, 16)])
def test_normalization_is_that_of_inference(shape):
    load_keras()
    from bertfeat.encoder.gradients import normalized
    from bertfeat.encoder.layers import LayerNorm

    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, shape).astype(np.float32)
    gamma, beta = rng.normal(size=(2, 16)).astype(np.float32)
    layer = LayerNorm(1e-12)
    layer.build(shape)

    def plain(x, gamma, beta):
        layer.gamma, layer.beta = gamma, beta
        return layer(x)

    expected = with_gradient(plain, x, gamma, beta)
    found = with_gradient(lambda *told: normalized(*told, 1e-12), x, gamma, beta)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
