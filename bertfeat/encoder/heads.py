"""The heads that a BERT checkpoint may carry on top of its encoder."""

from typing import Any

import keras
from keras import ops

from bertfeat.config import EncoderConfig
from bertfeat.encoder.layers import Tensor, activation, dense, layer_norm


class MaskedLM(keras.layers.Layer):
    """Masked-LM logits: dense, activation, normalization, then the word embeddings as decoder.

    Source: google-research/bert run_pretraining.py, get_masked_lm_output.
    """

    def __init__(self, config: EncoderConfig, *, untied: bool = False, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.config, self.untied = config, untied
        self.transform = dense(config.hidden_size, config, "transform", self.dtype_policy)
        self.activation = activation(config.hidden_act)
        self.layer_norm = layer_norm(config, self.dtype_policy)

    def build(self, _: Any = None) -> None:
        """Create the transform (H, H) and the output bias (V,)."""
        vocab_size, hidden_size = self.config.vocab_size, self.config.hidden_size
        self.transform.build((None, hidden_size))
        self.layer_norm.build((None, hidden_size))
        self.output_bias = self.add_weight(
            shape=(vocab_size,), initializer="zeros", name="output_bias"
        )
        if self.untied:
            self.decoder = self.add_weight(shape=(vocab_size, hidden_size), name="decoder")
        self.built = True

    def call(self, hidden: Tensor, word_embeddings: Tensor) -> Tensor:
        """Score the vocabulary: hidden (…, H) and table (V, H) to float32 logits (…, V)."""
        table = ops.cast(self.decoder if self.untied else word_embeddings, self.compute_dtype)
        hidden = self.layer_norm(self.activation(self.transform(hidden)))
        return ops.cast(ops.matmul(hidden, ops.transpose(table)) + self.output_bias, "float32")
