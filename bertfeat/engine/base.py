"""The one interface that every way of running the encoder implements."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from bertfeat.engine.packing import Inputs


class Program(Hashable, Protocol):
    """A function of the encoder's outputs, computed behind the encoder or in its graph.

    Equal programs share one compiled graph, so a program is hashable.
    """

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the encoder outputs that it needs (see ``bertfeat.encoder.bert``)."""

    def __call__(
        self, found: Mapping[str, Any], inputs: Mapping[str, Any], ops: Any
    ) -> dict[str, Any]:
        """Turn encoder outputs (floating ones float32) and batch inputs into named results.

        Args:
            found: the outputs by name.
            inputs: what the batch was made of.
            ops: ``keras.ops`` for a graph's tensors, ``numpy`` for arrays.
        """


Shape = tuple[int, int, int]
"""Rows, tokens of a row and texts of a batch: (R, S, B)."""


class Engine(Protocol):
    """Runs programs on packed batches of any shape.

    Attributes:
        name: how it is called in reports.
        precision: what it computes in.
        overhead: tokens that it could compute in the time that a batch takes besides its tokens.
    """

    name: str
    precision: str
    overhead: int

    @property
    def compilations(self) -> int:
        """How often something was compiled so far; a warm engine compiles no more."""

    def row_length(self, longest: int) -> int:
        """Return the tokens of a row whose longest text has so many: what is left is filled."""

    def shape(self, rows: int, length: int, texts: int) -> Shape:
        """Return the shape to which a batch of so many rows, tokens and texts is padded."""

    def ladder(self, max_tokens: int) -> Iterable[Shape]:
        """Give every shape that batches of at most so many tokens have; none if all are alike."""

    def run(self, program: Program, inputs: Inputs) -> dict[str, np.ndarray]:
        """Run a program on one batch.

        Args:
            program: what to compute.
            inputs: int32 or float32 arrays, first axis B.

        Returns:
            The program's results as NumPy arrays, floating ones float32.
        """
