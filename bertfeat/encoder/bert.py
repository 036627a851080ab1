"""BERT (Devlin et al. 2019), from token ids to any of its inner tensors, by name.

Inputs are int32 (B, S): ``input_ids``, ``attention_mask``, ``token_type_ids``; and, for the
masked-LM head only, ``masked_positions`` (B, M), the places that it scores.  A token attends to
those with its own number in ``attention_mask`` (0 = padding), so that several texts may share a
row.  Then ``position_ids`` (R, S) count from 0 in each text, and ``token_places`` (B, S) says where
in the R flattened rows each text's tokens stand: hidden states and heads are one row for each text.
The outputs are named in :mod:`bertfeat.encoder.names`; only those asked for are computed, and
layers that no asked output depends on are not run.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from bertfeat.config import EncoderConfig
from bertfeat.encoder.heads import MaskedLM
from bertfeat.encoder.layers import Embeddings, Record, Tensor, TransformerLayer, dense
from bertfeat.encoder.names import HEADS, depth, positive


class Bert(keras.Model):
    """The encoder and whichever heads its checkpoint has.

    Args:
        config: sizes and constants.
        heads: names out of ``HEADS``; ``masked_lm/decoder`` if its decoder is not tied.
        num_labels: outputs of the ``classifier`` head.
        dtype: Keras dtype policy, say ``"float32"`` or ``"mixed_bfloat16"``.
        score_dtype: what attention holds its scores in; a narrower one than float32 only where
            the back end's softmax adds up in float32 all the same.
    """

    def __init__(
        self,
        config: EncoderConfig,
        *,
        heads: Iterable[str] = (),
        num_labels: int = 2,
        dtype: Any = "float32",
        score_dtype: str = "float32",
        name: str = "bert",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        self.config, self.heads, self.num_labels = config, tuple(heads), num_labels
        self.score_dtype = score_dtype
        policy = self.dtype_policy
        self.embeddings = Embeddings(config, name="embeddings", dtype=policy)
        self.encoder_layers = [
            TransformerLayer(config, score_dtype, name=f"layers_{i}", dtype=policy)
            for i in range(config.num_hidden_layers)
        ]
        if "pooler" in self.heads:
            self.pooler = dense(config.hidden_size, config, "pooler", policy)
        if "masked_lm" in self.heads:
            untied = "masked_lm/decoder" in self.heads
            self.masked_lm = MaskedLM(config, untied=untied, name="masked_lm", dtype=policy)
        for head, units in (("next_sentence", 2), ("classifier", num_labels), ("span", 2)):
            if head in self.heads:
                setattr(self, head, dense(units, config, head, policy))
        self.build()

    def build(self, _: Any = None) -> None:
        """Create every weight."""
        self.embeddings.build()
        for layer in self.encoder_layers:
            layer.build()
        for head in self.heads:
            if head in HEADS:
                getattr(self, head).build((None, self.config.hidden_size))
        self.built = True

    def call(
        self,
        inputs: Mapping[str, Tensor],
        outputs: tuple[str, ...] = ("hidden_states.-1",),
        training: bool = False,
    ) -> dict[str, Tensor]:
        """Compute the named outputs (module docstring) of a padded batch."""
        num_layers = self.config.num_hidden_layers
        wanted = {positive(name, num_layers): name for name in outputs}
        found: dict[str, Tensor] = {}

        def record(name: str, tensor: Tensor) -> None:
            if name in wanted:
                found[wanted[name]] = tensor

        bias = attention_bias(inputs["attention_mask"], causal=self.config.is_decoder)
        hidden = self.embeddings(inputs, record=record, training=training)
        hidden = ops.reshape(hidden, (-1, self.config.hidden_size))  # (R·S, H)
        record("hidden_states.0", by_text(hidden, inputs))
        for i, layer in enumerate(self.encoder_layers[: depth(wanted, num_layers)]):
            hidden = layer(hidden, bias, record=numbered(record, i), training=training)
            record(f"hidden_states.{i + 1}", by_text(hidden, inputs))
        self._apply_heads(by_text(hidden, inputs), inputs, wanted, record)
        return found

    def _apply_heads(
        self, hidden: Tensor, inputs: Mapping[str, Tensor], wanted: Iterable[str], record: Record
    ) -> None:
        if {"pooled", "next_sentence_logits", "classifier_logits"} & set(wanted):
            first = hidden[:, 0]  # (B, H): [CLS]
            pooled = ops.tanh(self.pooler(first)) if "pooler" in self.heads else first
            record("pooled", pooled)
            for head in ("next_sentence", "classifier"):
                if f"{head}_logits" in wanted:
                    record(f"{head}_logits", ops.cast(getattr(self, head)(pooled), "float32"))
        if "token_logits" in wanted:
            record("token_logits", ops.cast(self.classifier(hidden), "float32"))
        if "span_logits" in wanted:
            record("span_logits", ops.cast(self.span(hidden), "float32"))
        if "masked_lm_logits" in wanted:
            positions = inputs.get("masked_positions")  # (B, M)
            if positions is not None:
                hidden = ops.take_along_axis(hidden, positions[:, :, None], axis=1)  # (B, M, H)
            record("masked_lm_logits", self.masked_lm(hidden, self.embeddings.word_embeddings))

    def named_weights(self) -> dict[str, keras.Variable]:
        """Return every weight under the name that all checkpoint formats map to."""
        return {canonical_name(weight.path): weight for weight in self.weights}

    def assign(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Set every weight from arrays under the names of :meth:`named_weights`."""
        for name, weight in self.named_weights().items():
            weight.assign(tensors[name])

    def get_config(self) -> dict[str, Any]:
        """Return what :meth:`from_config` needs to make the same architecture."""
        return {
            "config": self.config.to_dict(),
            "heads": list(self.heads),
            "num_labels": self.num_labels,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "score_dtype": self.score_dtype,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Bert":
        """Make the architecture that :meth:`get_config` described."""
        values = dict(config)
        values["dtype"] = keras.dtype_policies.deserialize(values["dtype"])
        return cls(EncoderConfig(**values.pop("config")), **values)


def attention_bias(attention_mask: Tensor, *, causal: bool = False) -> Tensor:
    """Return what is added to the scores, float32 (R, 1, S, S): 0 within a text, else -1e9.

    Args:
        attention_mask: int32 (R, S), the number of each token's text.
        causal: whether what follows a token is hidden from it too.
    """
    other = attention_mask[:, None, :, None] != attention_mask[:, None, None, :]
    if causal:
        places = ops.arange(ops.shape(attention_mask)[1])
        other = ops.logical_or(other, places[None, None, :, None] < places)
    return ops.cast(other, "float32") * -1e9


def by_text(hidden: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
    """Give each text a row of its own: (R·S, H) to (B, S, H)."""
    if "token_places" in inputs:
        return ops.take(hidden, inputs["token_places"], axis=0)
    return ops.reshape(hidden, (*ops.shape(inputs["attention_mask"]), hidden.shape[-1]))


def numbered(record: Record, layer: int) -> Record:
    """Return a ``record`` that adds the layer's number to each name."""
    return lambda name, tensor: record(f"{name}.{layer}", tensor)


def canonical_name(path: str) -> str:
    """Turn a Keras variable path into its checkpoint name: ``layers/0/attention/query/kernel``."""
    return path.partition("/")[2].replace("layers_", "layers/", 1)
