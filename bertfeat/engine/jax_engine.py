"""The encoder under JAX, for GPUs and TPUs: compiled once for each rung of a ladder of shapes."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from keras import ops

from bertfeat.encoder.bert import Bert
from bertfeat.engine.base import Program
from bertfeat.engine.packing import Inputs

MAX_PROGRAMS = 32
SHORTEST = 16
"""Tokens of the lowest rung; every further rung is twice the one before."""


class JaxEngine:
    """Runs programs through ``jax.jit`` on batches padded to powers of two."""

    name = "jax"

    def __init__(self, bert: Bert, precision: str) -> None:
        self.bert, self.precision = bert, precision
        self._weights = (
            [weight.value for weight in bert.trainable_variables],
            [weight.value for weight in bert.non_trainable_variables],
        )
        self._compiled = lru_cache(MAX_PROGRAMS)(self._compile)

    def shape(self, rows: int, length: int, texts: int) -> tuple[int, int, int]:
        """Round the sizes up to the ladder, the length at most to what the model reads."""
        limit = self.bert.config.max_position_embeddings
        return rung(rows, 1), max(length, min(rung(length, SHORTEST), limit)), rung(texts, 1)

    def run(self, program: Program, inputs: Inputs) -> dict[str, np.ndarray]:
        """Run a program on one batch (see :class:`bertfeat.engine.base.Engine`)."""
        results = self._compiled(program)(self._weights, inputs)
        return {name: np.array(value) for name, value in results.items()}

    def _compile(self, program: Program) -> Callable[..., Any]:
        def forward(weights: Any, batch: Any) -> dict[str, Any]:
            found, _ = self.bert.stateless_call(*weights, batch, outputs=program.outputs)
            return program({name: _widened(x) for name, x in found.items()}, batch, ops)

        compiled: Callable[..., Any] = jax.jit(forward)
        return compiled


def rung(size: int, lowest: int) -> int:
    """Return the smallest power-of-two multiple of ``lowest`` that holds ``size``."""
    step = lowest
    while step < size:
        step *= 2
    return step


def _widened(value: Any) -> Any:
    return ops.cast(value, "float32") if "float" in str(value.dtype) else value
