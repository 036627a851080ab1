"""Sentence vectors from texts alone (TSDAE; Wang et al. 2021).

Words are deleted from a text, what is left is encoded, and a decoder must write the whole text
from that one vector.  As in sentence-transformers' ``DenoisingAutoEncoderLoss`` the decoder is the
encoder with causal attention: both have the same weights, and only what reads the vector and what
chooses the words are its own.  Nothing of it is kept.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from bertfeat.config import EncoderConfig
from bertfeat.encoder.bert import Bert, attention_bias
from bertfeat.encoder.dropout import Dropout
from bertfeat.encoder.heads import MaskedLM
from bertfeat.encoder.layers import dense, layer_norm, unrecorded

Tensor = Any


class Reading(keras.layers.Layer):
    """Attention from each token to one vector, with its projection, residual and normalization.

    A softmax over one score is 1 whatever the score, so there are no queries and no keys: those
    of transformers' cross-attention have no effect here, and their gradient is 0.
    """

    def __init__(self, config: EncoderConfig, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.config = config
        hidden, policy = config.hidden_size, self.dtype_policy
        self.value = dense(hidden, config, "value", policy)
        self.output_dense = dense(hidden, config, "output", policy)
        self.layer_norm = layer_norm(config, policy)
        self.probability_dropout = Dropout(config.attention_probs_dropout_prob, dtype=policy)
        self.dropout = Dropout(config.hidden_dropout_prob, dtype=policy)

    def build(self, _: Any = None) -> None:
        """Create the two projections, (H, H) each."""
        for layer in (self.value, self.output_dense, self.layer_norm):
            layer.build((None, self.config.hidden_size))
        self.built = True

    def call(self, hidden: Tensor, vectors: Tensor, training: bool = False) -> Tensor:
        """Add what a text's vector says, (B, H), to each of its tokens, (B·S, H)."""
        heads, size = self.config.num_attention_heads, self.config.head_size
        value = ops.reshape(self.value(vectors), (-1, 1, heads, size))  # (B, 1, N, D)
        rows = ops.reshape(hidden, (ops.shape(vectors)[0], -1, heads, size))  # (B, S, N, D)
        weights = self.probability_dropout(ops.ones_like(rows[..., :1]), training=training)
        projected = self.output_dense(ops.reshape(weights * value, ops.shape(hidden)))
        return self.layer_norm(hidden + self.dropout(projected, training=training))


class Denoising(keras.layers.Layer):
    """Mean cross-entropy of each token of a text, given those before it and the text's vector.

    Args:
        bert: the encoder, whose embeddings and layers are the decoder's too.
        tensors: of the folder it came from; a masked-LM head among them is where that of the
            decoder starts.
        pad_id: of tokens that are none.
    """

    def __init__(self, bert: Bert, tensors: Mapping[str, np.ndarray], pad_id: int) -> None:
        policy = bert.dtype_policy
        super().__init__(name="denoising", dtype=policy, autocast=False)
        self.bert, self.pad_id = bert, pad_id
        self.readings = [
            Reading(bert.config, name=f"reading_{i}", dtype=policy)
            for i in range(bert.config.num_hidden_layers)
        ]
        self.words = MaskedLM(bert.config, name="masked_lm", dtype=policy)
        for reading in self.readings:
            reading.build()
        self.words.build()
        for weight in self.words.weights:
            found = tensors.get(weight.path[weight.path.index("masked_lm/") :])
            if found is not None and found.shape == tuple(weight.shape):
                weight.assign(np.asarray(found, np.float32))
        self.built = True

    def call(self, vectors: Sequence[Tensor], targets: Tensor, training: bool = True) -> Tensor:
        """Return the loss.

        Args:
            vectors: one column of the damaged texts' vectors, float32 (B, H).
            targets: ids of the whole texts, [CLS] to [SEP], int32 (B, S).
            training: whether the decoder has dropout.
        """
        before, labels = targets[:, :-1], targets[:, 1:]
        scores = self.scores(vectors[0], before, training)
        labels = ops.reshape(labels, (-1,))
        losses = ops.sparse_categorical_crossentropy(labels, scores, from_logits=True)
        on = ops.cast(ops.not_equal(labels, self.pad_id), "float32")
        return ops.sum(losses * on) / ops.sum(on)

    def scores(self, vectors: Tensor, before: Tensor, training: bool = False) -> Tensor:
        """Score the vocabulary as what follows each token: ids (B, S) to float32 (B·S, V)."""
        bias = attention_bias(ops.ones_like(before), causal=True)
        inputs = {"input_ids": before, "token_type_ids": ops.zeros_like(before)}
        hidden = self.bert.embeddings(inputs, record=unrecorded, training=training)
        hidden = ops.reshape(hidden, (-1, self.bert.config.hidden_size))  # (B·S, H)
        for layer, reading in zip(self.bert.encoder_layers, self.readings, strict=True):
            attended = layer.attention(hidden, bias, record=unrecorded, training=training)
            hidden = layer.feed_forward(reading(attended, vectors, training=training), training)
        return self.words(hidden, self.bert.embeddings.word_embeddings)
