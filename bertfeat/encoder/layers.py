"""The bricks of BERT: embeddings, self-attention and the transformer layer.

Shape letters: B batch, S sequence, H hidden, N heads, D head size.  A brick hands every inner
tensor that has a name to ``record``, so that a caller can ask for any of them; what nobody asks
for is pruned from the compiled graph.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
from keras import ops

from bertfeat.config import EncoderConfig
from bertfeat.encoder.dropout import Dropout
from bertfeat.encoder.gradients import by_hand, gelu, normalized
from bertfeat.encoder.recompute import recomputed

Tensor = Any
Record = Callable[[str, Tensor], None]

FUSED_EPSILON = 1e-3
"""The only epsilon of TensorFlow's fused layer normalization, whatever the graph says."""


def unrecorded(name: str, tensor: Tensor) -> None:
    """Record nothing."""


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """Return the function that ``hidden_act`` names.

    ``gelu`` is the exact one, 0.5 x (1 + erf(x / sqrt 2)), as in the published weights;
    ``gelu_new`` and ``gelu_pytorch_tanh`` are its tanh approximation.
    """
    if name == "gelu":
        return lambda x: ops.gelu(x, approximate=False)
    if name in ("gelu_new", "gelu_pytorch_tanh"):
        return lambda x: ops.gelu(x, approximate=True)
    found: Callable[[Tensor], Tensor] = keras.activations.get(name)
    return found


def dense(units: int, config: EncoderConfig, name: str, dtype: Any) -> keras.layers.Dense:
    """Return a dense layer initialized as BERT's are."""
    return keras.layers.Dense(units, kernel_initializer=normal(config), name=name, dtype=dtype)


def layer_norm(config: EncoderConfig, dtype: Any) -> "LayerNorm":
    """Return a layer normalization with the configuration's epsilon."""
    return LayerNorm(config.layer_norm_eps, name="layer_norm", dtype=dtype)


def normal(config: EncoderConfig) -> keras.initializers.Initializer:
    """Return BERT's initializer: a normal of ``initializer_range``, cut at two deviations.

    A range of 0 gives zeros at once, for weights that a checkpoint's take the place of.
    """
    if config.initializer_range == 0:
        return keras.initializers.Zeros()
    return keras.initializers.TruncatedNormal(stddev=config.initializer_range)


