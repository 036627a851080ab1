"""The loss of answer spans on an encoder."""

from typing import Any

from keras import ops

from bertfeat.encoder.bert import Bert
from bertfeat_tools.training.model import TrainingModel

Tensor = Any


class SpanModel(TrainingModel):
    """Start and end of an answer by one dense layer on each token (Devlin et al. 2019, 4.2).

    The loss is the mean cross-entropy of both over the tokens of a row; padding, which run_squad.py
    and transformers count among the places, is none, so that it does not depend on the batch.

    Args:
        bert: with the head ``span``; trained in place.
    """

    def __init__(self, bert: Bert) -> None:
        super().__init__(dtype=bert.dtype_policy, name="spans")
        self.bert = bert

    def logits(self, batch: dict[str, Tensor], training: bool = False) -> Tensor:
        """Return float32 (B, S, 2)."""
        return self.bert(batch, outputs=("span_logits",), training=training)["span_logits"]

    def call(self, batch: dict[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        """Return the loss of a batch: the encoder's inputs and ``targets`` int32 (B, 2)."""
        outside = ops.cast(batch["attention_mask"][:, :, None] == 0, "float32")
        chances = ops.log_softmax(self.logits(batch, training) - 1e9 * outside, axis=1)
        right = ops.take_along_axis(chances, batch["targets"][:, None, :], axis=1)
        return {"loss": -ops.mean(right)}
