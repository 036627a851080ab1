"""Batches for losses of sentence vectors: without false negatives, or of texts of like length."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from bertfeat.tokenization import Encoding
from bertfeat_tools.embedding.deletion import damaged
from bertfeat_tools.embedding.rows import Columns
from bertfeat_tools.training.batches import Batch, ShuffledBatches
from bertfeat_tools.training.texts import encoder_inputs

if TYPE_CHECKING:
    from bertfeat_tools.embedding.train import EmbedOptions


@dataclass(frozen=True)
class DistinctBatches(ShuffledBatches):
    """Batches in which no text stands twice: one that did would be its own false negative.

    Attributes:
        texts: columns of texts.
    """

    texts: tuple[tuple[str, ...], ...] = ()

    @lru_cache(maxsize=2)  # noqa: B019 - lives as long as the run
    def order(self, epoch: int) -> list[np.ndarray]:
        """Put each row into the first batch that has room and none of its texts.

        What is left over in more batches than an epoch has is passed over until the next one.
        """
        rng = np.random.default_rng((self.seed, epoch))
        open_batches: list[tuple[list[int], set[str]]] = []
        full: list[list[int]] = []
        for row in rng.permutation(self.count):
            own = {column[row] for column in self.texts}
            place = next((n for n, (_, seen) in enumerate(open_batches) if not own & seen), None)
            if place is None:
                place = len(open_batches)
                open_batches.append(([], set()))
            rows, seen = open_batches[place]
            rows.append(int(row))
            seen |= own
            if len(rows) == self.batch_size:
                full.append(open_batches.pop(place)[0])
        left = sorted((rows for rows, _ in open_batches), key=len, reverse=True)
        return [np.array(rows) for rows in (full + left)[: self.steps_per_epoch]]

    def __hash__(self) -> int:
        return id(self)


def batches_of(
    options: "EmbedOptions", train: Columns, encodings: Sequence[Sequence[Encoding]], pad_id: int
) -> ShuffledBatches:
    """Return batches: of texts of like length where many are read that do not see each other.

    No two texts are equal where others of the batch are negatives.
    """
    collate = (
        partial(damaged, encodings[0], pad_id, options.seed)
        if options.loss == "denoising"
        else partial(collated, encodings, train.scores, pad_id)
    )
    count = len(train.texts[0])
    if "ranking" in options.loss:
        texts = tuple(tuple(column) for column in train.texts)
        return DistinctBatches(count, options.batch_size, options.seed, collate, texts=texts)
    lengths = None
    if options.loss in ("mse", "margin-mse", "denoising"):
        lengths = np.max([[len(text) for text in column] for column in encodings], axis=0)
    return ShuffledBatches(count, options.batch_size, options.seed, collate, lengths)


def collated(
    encodings: Sequence[Sequence[Encoding]], scores: np.ndarray, pad_id: int, rows: np.ndarray
) -> Batch:
    """Return the batch of some rows, one column after the other."""
    chosen = [column[row] for column in encodings for row in rows]
    return {**encoder_inputs(chosen, pad_id), "targets": scores[rows]}
