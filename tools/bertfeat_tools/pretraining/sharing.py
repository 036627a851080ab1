"""Several examples in one row of a batch, each of them attending to itself alone.

What a padded batch spends on short rows is saved (Krell et al. 2021), and losses and gradients are
those of the padded batch, without dropout: an example is cut into no parts and counts its positions
from 0, and the heads read it where it stands.
"""

from dataclasses import dataclass

import numpy as np

from bertfeat.engine.packing import Rows, Shelf, pack
from bertfeat_tools.training.batches import Batch

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(frozen=True)
class Example:
    """The tokens of an example, without padding."""

    input_ids: list[int]
    token_type_ids: list[int]


def share_rows(batch: Batch, examples: int) -> Batch:
    """Lay the examples of a padded batch out in fewer rows.

    Args:
        batch: of :class:`bertfeat_tools.pretraining.corpus.Collate`, (B, S) inputs, (B, M) masked
            places and (B,) labels; a row of the result is as long as one of these.
        examples: B of the result; those that are missing have the length 0 and weigh nothing.

    Returns:
        The inputs and ``lengths`` of :func:`bertfeat.engine.packing.pack`, R of few values;
        ``token_places`` int32 (B, 1 + M) of [CLS] and the masked places only; the other arrays in
        the order in which the examples now stand.
    """
    lengths = batch["attention_mask"].sum(axis=1).tolist()
    space = batch["input_ids"].shape[1]
    rows = filled_rows(lengths, space)
    tokens = [
        Example(ids[:length].tolist(), types[:length].tolist())
        for ids, types, length in zip(
            batch["input_ids"], batch["token_type_ids"], lengths, strict=True
        )
    ]
    found = pack(tokens, rows, 0, (few_values(len(rows)), space, examples))
    order = [number for row in rows for number in row]
    for name in batch.keys() - set(INPUTS):
        found[name] = np.zeros((examples, *batch[name].shape[1:]), batch[name].dtype)
        found[name][: len(order)] = batch[name][order]
    first, within = found["token_places"][:, :1], found["masked_positions"]
    found["token_places"] = np.concatenate([first, first + within], axis=1)
    found["masked_positions"] = np.tile(
        np.arange(within.shape[1], dtype=np.int32) + 1, (examples, 1)
    )
    return found


def filled_rows(lengths: list[int], space: int) -> Rows:
    """Put examples of so many tokens into rows, each time the longest that still fits."""
    shelf, rows = Shelf(lengths), []
    while shelf.texts_left:
        rows.append(shelf.row(space))
    return rows


def few_values(count: int) -> int:
    """Round up to a number of four binary digits and zeros, so that few shapes are compiled."""
    step = 1 << max(0, count.bit_length() - 4)
    return -(-count // step) * step
