"""GELU and layer normalization for training under TensorFlow, with gradients that are written out.

TensorFlow computes on a CPU operation by operation: what it derives by itself reads and writes the
largest tensors of a step half as often again, and its operations on bfloat16 take longer than those
on float32.  Both functions compute in float32 whatever comes.
"""

import math
from collections.abc import Callable
from typing import Any

import keras

Tensor = Any


def by_hand() -> bool:
    """Say whether the other functions can be called: under TensorFlow."""
    return bool(keras.backend.backend() == "tensorflow")


def gelu(x: Tensor) -> Tensor:
    """Return 0.5 x (1 + erf(x / sqrt 2))."""
    import tensorflow as tf

    def whole(wide: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        below = tf.math.erfc(wide * -math.sqrt(0.5))  # twice the normal distribution's part below x

        def gradient(upstream: Tensor) -> Tensor:
            density = tf.exp(tf.square(wide) * -0.5) * math.sqrt(0.5 / math.pi)
            return upstream * (0.5 * below + wide * density)

        return (0.5 * wide) * below, gradient

    found: Tensor = tf.cast(tf.custom_gradient(whole)(tf.cast(x, tf.float32)), x.dtype)
    return found


def normalized(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> Tensor:
    """Return rows (R, H) of mean ``beta`` and deviation ``gamma``, float32 (H,) each."""
    import tensorflow as tf

    def mean(value: Tensor) -> Tensor:
        return tf.reduce_mean(value, axis=-1, keepdims=True)

    def whole(wide: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Callable[..., Any]]:
        centred = wide - mean(wide)
        inverse = tf.math.rsqrt(mean(tf.square(centred)) + epsilon)
        standard = centred * inverse

        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            scaled = upstream * gamma
            along = standard * mean(scaled * standard)
            rows = (scaled - mean(scaled) - along) * inverse
            return rows, tf.reduce_sum(upstream * standard, 0), tf.reduce_sum(upstream, 0)

        return standard * gamma + beta, gradient

    wide = tf.reshape(tf.cast(x, tf.float32), (-1, x.shape[-1]))
    found: Tensor = tf.reshape(tf.custom_gradient(whole)(wide, gamma, beta), tf.shape(x))
    return found
