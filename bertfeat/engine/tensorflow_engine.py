"""The encoder as a TensorFlow graph: shapes stay open, so nothing is recompiled."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from bertfeat.encoder.bert import Bert
from bertfeat.engine.backend import quiet_stderr
from bertfeat.engine.base import Program
from bertfeat.engine.packing import Inputs

Key = tuple[Program, tuple[str, ...]]
MAX_GRAPHS = 32
"""Compiled programs kept; the least recently used goes first."""


class TensorFlowEngine:
    """Runs programs as ``tf.function`` graphs with open batch and length."""

    name = "tensorflow"

    def __init__(self, bert: Bert, precision: str) -> None:
        self.bert, self.precision = bert, precision
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
        if len(self._graphs) > MAX_GRAPHS:
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

        compiled: Callable[..., Any] = tf.function(
            forward, input_signature=[signature], autograph=False
        )
        return compiled


def _widened(value: tf.Tensor) -> tf.Tensor:
    return tf.cast(value, tf.float32) if value.dtype.is_floating else value
