"""A learned weighted sum of layers (Peters et al. 2018, ELMo)."""

from typing import Any

import keras
import numpy as np
from keras import ops

Tensor = Any


class ScalarMix(keras.layers.Layer):
    """``gamma * sum(softmax(w)[k] * layer[k])``; at first the plain mean.

    Args:
        num_layers: L.
    """

    def __init__(self, num_layers: int, **options: Any) -> None:
        super().__init__(**options)
        self.num_layers = num_layers

    def build(self, _: Any = None) -> None:
        """Create w, float32 (L,), zeros, and gamma, float32 (), one."""
        self.w = self.add_weight(shape=(self.num_layers,), initializer="zeros", name="w")
        self.gamma = self.add_weight(shape=(), initializer="ones", name="gamma")
        self.built = True

    def call(self, layers: Tensor) -> Tensor:
        """Mix (..., L, H) to (..., H)."""
        weights = ops.cast(ops.softmax(self.w) * self.gamma, layers.dtype)
        return ops.matmul(weights[None], layers)[..., 0, :]

    @property
    def weights_now(self) -> tuple[np.ndarray, float]:
        """The share of each layer, float32 (L,), and the scale."""
        return np.asarray(ops.softmax(self.w)), float(self.gamma.value)
