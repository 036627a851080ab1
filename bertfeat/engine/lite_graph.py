"""The encoder as a LiteRT file: int8 weights, activations quantized token by token as it runs.

BERT once more, laid out as XNNPACK likes it: all tensors have rank 4 and open sizes are never
reshaped, so that the whole graph is one XNNPACK subgraph.  (A reshape of two open sizes cuts it in
pieces.)  The embeddings are looked up by the caller: a table under one int8 scale would lose more
than all the layers together.

Shape letters: R rows, S tokens of a row, H hidden, N heads, D head size.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from bertfeat.config import EncoderConfig
from bertfeat.engine.backend import load_keras, quiet_stderr

Tensor = Any
Tensors = Mapping[str, np.ndarray]
FAR = 1e4
"""Taken off a score for each squared step between two texts' numbers in a row."""
WIDEST_JOIN = 4
"""Tensors that XNNPACK concatenates at once."""


def convert(config: EncoderConfig, tensors: Tensors) -> bytes:
    """Make the LiteRT file of an encoder, its weights frozen and quantized per output channel.

    Args:
        config: sizes and constants.
        tensors: the encoder's weights under their canonical names.

    Returns:
        The file: from float32 (R, 1, S, H) sums of the embeddings and, twice, each token's text
        number in its row, float32 (R, 1, S, 1) and (R, 1, 1, S), to the hidden states 0 … N, each
        float32 (R, 1, S, H) and named ``output_0`` … ``output_N``.
    """
    load_keras()  # TensorFlow, quietly
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    def spec(name: str, *sizes: int | None) -> tf.TensorSpec:
        return tf.TensorSpec([None, 1, *sizes], tf.float32, name=name)

    def forward(embeddings_sum: Tensor, query_texts: Tensor, key_texts: Tensor) -> list[Tensor]:
        return LiteBert(config, tensors).hidden_states(embeddings_sum, query_texts, key_texts)

    signature = [
        spec("embeddings_sum", None, config.hidden_size),
        spec("query_texts", None, 1),
        spec("key_texts", 1, None),
    ]
    graph = tf.function(forward, input_signature=signature, autograph=False)
    with quiet_stderr():
        frozen = convert_variables_to_constants_v2(graph.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen], tf.Module())
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        made: bytes = converter.convert()
    return made


class LiteBert:
    """BERT's forward pass over constants."""

    def __init__(self, config: EncoderConfig, tensors: Tensors) -> None:
        self.config, self.tensors = config, tensors

    def hidden_states(
        self, embeddings_sum: Tensor, query_texts: Tensor, key_texts: Tensor
    ) -> list[Tensor]:
        """Return the hidden states 0 … N."""
        import tensorflow as tf

        apart = tf.math.squared_difference(query_texts, key_texts)  # (R, 1, S, S)
        bias = apart * np.float32(-FAR)
        states = [self.norm(embeddings_sum, "embeddings")]
        for layer in range(self.config.num_hidden_layers):
            states.append(self.layer(states[-1], bias, f"layers/{layer}"))
        return states

    def layer(self, x: Tensor, bias: Tensor, name: str) -> Tensor:
        """Apply one transformer layer: (R, 1, S, H) to the same."""
        attention = f"{name}/attention"
        attended = self.dense(self.attend(x, bias, attention), f"{attention}/output")
        x = self.norm(x + attended, attention)
        widened = activate(self.config.hidden_act, self.dense(x, f"{name}/intermediate"))
        return self.norm(x + self.dense(widened, f"{name}/output"), name)

    def attend(self, x: Tensor, bias: Tensor, name: str) -> Tensor:
        """Apply self-attention without its output projection: (R, 1, S, H) to the same."""
        import tensorflow as tf

        kernel, constant = self.query_key_value(name)
        joined = tf.matmul(x, kernel) + constant  # (R, 1, S, 3H)
        query, key, value = (self.split(joined, part) for part in range(3))  # (R, N, S, D)
        scores = tf.matmul(query, key, transpose_b=True) + bias  # (R, N, S, S)
        context = tf.matmul(tf.nn.softmax(scores), value)  # (R, N, S, D)
        heads, size = self.config.num_attention_heads, self.config.head_size
        return join([tf.slice(context, [0, n, 0, 0], [-1, 1, -1, size]) for n in range(heads)], 3)

    def query_key_value(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the three projections as one, 1/sqrt(D) within: float32 (H, 3H) and (3H,)."""
        scale = {"query": 1 / math.sqrt(self.config.head_size)}
        kernel, bias = (
            np.concatenate(
                [
                    self.float32(f"{name}/{part}/{leaf}") * np.float32(scale.get(part, 1))
                    for part in ("query", "key", "value")
                ],
                axis=-1,
            )
            for leaf in ("kernel", "bias")
        )
        return kernel, bias

    def split(self, joined: Tensor, part: int) -> Tensor:
        """Cut one of query, key and value into its heads: (R, 1, S, 3H) to (R, N, S, D)."""
        import tensorflow as tf

        heads, size = self.config.num_attention_heads, self.config.head_size
        starts = [(part * heads + head) * size for head in range(heads)]
        return join([tf.slice(joined, [0, 0, 0, at], [-1, 1, -1, size]) for at in starts], 1)

    def dense(self, x: Tensor, name: str) -> Tensor:
        """Apply a dense layer to the last axis."""
        import tensorflow as tf

        return tf.matmul(x, self.float32(f"{name}/kernel")) + self.float32(f"{name}/bias")

    def norm(self, x: Tensor, name: str) -> Tensor:
        """Normalize the last axis."""
        import tensorflow as tf

        gamma, beta = (self.float32(f"{name}/layer_norm/{leaf}") for leaf in ("gamma", "beta"))
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), -1, keepdims=True)
        scale = tf.math.rsqrt(variance + np.float32(self.config.layer_norm_eps))
        return centred * scale * gamma + beta

    def float32(self, name: str) -> np.ndarray:
        """Return a weight."""
        return np.asarray(self.tensors[name], np.float32)


def join(parts: list[Tensor], axis: int) -> Tensor:
    """Concatenate any number of tensors, few at a time."""
    import tensorflow as tf

    while len(parts) > 1:
        starts = range(0, len(parts), WIDEST_JOIN)
        parts = [tf.concat(parts[at : at + WIDEST_JOIN], axis) for at in starts]
    return parts[0]


def activate(name: str, x: Tensor) -> Tensor:
    """Apply the function that ``hidden_act`` names."""
    import tensorflow as tf

    if name.startswith("gelu"):
        return tf.nn.gelu(x, approximate=name != "gelu")
    named = {"relu": tf.nn.relu, "silu": tf.nn.silu, "swish": tf.nn.silu, "tanh": tf.tanh}
    return named.get(name, lambda y: y)(x)
