"""The loss of tagging: a classifier of each word's first token (Devlin et al. 2019, 5.3)."""

from typing import Any

from keras import ops

from bertfeat.encoder.bert import Bert
from bertfeat.encoder.dropout import Dropout
from bertfeat_tools.training.model import TrainingModel

Tensor = Any
LAST = "hidden_states.-1"


class TokenClassifier(TrainingModel):
    """Cross-entropy over the words of all sentences of a batch, each counting alike.

    A batch is that of :func:`bertfeat_tools.ner.token_inputs.token_inputs`, with ``targets`` int32
    (B, S), the tag of each word, -1 where there is none.

    Args:
        bert: with the head ``classifier``; trained in place.
    """

    def __init__(self, bert: Bert) -> None:
        super().__init__(dtype=bert.dtype_policy, name="tagging")
        self.bert = bert
        self.dropout = Dropout(bert.config.hidden_dropout_prob)

    def logits(self, batch: dict[str, Tensor], training: bool = False) -> Tensor:
        """Return float32 (B, S, labels), zeros for a word without tokens."""
        hidden = self.bert(batch, outputs=(LAST,), training=training)[LAST]  # (R, T, H)
        flat = ops.reshape(hidden, (-1, self.bert.config.hidden_size))
        places = batch["pieces"][..., 0]
        words = ops.take(flat, ops.maximum(places, 0), axis=0)  # (B, S, H)
        logits = self.bert.classifier(self.dropout(words, training=training))
        return ops.where(places[..., None] >= 0, ops.cast(logits, "float32"), 0.0)

    def call(self, batch: dict[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        """Return the loss of a batch."""
        wanted = batch["targets"]
        counts = ops.logical_and(wanted >= 0, batch["pieces"][..., 0] >= 0)
        counts = ops.cast(counts, "float32")
        chances = ops.log_softmax(self.logits(batch, training))
        right = ops.take_along_axis(chances, ops.maximum(wanted, 0)[..., None], axis=-1)[..., 0]
        return {"loss": -ops.sum(right * counts) / ops.maximum(ops.sum(counts), 1.0)}
