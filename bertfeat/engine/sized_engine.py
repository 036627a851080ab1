"""Two engines for one model: whatever has few tokens goes to the one that answers sooner."""

from collections.abc import Iterable

import numpy as np

from bertfeat.engine.base import Engine, Program, Shape
from bertfeat.engine.packing import Inputs

SMALL_TOKENS = 64
"""Most places of a small batch.

On two Zen 4 cores LiteRT computes 16 tokens in float32 in 4.0 ms and TensorFlow in bfloat16 in
7.4 ms, 64 in 9.8 and 11 to 14 ms, 128 in 19 and 16 ms.  With one thread it is never sooner.
"""


class SizedEngine:
    """Runs small batches on one engine and all others on another.

    Args:
        small: for batches of at most ``SMALL_TOKENS`` places (rows × tokens of a row).
        large: for all others; it gives name and precision.
    """

    def __init__(self, small: Engine, large: Engine) -> None:
        self.small, self.large = small, large
        self.name, self.precision, self.overhead = large.name, large.precision, large.overhead

    @property
    def compilations(self) -> int:
        """Those of both."""
        return self.small.compilations + self.large.compilations

    def row_length(self, longest: int) -> int:
        """Let rows be as long as the large engine's."""
        return self.large.row_length(longest)

    def shape(self, rows: int, length: int, texts: int) -> Shape:
        """Pad as the large engine does."""
        return self.large.shape(rows, length, texts)

    def ladder(self, max_tokens: int) -> Iterable[Shape]:
        """Give a shape for each engine."""
        return (1, SMALL_TOKENS, 1), (1, SMALL_TOKENS + 1, 1)

    def run(self, program: Program, inputs: Inputs) -> dict[str, np.ndarray]:
        """Run a program on one batch (see :class:`bertfeat.engine.base.Engine`)."""
        is_small = inputs["input_ids"].size <= SMALL_TOKENS
        return (self.small if is_small else self.large).run(program, inputs)
