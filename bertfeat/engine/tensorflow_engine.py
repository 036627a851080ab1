"""The encoder as a TensorFlow graph: shapes stay open, so nothing is recompiled.

In bfloat16 on a CPU the weights are constants of the graph: oneDNN lays constants out for its
matrix products once, variables at each call; and TensorFlow fuses layer normalization only there.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from bertfeat.encoder.bert import Bert
from bertfeat.engine.backend import quiet_stderr, uses_onednn
from bertfeat.engine.base import Program
from bertfeat.engine.packing import Inputs

Key = tuple[Program, tuple[str, ...]]
MAX_GRAPHS = 32
"""Compiled programs kept; the least recently used goes first."""
MAX_FROZEN = 4
"""Likewise, of those that hold the weights once more."""


class TensorFlowEngine:
    """Runs programs as ``tf.function`` graphs with open batch and length."""

    name = "tensorflow"

    def __init__(self, bert: Bert, precision: str) -> None:
        self.bert, self.precision = bert, precision
        self.is_frozen = precision == "bfloat16" and uses_onednn()
        self._graphs: OrderedDict[Key, Callable[..., Any]] = OrderedDict()

    def shape(self, rows: int, length: int, texts: int) -> tuple[int, int, int]:
        """Pad no further than the longest row: an open shape costs nothing."""
        return rows, length, texts

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
            found = self.bert(batch, outputs=program.outputs)
            return program({name: _widened(x) for name, x in found.items()}, batch, ops)

        compiled = tf.function(forward, input_signature=[signature], autograph=False)
        return _frozen(compiled.get_concrete_function()) if self.is_frozen else compiled


def _widened(value: tf.Tensor) -> tf.Tensor:
    return tf.cast(value, tf.float32) if value.dtype.is_floating else value


def _frozen(graph: Any) -> Callable[..., Any]:
    """Make constants of a graph's weights."""
    names = sorted(graph.structured_outputs)
    fixed = convert_variables_to_constants_v2(graph)

    def run(batch: dict[str, np.ndarray]) -> dict[str, tf.Tensor]:
        results = fixed(*(tf.constant(batch[name]) for name in sorted(batch)))
        return dict(zip(names, results, strict=True))

    return run
