"""Masked-LM and sentence-pair losses on an encoder (google-research/bert run_pretraining.py)."""

from typing import Any

from keras import ops

from bertfeat.encoder.bert import Bert
from bertfeat_tools.training.model import TrainingModel

Tensor = Any
HEADS = ("pooler", "masked_lm", "next_sentence")


class Pretraining(TrainingModel):
    """The sum of both mean losses; only masked places go through the output layer.

    Args:
        bert: with the heads ``HEADS``; trained in place.
        pairs: whether the pair's label is learned too.
        mask_id: id of [MASK], to tell the kinds of masked tokens apart.
    """

    def __init__(self, bert: Bert, *, pairs: bool = True, mask_id: int = -1) -> None:
        super().__init__(dtype=bert.dtype_policy, name="pretraining")
        self.bert, self.pairs, self.mask_id = bert, pairs, mask_id

    def call(self, batch: dict[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        """Return losses and accuracies of a batch (see ``bertfeat_tools.pretraining.corpus``)."""
        outputs = ("masked_lm_logits", *(("next_sentence_logits",) if self.pairs else ()))
        found = self.bert(batch, outputs=outputs, training=training)
        scalars = self._masked(found["masked_lm_logits"], batch)
        loss = scalars["masked_lm_loss"]
        if self.pairs:
            labels, logits = batch["next_sentence_labels"], found["next_sentence_logits"]
            is_text = ops.cast(is_example(batch), "float32")
            texts = ops.sum(is_text)
            pair_loss = -ops.sum(picked(ops.log_softmax(logits), labels) * is_text) / texts
            right = ops.equal(ops.cast(ops.argmax(logits, axis=-1), labels.dtype), labels)
            scalars |= {
                "next_sentence_loss": pair_loss,
                "next_sentence_accuracy": ops.sum(ops.cast(right, "float32") * is_text) / texts,
            }
            loss = loss + pair_loss
        return {"loss": loss, **scalars}

    def _masked(self, logits: Tensor, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        labels, weights = batch["masked_ids"], ops.cast(batch["masked_weights"], "float32")
        losses = -picked(ops.log_softmax(logits), labels)  # (B, M)
        total = ops.sum(weights) + 1e-5
        right = ops.equal(ops.cast(ops.argmax(logits, axis=-1), labels.dtype), labels)
        right = ops.cast(right, "float32") * weights
        scalars = {
            "masked_lm_loss": ops.sum(losses * weights) / total,
            "masked_lm_accuracy": ops.sum(right) / total,
            "tokens": ops.sum(ops.cast(batch["attention_mask"] > 0, "float32")),
        }
        return scalars if self.bert.config.is_decoder else scalars | self._kinds(right, batch)

    def _kinds(self, right: Tensor, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        labels, weights = batch["masked_ids"], ops.cast(batch["masked_weights"], "float32")
        seen = seen_ids(batch)
        is_mask, is_same = ops.equal(seen, self.mask_id), ops.equal(seen, labels)
        kinds = {
            "mask": is_mask,
            "same": ops.logical_and(ops.logical_not(is_mask), is_same),
            "random": ops.logical_not(ops.logical_or(is_mask, is_same)),
        }
        shares = {kind: weights * ops.cast(is_kind, "float32") for kind, is_kind in kinds.items()}
        return {
            f"accuracy_{kind}": ops.sum(right * share) / ops.maximum(ops.sum(share), 1.0)
            for kind, share in shares.items()
        }


def is_example(batch: dict[str, Tensor]) -> Tensor:
    """Tell real examples from those that fill a batch up, bool (B,)."""
    first = batch["lengths"] if "lengths" in batch else batch["attention_mask"][:, 0]
    return first > 0


def seen_ids(batch: dict[str, Tensor]) -> Tensor:
    """Return what the model sees in the masked places, int (B, M)."""
    ids, places = batch["input_ids"], batch["masked_positions"]
    if "token_places" not in batch:
        return ops.take_along_axis(ids, places, axis=1)
    places = ops.take_along_axis(batch["token_places"], places, axis=1)
    return ops.take(ops.reshape(ids, (-1,)), places, axis=0)


def picked(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the score of each label: (..., C) and int (...) to (...)."""
    return ops.take_along_axis(scores, labels[..., None], axis=-1)[..., 0]
