"""The loss of text classification and regression on an encoder."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from bertfeat.encoder.bert import Bert
from bertfeat.encoder.dropout import Dropout
from bertfeat_tools.finetuning.examples import SEVERAL_OR_ONE
from bertfeat_tools.training.model import TrainingModel

Tensor = Any


class Classifier(TrainingModel):
    """[CLS] through pooler, dropout and the classifier (Devlin et al. 2019, 4.1).

    Cross-entropy for classes, binary cross-entropy for several labels and for relevance, squared
    error for values.

    Args:
        bert: with the heads ``pooler`` and ``classifier``; trained in place.
        problem: one of ``bertfeat_tools.finetuning.examples.PROBLEMS``.
        class_weights: float (labels,), of each class in the mean; None = 1.
        smoothing: part of the probability that goes to all classes alike.
    """

    def __init__(
        self, bert: Bert, problem: str, *, class_weights: Sequence[float] | None = None,
        smoothing: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(dtype=bert.dtype_policy, name="classification")
        self.bert, self.problem, self.smoothing = bert, problem, smoothing
        self.class_weights = None if class_weights is None else np.array(class_weights, np.float32)
        self.dropout = Dropout(bert.config.hidden_dropout_prob)

    def logits(self, batch: dict[str, Tensor], training: bool = False) -> Tensor:
        """Return float32 (B, labels)."""
        pooled = self.bert(batch, outputs=("pooled",), training=training)["pooled"]
        return ops.cast(self.bert.classifier(self.dropout(pooled, training=training)), "float32")

    def call(self, batch: dict[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        """Return the loss of a batch: the encoder's inputs and ``targets``."""
        logits, wanted = self.logits(batch, training), batch["targets"]
        if self.problem == "regression":
            return {"loss": ops.mean(ops.square(logits[:, 0] - wanted))}
        if self.problem in SEVERAL_OR_ONE:
            wanted = ops.reshape(wanted, ops.shape(logits))
            losses = ops.maximum(logits, 0.0) - logits * wanted + ops.softplus(-ops.abs(logits))
            return {"loss": ops.mean(losses)}
        chances = ops.log_softmax(logits)
        right = ops.take_along_axis(chances, wanted[:, None], axis=1)[:, 0]
        losses = -(1 - self.smoothing) * right - self.smoothing * ops.mean(chances, axis=1)
        if self.class_weights is None:
            return {"loss": ops.mean(losses)}
        weights = ops.take(ops.convert_to_tensor(self.class_weights), wanted)
        return {"loss": ops.sum(losses * weights) / ops.sum(weights)}
