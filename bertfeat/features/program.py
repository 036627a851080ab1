"""The feature algebra as a function of the encoder's outputs.

It is written once, in the functions that ``keras.ops`` and NumPy share: an engine that compiles
graphs puts it into them, another runs it as it is.  ``ops`` is the one or the other.

Shape letters: B batch, S sequence, L layers, H hidden, F features.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bertfeat.checkpoints.model_folder import Dense
from bertfeat.features.spec import FeatureSpec

Tensor = Any


@dataclass(frozen=True)
class FeatureProgram:
    """Computes ``vectors`` of a batch as a :class:`FeatureSpec` says.

    Besides the encoder's inputs it reads ``lengths`` int32 (B,), the tokens of each text,
    ``pooling_mask`` float32 (B, S), 1 where a token counts for the means and the maximum, and for
    ``first`` and ``last`` ``token_index`` int32 (B,), the place of that token.
    """

    spec: FeatureSpec

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the encoder outputs that are needed."""
        if self.spec.pooling == ("pooler",):
            return ("pooled",)
        return tuple(dict.fromkeys(f"hidden_states.{layer}" for layer in self.spec.layers))

    def __call__(
        self, found: Mapping[str, Tensor], inputs: Mapping[str, Tensor], ops: Any
    ) -> dict[str, Tensor]:
        """Return ``vectors``: float32 (B, F), (B, L, F), (B, S, F) or (B, S, L, F)."""
        spec = self.spec
        if spec.pooling == ("pooler",):
            vectors = found["pooled"]
            vectors = vectors[:, None] if spec.combine == "none" else vectors
        else:
            tokens = combine(spec, [found[f"hidden_states.{layer}"] for layer in spec.layers], ops)
            vectors = ops.concatenate(
                [pool(name, tokens, inputs, ops) for name in spec.pooling], axis=-1
            )
        for key in spec.dense:
            vectors = apply_dense(key.layer, vectors, ops)
        vectors = vectors[..., : spec.dimensions] if spec.dimensions else vectors
        return {"vectors": unit_length(vectors, ops) if spec.normalize else vectors}


def combine(spec: FeatureSpec, states: list[Tensor], ops: Any) -> Tensor:
    """Combine layers, float32 (B, S, H) each, to float32 (B, S, F); ``none`` gives (B, S, L, H)."""
    if spec.combine == "concat":
        return ops.concatenate(states, axis=-1) if len(states) > 1 else states[0]
    if spec.combine == "weighted":
        return sum(w * s for w, s in zip(spec.layer_weights, states, strict=True))
    stacked = ops.stack(states, axis=2)  # (B, S, L, H)
    if spec.combine == "none":
        return stacked
    reduce = {"sum": ops.sum, "mean": ops.mean, "max": ops.max}[spec.combine]
    return reduce(stacked, axis=2)


def pool(name: str, tokens: Tensor, inputs: Mapping[str, Tensor], ops: Any) -> Tensor:
    """Pool token vectors over S: (B, S, …, F) to (B, …, F); ``none`` keeps them."""
    if name == "none":
        return tokens
    if name in ("cls", "sep", "first", "last"):
        index = token_index(name, inputs, ops)
        index = ops.reshape(index, (-1, *[1] * (len(tokens.shape) - 1)))
        return ops.take_along_axis(tokens, index, axis=1)[:, 0]
    if name == "mean_max":
        return ops.concatenate(
            [pool(kind, tokens, inputs, ops) for kind in ("mean", "max")], axis=-1
        )
    mask = inputs["pooling_mask"][(..., *[None] * (len(tokens.shape) - 2))]  # (B, S, 1 …)
    if name == "max":
        return ops.max(ops.where(mask > 0, tokens, -3.4e38), axis=1)
    if name == "weighted_mean":
        mask = mask * ops.cumsum(ops.ones_like(mask), axis=1)
    total = ops.sum(tokens * mask, axis=1)
    count = ops.maximum(ops.sum(mask, axis=1), 1e-9)
    return total / (ops.sqrt(count) if name == "mean_sqrt_len" else count)


def token_index(name: str, inputs: Mapping[str, Tensor], ops: Any) -> Tensor:
    """Return the place of the token that a positional pooling takes, int32 (B,).

    ``cls`` is the first token that counts, as in sentence-transformers: [CLS], or where the prompt
    is left out of the pooling, the one behind it.
    """
    if name == "cls":
        return ops.argmax(inputs["pooling_mask"], axis=1)
    if name == "sep":
        return inputs["lengths"] - 1
    return inputs["token_index"]


def apply_dense(layer: Dense, vectors: Tensor, ops: Any) -> Tensor:
    """Apply a dense layer of the model's folder to the last axis."""
    projected = ops.matmul(vectors, np.asarray(layer.kernel, np.float32))
    if layer.bias is not None:
        projected = projected + np.asarray(layer.bias, np.float32)
    return activate(layer.activation, projected, ops)


def activate(name: str, x: Tensor, ops: Any) -> Tensor:
    """Apply the activation that a dense layer names, GELU the exact one."""
    if name == "gelu":
        erf = getattr(ops, "erf", np.vectorize(math.erf, otypes=[np.float32]))
        return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))
    if name in ("sigmoid", "silu"):
        gate = 1 / (1 + ops.exp(-x))
        return gate if name == "sigmoid" else x * gate
    return {"identity": lambda x: x, "tanh": ops.tanh, "relu": lambda x: ops.maximum(x, 0)}[name](x)


def unit_length(vectors: Tensor, ops: Any) -> Tensor:
    """Scale the last axis to Euclidean length 1; a zero vector stays zero."""
    length = ops.sqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True))
    return vectors / ops.maximum(length, 1e-12)


@dataclass(frozen=True)
class RawProgram:
    """Hands out encoder outputs as they are, by name."""

    outputs: tuple[str, ...]

    def __call__(
        self, found: Mapping[str, Tensor], inputs: Mapping[str, Tensor], ops: Any
    ) -> dict[str, Tensor]:
        """Return the named outputs."""
        return {name: found[name] for name in self.outputs}