class LayerNorm(keras.layers.Layer):
    """Layer normalization over the last axis, computed in float32 whatever comes (Ba et al. 2016).

    Written in the form that TensorFlow fuses into one operation on a CPU; Keras's own is not.

    Args:
        epsilon: added to the variance.
    """

    def __init__(self, epsilon: float, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.epsilon = epsilon

    def build(self, shape: Any) -> None:
        """Create gamma and beta, float (H,) each."""
        self.gamma = self.add_weight(shape=shape[-1:], initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=shape[-1:], initializer="zeros", name="beta")
        self.built = True

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        """Normalize (..., H) to mean beta and deviation gamma."""
        gamma, beta = ops.cast(self.gamma, "float32"), ops.cast(self.beta, "float32")
        if training and by_hand():
            return ops.cast(normalized(x, gamma, beta, self.epsilon), self.compute_dtype)
        wide = ops.cast(x, "float32") * math.sqrt(FUSED_EPSILON / self.epsilon)
        axis = len(wide.shape) - 1
        mean = ops.mean(wide, axis=axis, keepdims=True)
        variance = ops.mean(ops.square(wide - mean), axis=axis, keepdims=True)
        scale = ops.rsqrt(variance + FUSED_EPSILON) * gamma
        found = wide * scale + (beta - mean * scale)
        return ops.cast(found, self.compute_dtype)


class Embeddings(keras.layers.Layer):
    """Word, position and token type embeddings, their sum, and its normalization."""

    def __init__(self, config: EncoderConfig, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.config = config
        self.layer_norm = layer_norm(config, self.dtype_policy)
        self.dropout = Dropout(config.hidden_dropout_prob, dtype=self.dtype_policy)

    def build(self, _: Any = None) -> None:
        """Create the three tables, float (vocab_size | positions | types, H)."""
        for name, rows in (
            ("word_embeddings", self.config.vocab_size),
            ("position_embeddings", self.config.max_position_embeddings),
            ("token_type_embeddings", self.config.type_vocab_size),
        ):
            shape = (rows, self.config.hidden_size)
            table = self.add_weight(shape=shape, initializer=normal(self.config), name=name)
            setattr(self, name, table)
        self.layer_norm.build((None, None, self.config.hidden_size))
        self.built = True

    def call(self, inputs: Mapping[str, Tensor], record: Record, training: bool = False) -> Tensor:
        """Embed tokens: the encoder's inputs to float (B, S, H)."""
        total = self.sum(inputs, record)
        record("embeddings_sum", total)
        return self.dropout(self.layer_norm(total, training=training), training=training)

    def sum(self, inputs: Mapping[str, Tensor], record: Record) -> Tensor:
        """Look up and add the three embeddings of each token, float (B, S, H)."""
        words = ops.take(self.word_embeddings, inputs["input_ids"], axis=0)  # (B, S, H)
        places = inputs.get("position_ids")
        if places is None:
            positions = self.position_embeddings[None, : ops.shape(words)[1]]  # (1, S, H)
        else:
            positions = ops.take(self.position_embeddings, places, axis=0)  # (B, S, H)
        types = ops.take(self.token_type_embeddings, inputs["token_type_ids"], axis=0)  # (B, S, H)
        record("word_embeddings", words)
        record("position_embeddings", ops.broadcast_to(positions, ops.shape(words)))
        record("token_type_embeddings", types)
        return ops.cast(words + positions + types, self.compute_dtype)


class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention with its output projection, residual and normalization.

    Args:
        config: sizes and constants.
        score_dtype: what scores and probabilities are held in.
    """

    def __init__(self, config: EncoderConfig, score_dtype: str = "float32", **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.config = config
        hidden, policy = config.hidden_size, self.dtype_policy
        self.score_dtype = score_dtype
        self.query = dense(hidden, config, "query", policy)
        self.key = dense(hidden, config, "key", policy)
        self.value = dense(hidden, config, "value", policy)
        self.output_dense = dense(hidden, config, "output", policy)
        self.layer_norm = layer_norm(config, policy)
        self.probability_dropout = Dropout(config.attention_probs_dropout_prob, dtype=policy)
        self.dropout = Dropout(config.hidden_dropout_prob, dtype=policy)

    def build(self, _: Any = None) -> None:
        """Create the four projections, (H, H) each."""
        shape = (None, self.config.hidden_size)
        for layer in (self.query, self.key, self.value, self.output_dense, self.layer_norm):
            layer.build(shape)
        self.built = True

    def call(self, hidden: Tensor, bias: Tensor, record: Record, training: bool = False) -> Tensor:
        """Attend: hidden (B·S, H) and additive bias (B, 1, S, S) to (B·S, H)."""
        query, key, value = (
            self._split(layer(hidden), bias) for layer in (self.query, self.key, self.value)
        )  # (B, N, S, D)
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))  # (B, N, S, S)
        scores = ops.cast(scores, self.score_dtype) * (1 / math.sqrt(self.config.head_size))
        scores = scores + ops.cast(bias, self.score_dtype)
        probabilities = ops.softmax(scores, axis=-1)
        record("queries", query)
        record("keys", key)
        record("values", value)
        record("attentions", probabilities)
        weights = ops.cast(probabilities, self.compute_dtype)
        weights = self.probability_dropout(weights, training=training)
        context = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))  # (B, S, N, D)
        projected = self.output_dense(ops.reshape(context, ops.shape(hidden)))
        attended = hidden + self.dropout(projected, training=training)
        return self.layer_norm(attended, training=training)

    def _split(self, x: Tensor, bias: Tensor) -> Tensor:
        heads = (self.config.num_attention_heads, self.config.head_size)
        rows = ops.reshape(x, (-1, ops.shape(bias)[-1], *heads))  # (B, S, N, D)
        return ops.transpose(rows, (0, 2, 1, 3))  # (B, N, S, D)


class TransformerLayer(keras.layers.Layer):
    """One post-norm transformer layer: self-attention, then the feed-forward network.

    Attributes:
        recompute: in training keep nothing but the layer's input, and compute the rest again for
            the gradient (Chen et al. 2016); inner tensors are then not recorded.
    """

    recompute = False

    def __init__(self, config: EncoderConfig, score_dtype: str = "float32", **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.config = config
        policy = self.dtype_policy
        self.attention = SelfAttention(config, score_dtype, name="attention", dtype=policy)
        self.intermediate = dense(config.intermediate_size, config, "intermediate", policy)
        self.activation = activation(config.hidden_act)
        self.output_dense = dense(config.hidden_size, config, "output", policy)
        self.layer_norm = layer_norm(config, policy)
        self.dropout = Dropout(config.hidden_dropout_prob, dtype=policy)

    def build(self, _: Any = None) -> None:
        """Create the attention and the two dense layers, (H, I) and (I, H)."""
        shape = (None, self.config.hidden_size)
        self.attention.build(shape)
        self.intermediate.build(shape)
        self.output_dense.build((None, self.config.intermediate_size))
        self.layer_norm.build(shape)
        self.built = True

    def call(self, hidden: Tensor, bias: Tensor, record: Record, training: bool = False) -> Tensor:
        """Transform hidden states, (B·S, H) to (B·S, H)."""
        if training and self.recompute:
            call = partial(self._transform, bias=bias, training=True)
            inner = self.attention
            dropouts = (inner.probability_dropout, inner.dropout, self.dropout)
            return recomputed(self, call, hidden, dropouts)
        return self._transform(hidden, bias, record, training)

    def _transform(
        self, hidden: Tensor, bias: Tensor, record: Record = unrecorded, training: bool = False
    ) -> Tensor:
        attended = self.attention(hidden, bias, record=record, training=training)
        return self.feed_forward(attended, training)

    def feed_forward(self, attended: Tensor, training: bool = False) -> Tensor:
        """Do what follows the attention: the feed-forward network, (B·S, H) to (B·S, H)."""
        is_exact = self.config.hidden_act == "gelu"
        activate = gelu if training and is_exact and by_hand() else self.activation
        widened = activate(self.intermediate(attended))  # (B·S, I)
        narrowed = self.dropout(self.output_dense(widened), training=training)
        return self.layer_norm(attended + narrowed, training=training)
