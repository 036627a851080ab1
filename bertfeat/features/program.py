"""The feature algebra as a function of the encoder's outputs, compiled into its graph.

Shape letters: B batch, S sequence, L layers, H hidden, F features.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
        self, found: Mapping[str, Tensor], inputs: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return ``vectors``: float32 (B, F), (B, L, F), (B, S, F) or (B, S, L, F)."""
        from keras import ops

        spec = self.spec
        if spec.pooling == ("pooler",):
            vectors = ops.cast(found["pooled"], "float32")
            vectors = vectors[:, None] if spec.combine == "none" else vectors
        else:
            tokens = combine(spec, [found[f"hidden_states.{layer}"] for layer in spec.layers])
            vectors = ops.concatenate(
                [pool(name, tokens, inputs) for name in spec.pooling], axis=-1
            )
        for key in spec.dense:
            vectors = apply_dense(key.layer, vectors)
        vectors = vectors[..., : spec.dimensions] if spec.dimensions else vectors
        return {"vectors": unit_length(vectors) if spec.normalize else vectors}


def combine(spec: FeatureSpec, states: list[Tensor]) -> Tensor:
    """Combine layers, (B, S, H) each, to float32 (B, S, F); ``none`` gives (B, S, L, H)."""
    from keras import ops

    states = [ops.cast(state, "float32") for state in states]
    if spec.combine == "concat":
        return ops.concatenate(states, axis=-1) if len(states) > 1 else states[0]
    if spec.combine == "weighted":
        return sum(w * s for w, s in zip(spec.layer_weights, states, strict=True))
    stacked = ops.stack(states, axis=2)  # (B, S, L, H)
    if spec.combine == "none":
        return stacked
    reduce = {"sum": ops.sum, "mean": ops.mean, "max": ops.max}[spec.combine]
    return reduce(stacked, axis=2)


def pool(name: str, tokens: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
    """Pool token vectors over S: (B, S, …, F) to (B, …, F); ``none`` keeps them."""
    from keras import ops

    if name == "none":
        return tokens
    if name in ("cls", "sep", "first", "last"):
        index = token_index(name, inputs)
        index = ops.reshape(index, (-1, *[1] * (len(tokens.shape) - 1)))
        return ops.take_along_axis(tokens, index, axis=1)[:, 0]
    if name == "mean_max":
        return ops.concatenate([pool("mean", tokens, inputs), pool("max", tokens, inputs)], axis=-1)
    mask = inputs["pooling_mask"][(..., *[None] * (len(tokens.shape) - 2))]  # (B, S, 1 …)
    if name == "max":
        return ops.max(ops.where(mask > 0, tokens, -3.4e38), axis=1)
    if name == "weighted_mean":
        mask = mask * ops.cumsum(ops.ones_like(mask), axis=1)
    total = ops.sum(tokens * mask, axis=1)
    count = ops.maximum(ops.sum(mask, axis=1), 1e-9)
    return total / (ops.sqrt(count) if name == "mean_sqrt_len" else count)


def token_index(name: str, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return the place of the token that a positional pooling takes, int32 (B,).

    ``cls`` is the first token that counts, as in sentence-transformers: [CLS], or where the prompt
    is left out of the pooling, the one behind it.
    """
    from keras import ops

    if name == "cls":
        return ops.cast(ops.argmax(inputs["pooling_mask"], axis=1), "int32")
    if name == "sep":
        return inputs["lengths"] - 1
    return inputs["token_index"]


def apply_dense(layer: Any, vectors: Tensor) -> Tensor:
    """Apply a dense layer of the model's folder to the last axis."""
    from keras import ops

    from bertfeat.encoder.layers import activation

    projected = ops.matmul(vectors, ops.convert_to_tensor(layer.kernel, "float32"))
    if layer.bias is not None:
        projected = projected + ops.convert_to_tensor(layer.bias, "float32")
    return activation(layer.activation)(projected)


def unit_length(vectors: Tensor) -> Tensor:
    """Scale the last axis to Euclidean length 1; a zero vector stays zero."""
    from keras import ops

    length = ops.sqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True))
    return vectors / ops.maximum(length, 1e-12)


@dataclass(frozen=True)
class RawProgram:
    """Hands out encoder outputs as they are, by name."""

    outputs: tuple[str, ...]

    def __call__(
        self, found: Mapping[str, Tensor], inputs: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the named outputs."""
        return {name: found[name] for name in self.outputs}
