"""What the loop trains: an encoder with its pooling under a loss of sentence vectors."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from bertfeat.checkpoints import Dense
from bertfeat.encoder.bert import Bert
from bertfeat_tools.embedding.losses import Loss, unit
from bertfeat_tools.training.model import TrainingModel

Tensor = Any
POOLINGS = ("mean", "cls", "max")


class SentenceModel(TrainingModel):
    """Vectors of the texts of each column, compared by a loss.

    Args:
        bert: trained in place.
        pooling: one of ``POOLINGS``; means count [CLS] and [SEP].
        normalize: whether vectors get length 1, as the finished model's do.
        loss: of the columns' vectors and the targets.
        columns: texts of a row.
        chunk: texts encoded at once in training; 0 = the whole batch.
        outputs: dimensions to which a dense layer behind the pooling maps; 0 = no such layer.
    """

    def __init__(
        self, bert: Bert, pooling: str, *, normalize: bool, loss: Loss, columns: int,
        chunk: int = 0, outputs: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(dtype=bert.dtype_policy, name="sentences")
        self.bert, self.pooling, self.normalize = bert, pooling, normalize
        self.compare, self.columns, self.chunk = loss, columns, chunk
        self.size = outputs or bert.config.hidden_size
        self.projection: Any = None
        if outputs:
            self.projection = keras.layers.Dense(outputs, name="projection", dtype="float32")
            self.projection.build((None, bert.config.hidden_size))

    def vectors(self, batch: dict[str, Tensor], training: bool = False) -> Tensor:
        """Return float32 (rows, size): one vector for each text."""
        pooled = self.pooled(batch, training)
        if self.projection:
            pooled = self.projection(pooled)
        return unit(pooled) if self.normalize else pooled

    def pooled(self, batch: dict[str, Tensor], training: bool = False) -> Tensor:
        """Return float32 (rows, H): the pooled hidden states of each text."""
        hidden = self.bert(batch, training=training)["hidden_states.-1"]
        hidden = ops.cast(hidden, "float32")
        on = ops.cast(batch["attention_mask"], "float32")[..., None]
        if self.pooling == "cls":
            return hidden[:, 0]
        if self.pooling == "max":
            return ops.max(hidden - (1 - on) * 1e9, axis=1)
        return ops.sum(hidden * on, axis=1) / ops.sum(on, axis=1)

    def call(self, batch: dict[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        """Return the loss of a batch: the texts of all columns, one column after the other."""
        return {"loss": self.loss_of(self.vectors(batch, training), batch["targets"])}

    def loss_of(self, vectors: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of the vectors of all columns, (columns · B, size)."""
        columns: Sequence[Tensor] = ops.split(vectors, self.columns)
        return self.compare(columns, targets)

    def dense(self) -> tuple[Dense, ...]:
        """Return what stands behind the pooling, as a folder has it."""
        if self.projection is None:
            return ()
        kernel, bias = (np.asarray(weight.value) for weight in self.projection.weights)
        return (Dense(kernel, bias),)

    def own_step(
        self, batch: dict[str, Any]
    ) -> Callable[[dict[str, Any]], Mapping[str, Any]] | None:
        """Return the step that encodes a chunk at once, where chunks are wanted."""
        if not self.chunk:
            return None
        from bertfeat_tools.embedding.cached import CachedStep

        return CachedStep(self, batch, self.chunk)
