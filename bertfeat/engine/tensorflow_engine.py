"""The encoder as a TensorFlow graph: shapes stay open, so nothing is recompiled.

In bfloat16 on a CPU the weights are constants of the graph: oneDNN lays constants out for its
matrix products once, variables at each call; and TensorFlow fuses layer normalization only there.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from bertfeat.encoder.bert import Bert
from bertfeat.engine.backend import quiet_stderr, uses_onednn
from bertfeat.engine.base import Program, Shape
from bertfeat.engine.packing import Inputs

Key = tuple[Program, tuple[str, ...]]
MAX_GRAPHS = 32
"""Compiled programs kept; the least recently used goes first."""
MAX_FROZEN = 4
"""Likewise, of those that hold the weights once more."""


class TensorFlowEngine:
    """Runs programs as ``tf.function`` graphs with open batch and length."""

    name, overhead = "tensorflow", 256

    def __init__(self, bert: Bert, precision: str) -> None:
        self.bert, self.precision = bert, precision
        self.compilations = 0
        self.is_frozen = precision == "bfloat16" and uses_onednn()
        self._graphs: OrderedDict[Key, Callable[..., Any]] = OrderedDict()

    def row_length(self, longest: int) -> int:
        """Let rows be as long as their longest text: an open shape costs nothing."""
        return longest

    def shape(self, rows: int, length: int, texts: int) -> Shape:
        """Pad no further than the longest row."""
        return rows, length, texts

    def ladder(self, max_tokens: int) -> Iterable[Shape]:
        """All shapes are alike."""
        return ()

    def run(self, program: Program, inputs: Inputs) -> dict[str, np.ndarray]:
        """Run a program on one batch (see :class:`bertfeat.engine.base.Engine`)."""
        key = (program, tuple(sorted(inputs)))
        graph = self._graphs.pop(key, None)
        if graph is None:
            # oneDNN tells on stderr which operations it leaves to others when they are first run.
            with quiet_stderr():
                graph = self._compile(program, inputs)
                results = graph(dict(inputs))
        else:
            results = graph(dict(inputs))
        self._graphs[key] = graph
        if len(self._graphs) > (MAX_FROZEN if self.is_frozen else MAX_GRAPHS):
            self._graphs.popitem(last=False)
        return {name: value.numpy() for name, value in results.items()}

    def _compile(self, program: Program, inputs: Inputs) -> Callable[..., Any]:
        signature = {
            name: tf.TensorSpec([None] * array.ndim, tf.as_dtype(array.dtype), name=name)
            for name, array in inputs.items()
        }

        def forward(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            self.compilations += 1
            with keras.StatelessScope(state_mapping=self._constants()):
                found = self.bert(batch, outputs=program.outputs)
            return program({name: _widened(x) for name, x in found.items()}, batch, ops)

        compiled: Callable[..., Any] = tf.function(
            forward, input_signature=[signature], autograph=False
        )
        return compiled

    def _constants(self) -> list[tuple[keras.Variable, tf.Tensor]]:
        """Make constants of the layers' weights in the graph that is being made."""
        if not self.is_frozen:
            return []
        weights = [weight for layer in self.bert.encoder_layers for weight in layer.weights]
        with tf.init_scope():  # where values can be read
            arrays = [weight.numpy() for weight in weights]
        return [(weight, tf.constant(x)) for weight, x in zip(weights, arrays, strict=True)]


def _widened(value: tf.Tensor) -> tf.Tensor:
    return tf.cast(value, tf.float32) if value.dtype.is_floating else value
