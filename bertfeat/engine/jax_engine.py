"""The encoder under JAX, for GPUs and TPUs: compiled once for each rung of a ladder of shapes."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from keras import ops

from bertfeat.encoder.bert import Bert
from bertfeat.engine.base import Program, Shape
from bertfeat.engine.packing import Inputs

MAX_PROGRAMS = 32
LENGTHS = (32, 128, 512)
"""Tokens of a row; a model that reads more or fewer has its own number as the last."""
TEXTS_PER_ROW = (1, 4, 16)


class JaxEngine:
    """Runs programs through ``jax.jit`` on batches padded to one of a few shapes.

    Rows are of few lengths and filled with as many texts as they hold, their number is a power of
    two, and the number of texts a multiple of it.
    """

    name, overhead = "jax", 256

    def __init__(self, bert: Bert, precision: str) -> None:
        self.bert, self.precision = bert, precision
        self.compilations = 0
        self._weights = (
            [weight.value for weight in bert.trainable_variables],
            [weight.value for weight in bert.non_trainable_variables],
        )
        self._compiled = lru_cache(MAX_PROGRAMS)(self._compile)

    def row_length(self, longest: int) -> int:
        """Return the shortest of the ladder's rows that holds a text."""
        return next(length for length in self._lengths() if length >= longest)

    def shape(self, rows: int, length: int, texts: int) -> Shape:
        """Round the sizes up to the ladder."""
        rows = power_of_two(rows)
        per_row = next((n for n in TEXTS_PER_ROW if n * rows >= texts), -(-texts // rows))
        return rows, self.row_length(length), rows * per_row

    def ladder(self, max_tokens: int) -> Iterable[Shape]:
        """Give every shape that batches of at most so many tokens have, but for rare ones.

        A row of more texts than the ladder foresees, nearly all of them empty, is compiled anew.
        """
        for length in self._lengths():
            most = power_of_two(max(1, max_tokens // length))
            for rows in (2**i for i in range(most.bit_length())):
                for per_row in TEXTS_PER_ROW:
                    yield rows, length, rows * per_row

    def run(self, program: Program, inputs: Inputs) -> dict[str, np.ndarray]:
        """Run a program on one batch (see :class:`bertfeat.engine.base.Engine`)."""
        results = self._compiled(program)(self._weights, inputs)
        return {name: np.array(value) for name, value in results.items()}

    def _compile(self, program: Program) -> Callable[..., Any]:
        def forward(weights: Any, batch: Any) -> dict[str, Any]:
            self.compilations += 1  # runs while JAX traces only
            found, _ = self.bert.stateless_call(*weights, batch, outputs=program.outputs)
            return program({name: _widened(x) for name, x in found.items()}, batch, ops)

        compiled: Callable[..., Any] = jax.jit(forward)
        return compiled

    def _lengths(self) -> list[int]:
        limit = self.bert.config.max_position_embeddings
        return [*(length for length in LENGTHS if length < limit), limit]


def power_of_two(size: int) -> int:
    """Return the smallest power of two that is at least ``size``, a positive number."""
    return 1 << (size - 1).bit_length()


def _widened(value: Any) -> Any:
    return ops.cast(value, "float32") if "float" in str(value.dtype) else value
