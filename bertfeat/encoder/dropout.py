"""Dropout by sixteen random bits for each component.

TensorFlow's own draws a number of the component's own type: 32 bits, twice what is needed, or a
bfloat16, which is so coarse that 0.1 drops 10.15 % of them.
"""

from typing import Any

import keras

Tensor = Any
STEPS = 1 << 16
"""The numbers that sixteen bits tell apart; the rate is rounded to one of them."""


class Dropout(keras.layers.Dropout):
    """Sets components to 0 with probability ``rate`` in training, and scales up the others."""

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Drop some components of a tensor of one axis or more."""
        if not training or self.rate == 0 or keras.backend.backend() != "tensorflow":
            return super().call(inputs, training=training)
        import tensorflow as tf

        threshold = round(self.rate * STEPS)
        seed = tf.cast(tf.math.floormod(self.seed_generator.next(), 2**31 - 1), tf.int32)
        shape = tf.shape(inputs)
        pairs = tf.concat([shape[:-1], [(shape[-1] + 1) // 2]], axis=0)
        bits = tf.random.stateless_uniform(pairs, seed, None, None, tf.uint32)
        halves = tf.reshape(tf.bitcast(bits, tf.uint16), tf.concat([shape[:-1], [-1]], axis=0))
        kept = halves[..., : shape[-1]] >= tf.constant(threshold, tf.uint16)
        scale = tf.constant(STEPS / (STEPS - threshold), inputs.dtype)
        return inputs * (tf.cast(kept, inputs.dtype) * scale)
