"""The options of a call, resolved against one model: nothing is left to decide."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bertfeat.checkpoints.model_folder import Dense, SentenceModules
from bertfeat.config import EncoderConfig
from bertfeat.errors import InputError, MissingHead
from bertfeat.features.layers import resolve_layers
from bertfeat.features.options import EncodeOptions

PLAIN = SentenceModules(
    pooling=("mean",), include_prompt=True, dense=(), normalize=False, max_seq_length=None,
    prompts={}, default_prompt_name=None, similarity=None, truncate_dim=None,
)  # fmt: skip
"""What a folder without ``modules.json`` does: the mean of the last layer."""


@dataclass(frozen=True)
class FeatureSpec:
    """Exactly which vector is made of a text.

    Attributes:
        layers: 0 (embeddings) … N (last).
        combine: one of ``bertfeat.features.options.COMBINATIONS``.
        layer_weights: factors for ``weighted``.
        pooling: names out of ``POOLINGS``; several are concatenated.
        dense: layers of the model's folder that follow the pooling.
        normalize: to length 1, last of all.
        dimensions: components kept before normalizing, None = all.
        dim: length of the resulting vector (of each layer's for ``combine="none"``).
    """

    layers: tuple[int, ...]
    combine: str
    layer_weights: tuple[float, ...]
    pooling: tuple[str, ...]
    dense: tuple["DenseKey", ...]
    normalize: bool
    dimensions: int | None
    dim: int

    @property
    def is_ragged(self) -> bool:
        """Whether the result is one vector per token instead of one per text."""
        return self.pooling == ("none",)


@dataclass(frozen=True, eq=False)
class DenseKey:
    """A dense layer of the folder; two are equal only if they are the same object."""

    layer: Dense


def resolve_spec(
    options: EncodeOptions,
    config: EncoderConfig,
    modules: SentenceModules,
    dense: Sequence[DenseKey],
    heads: Sequence[str],
) -> FeatureSpec:
    """Fill what the caller left open from the model's folder, and check the rest.

    The folder's Dense layers belong to its own pooling of the last layer, so they apply only where
    neither layers nor pooling are chosen by the caller.

    Raises:
        InputError: options contradict each other or the model.
        MissingHead: ``pooler`` is asked of a checkpoint without one.
    """
    own = options.layers is None and options.pooling is None and options.combine is None
    layers = resolve_layers(
        -1 if options.layers is None else options.layers, config.num_hidden_layers
    )
    pooling = modules.pooling if options.pooling is None else (options.pooling,)
    combine = options.combine or "concat"
    weights = options.layer_weights or ()
    if combine == "weighted" and len(weights) != len(layers):
        raise InputError(
            f"{len(weights)} layer_weights for {len(layers)} layers; give one for each"
        )
    if pooling == ("pooler",):
        _check_pooler(layers, config.num_hidden_layers, heads)
    kept = tuple(dense) if own else ()
    width = config.hidden_size * (len(layers) if combine == "concat" else 1)
    width *= sum(2 if name == "mean_max" else 1 for name in pooling)
    width = kept[-1].layer.kernel.shape[1] if kept else width
    dimensions = options.dimensions or (modules.truncate_dim if own else None)
    if dimensions is not None and dimensions > width:
        raise InputError(
            f"dimensions={dimensions} is more than the {width} that these vectors have"
        )
    normalize = options.normalize
    if normalize is None:
        normalize = modules.normalize and pooling != ("none",)
    return FeatureSpec(
        layers, combine, weights, pooling, kept, normalize, dimensions, dimensions or width
    )


def empty_result(spec: FeatureSpec) -> np.ndarray | list[np.ndarray]:
    """Return what encoding no text at all gives: float32 (0, dim), (0, layers, dim) or []."""
    if spec.is_ragged:
        return []
    middle = (len(spec.layers),) if spec.combine == "none" else ()
    return np.zeros((0, *middle, spec.dim), np.float32)


def _check_pooler(layers: tuple[int, ...], num_layers: int, heads: Sequence[str]) -> None:
    if layers != (num_layers,):
        raise InputError("pooling='pooler' reads the last layer only; leave layers out")
    if "pooler" not in heads:
        raise MissingHead("this checkpoint has no pooler; choose another pooling, say 'cls'")
