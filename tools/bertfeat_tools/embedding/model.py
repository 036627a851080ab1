"""What the loop trains: an encoder with its pooling under a loss of sentence vectors."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras import ops

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
    """

    def __init__(
        self, bert: Bert, pooling: str, *, normalize: bool, loss: Loss, columns: int,
        chunk: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(dtype=bert.dtype_policy, name="sentences")
        self.bert, self.pooling, self.normalize = bert, pooling, normalize
        self.compare, self.columns, self.chunk = loss, columns, chunk

    def vectors(self, batch: dict[str, Tensor], training: bool = False) -> Tensor:
        """Return float32 (rows, H): one vector for each text."""
        hidden = self.bert(batch, training=training)["hidden_states.-1"]
        hidden = ops.cast(hidden, "float32")
        on = ops.cast(batch["attention_mask"], "float32")[..., None]
        if self.pooling == "cls":
            pooled = hidden[:, 0]
        elif self.pooling == "max":
            pooled = ops.max(hidden - (1 - on) * 1e9, axis=1)
        else:
            pooled = ops.sum(hidden * on, axis=1) / ops.sum(on, axis=1)
        return unit(pooled) if self.normalize else pooled

    def call(self, batch: dict[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        """Return the loss of a batch: the texts of all columns, one column after the other."""
        return {"loss": self.loss_of(self.vectors(batch, training), batch["targets"])}

    def loss_of(self, vectors: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of the vectors of all columns, (columns · B, H)."""
        columns: Sequence[Tensor] = ops.split(vectors, self.columns)
        return self.compare(columns, targets)

    def own_step(
        self, batch: dict[str, Any]
    ) -> Callable[[dict[str, Any]], Mapping[str, Any]] | None:
        """Return the step that encodes a chunk at once, where chunks are wanted."""
        if not self.chunk:
            return None
        from bertfeat_tools.embedding.cached import CachedStep

        return CachedStep(self, batch, self.chunk)
