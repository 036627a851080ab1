"""Bidirectional LSTM and GRU layers over masked rows.

Made for rows of a few dozen words on a processor: one product projects a whole row for both
directions, and each step then does one batched product for the two of them together.  Masked
positions are moved behind the others first; there the gates are held shut, so that the direction
that meets them first begins with an empty state, and the loop itself needs no mask.
"""

from typing import Any

import keras
from keras import ops

from bertfeat.ner.scan import scan

Tensor = Any
GATES = {"lstm": 4, "gru": 3}
SHUT = 1e4
"""Added to, or taken from, what a sigmoid gets: exactly 1 or 0 comes out."""


class Bidirectional(keras.layers.Layer):
    """One layer that reads rows in both directions; outputs (B, S, 2 × units), 0 where masked.

    LSTM (gates i, f, o, g; Hochreiter and Schmidhuber 1997): ``c' = σ(f) c + σ(i) tanh(g)``,
    ``h' = σ(o) tanh(c')``.  GRU (gates r, z, n; Cho et al. 2014):
    ``n = tanh(x_n + σ(r) h_n)``, ``h' = (1 - σ(z)) n + σ(z) h``.  These are PyTorch's forms.

    Args:
        units: size of the state of one direction.
        kind: ``lstm`` or ``gru``.
        dropout: of the inputs, the same components in all positions of a row (Gal and Ghahramani
            2016).
    """

    def __init__(
        self, units: int, kind: str = "lstm", dropout: float = 0.0, **options: Any
    ) -> None:
        super().__init__(**options)
        self.units, self.kind = units, kind
        self.dropout = keras.layers.SpatialDropout1D(dropout)

    def build(self, shape: Any) -> None:
        """Create the weights of both directions, kernels (I, 2 × gates) and (2, units, gates)."""
        width = GATES[self.kind] * self.units
        spread = keras.initializers.RandomUniform(-(self.units**-0.5), self.units**-0.5)
        for name, size, initializer in (
            ("kernel", (shape[-1], 2 * width), "glorot_uniform"),
            ("recurrent_kernel", (2, self.units, width), spread),
            ("bias", (2 * width,), "zeros"),
            ("recurrent_bias", (2, 1, width), "zeros"),
        ):
            if name != "recurrent_bias" or self.kind == "gru":
                setattr(self, name, self.add_weight(shape=size, initializer=initializer, name=name))
        self.built = True

    def call(self, x: Tensor, mask: Tensor, training: bool = False) -> Tensor:
        """Read rows: float (B, S, I) and bool (B, S) to float (B, S, 2 × units)."""
        x = self.dropout(x, training=training)
        rows, length = ops.shape(x)[0], ops.shape(x)[1]
        order, kept, back = compaction(mask)
        x = rearranged(x, order)
        gates = ops.matmul(x, ops.cast(self.kernel, x.dtype)) + ops.cast(self.bias, x.dtype)
        gates = ops.reshape(gates, (rows, length, 2, -1)) + self._shut(kept, x.dtype)
        gates = both_ways(ops.transpose(gates, (1, 2, 0, 3)))  # (S, 2, B, gates)
        zero = ops.zeros_like(gates[0, :, :, : self.units])  # (2, B, units)
        recurrent = ops.cast(self.recurrent_kernel, x.dtype)
        if self.kind == "lstm":
            states = scan(lambda s, now: self._lstm(s, now, recurrent), (zero, zero), gates)[0]
        else:
            bias = ops.cast(self.recurrent_bias, x.dtype)
            states = scan(lambda s, now: self._gru(s, now, recurrent, bias), zero, gates)
        found = ops.transpose(both_ways(states), (2, 0, 1, 3))  # (B, S, 2, units)
        found = ops.reshape(found, (rows, length, 2 * self.units))
        found = ops.where(kept[..., None], found, ops.zeros_like(found))
        return rearranged(found, back)

    def _shut(self, kept: Tensor, dtype: Any) -> Tensor:
        """Return what holds the gates of masked positions shut, (B, S, 1, gates)."""
        sign = {"lstm": (-1.0, 1.0, 0.0, 0.0), "gru": (0.0, 1.0, 0.0)}[self.kind]
        gates = ops.repeat(ops.convert_to_tensor(sign, dtype), self.units)
        masked = ops.cast(ops.logical_not(kept), dtype) * SHUT
        return masked[:, :, None, None] * gates

    def _lstm(self, state: Any, now: Tensor, recurrent: Tensor) -> Any:
        hidden, cell = state
        gates = now + ops.matmul(hidden, recurrent)
        i, f, o = ops.split(ops.sigmoid(gates[..., : 3 * self.units]), 3, axis=-1)
        cell = f * cell + i * ops.tanh(gates[..., 3 * self.units :])
        return o * ops.tanh(cell), cell

    def _gru(self, hidden: Tensor, now: Tensor, recurrent: Tensor, bias: Tensor) -> Tensor:
        inner, edge = ops.matmul(hidden, recurrent) + bias, 2 * self.units
        r, z = ops.split(ops.sigmoid(now[..., :edge] + inner[..., :edge]), 2, axis=-1)
        new = ops.tanh(now[..., edge:] + r * inner[..., edge:])
        return new + z * (hidden - new)


def both_ways(x: Tensor) -> Tensor:
    """Turn the second direction of (S, 2, …) round in time."""
    return ops.concatenate([x[:, :1], ops.flip(x[:, 1:], axis=0)], axis=1)


def rearranged(x: Tensor, order: Tensor) -> Tensor:
    """Take from each row of (B, S, …) the positions of int (B, S); a gather of whole vectors."""
    rows, length = ops.shape(order)[0], ops.shape(order)[1]
    flat = ops.reshape(x, (rows * length, x.shape[-1]))
    starts = ops.arange(rows, dtype="int32")[:, None] * length
    found = ops.take(flat, ops.reshape(order + starts, (-1,)), axis=0)
    return ops.reshape(found, (rows, length, x.shape[-1]))


def compaction(mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return how rows are moved so that what is not masked stands at the front.

    Args:
        mask: bool (B, S).

    Returns:
        int32 (B, S), the place that each position is taken from; bool (B, S), what is kept after
        the move; int32 (B, S), the place that each position is taken back from.
    """
    length = ops.shape(mask)[1]
    places = ops.arange(length, dtype="int32")[None]
    off = ops.cast(ops.logical_not(mask), "int32")
    order = ops.cast(ops.argsort(off * length + places, axis=1), "int32")
    kept = places < ops.sum(1 - off, axis=1, keepdims=True)
    return order, kept, ops.cast(ops.argsort(order, axis=1), "int32")
