"""Which examples stand in which batch: a function of the seed and the step's number alone.

So a run that goes on after a kill sees what it would have seen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

Batch = dict[str, np.ndarray]
Batches = Callable[[int], Batch]


@dataclass(frozen=True)
class ShuffledBatches:
    """Batches of examples in a new random order each epoch; the last of an epoch may be small.

    Attributes:
        count: examples.
        batch_size: examples of a batch.
        seed: of the order.
        collate: makes a batch of the numbers of its examples, int64 (n,).
        lengths: tokens of each example, int (count,): then batches are made of examples of like
            length, from pools of 50 batches, and come in random order; None = no regard to them.
    """

    count: int
    batch_size: int
    seed: int
    collate: Callable[[np.ndarray], Batch]
    lengths: np.ndarray | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one epoch."""
        return -(-self.count // self.batch_size)

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step, counted from 0 over all epochs."""
        epoch, number = divmod(step, self.steps_per_epoch)
        return self.collate(self.order(epoch)[number])

    @lru_cache(maxsize=2)  # noqa: B019 - lives as long as the run
    def order(self, epoch: int) -> list[np.ndarray]:
        """Return the numbers of the examples of each batch of an epoch."""
        rng = np.random.default_rng((self.seed, epoch))
        numbers = rng.permutation(self.count)
        if self.lengths is None:
            return self._split(numbers)
        pools = np.split(numbers, range(50 * self.batch_size, self.count, 50 * self.batch_size))
        ordered = [pool[np.argsort(self.lengths[pool], kind="stable")] for pool in pools]
        batches = [batch for pool in ordered for batch in self._split(pool)]
        return [batches[place] for place in rng.permutation(len(batches))]

    def _split(self, numbers: np.ndarray) -> list[np.ndarray]:
        return np.split(numbers, range(self.batch_size, len(numbers), self.batch_size))

    def __hash__(self) -> int:
        return id(self)


def padded(rows: list[list[int]], value: int = 0, multiple: int = 8) -> np.ndarray:
    """Put rows of numbers into one array, int32 (n, longest), filled up with `value`.

    Args:
        rows: the numbers.
        value: what follows a short row.
        multiple: the length is a multiple of it, so that few shapes are compiled.
    """
    longest = max(map(len, rows), default=0)
    length = -(-longest // multiple) * multiple
    filled = np.full((len(rows), length), value, np.int32)
    for place, row in enumerate(rows):
        filled[place, : len(row)] = row
    return filled
