"""The loss of multiple choice: a classifier with one output, compared over the choices."""

from typing import Any

from keras import ops

from bertfeat_tools.finetuning.classifier import Classifier

Tensor = Any
ABSENT = -1e9


class Chooser(Classifier):
    """Cross-entropy over the scores of a question's choices (Devlin et al. 2019, 4.4).

    A batch holds one row for each choice, and ``choices``, int32 (questions, most choices): the
    row of each choice, -1 where a question has fewer.
    """

    def logits(self, batch: dict[str, Tensor], training: bool = False) -> Tensor:
        """Return float32 (questions, most choices); without ``choices`` (rows, 1)."""
        scores = super().logits(batch, training)
        if "choices" not in batch:
            return scores
        rows = batch["choices"]
        return ops.where(rows < 0, ABSENT, ops.take(scores[:, 0], ops.maximum(rows, 0)))
