"""Sentences as tokens, in batches: what an encoder in training reads."""

from collections.abc import Sequence

import numpy as np

from bertfeat.ner.batching import word_mask
from bertfeat.ner.token_rows import TokenRow
from bertfeat_tools.training.batches import Batch
from bertfeat_tools.training.texts import encoder_inputs


def token_inputs(rows: Sequence[TokenRow], pad_id: int) -> Batch:
    """Return the batch of some sentences.

    Returns:
        The encoder's inputs, int32 (R, T) for all windows R; ``pieces`` int32 (B, S, P), places in
        R · T end to end, -1 for none; ``mask`` bool (B, S).
    """
    batch = encoder_inputs([window for row in rows for window in row.windows], pad_id)
    mask, length = word_mask(rows), batch["input_ids"].shape[1]
    pieces = np.full((*mask.shape, max(row.pieces.shape[1] for row in rows)), -1, np.int32)
    first = 0
    for place, row in enumerate(rows):
        window, token = row.pieces[..., 0], row.pieces[..., 1]
        flat = np.where(window < 0, -1, (first + window) * length + token)
        pieces[place, : len(row), : flat.shape[1]] = flat
        first += len(row.windows)
    return {**batch, "pieces": pieces, "mask": mask}
