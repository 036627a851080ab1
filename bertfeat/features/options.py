"""What a caller may ask of an encoding, checked once at the border."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypedDict

from bertfeat.errors import InputError

COMBINATIONS = ("concat", "sum", "mean", "max", "weighted", "none")
POOLINGS = (
    "mean", "max", "mean_max", "mean_sqrt_len", "weighted_mean", "cls", "sep", "first", "last",
    "pooler", "none",
)  # fmt: skip
# bert-as-service's PoolingStrategy, by its meaning there.
POOLING_ALIASES = {
    "NONE": "none", "REDUCE_MEAN": "mean", "REDUCE_MAX": "max", "REDUCE_MEAN_MAX": "mean_max",
    "FIRST_TOKEN": "cls", "CLS_TOKEN": "cls", "LAST_TOKEN": "sep", "SEP_TOKEN": "sep",
    "CLS_POOLED": "pooler",
}  # fmt: skip
DTYPES = ("float32", "float16", "bfloat16", "int8", "uint8", "binary", "ubinary")
TRUNCATIONS = ("right", "left", "middle", "error")


class EncodeKeywords(TypedDict, total=False):
    """The keywords of ``Encoder.encode``; see :class:`EncodeOptions` for their meaning."""

    layers: Any
    combine: str | None
    layer_weights: Sequence[float] | None
    pooling: str | None
    normalize: bool | None
    dimensions: int | None
    dtype: str
    truncate: str
    prompt: str | None
    prompt_name: str | None
    max_seq_len: int | None


@dataclass(frozen=True, kw_only=True)
class EncodeOptions:
    """The options of one call; None means what the model's folder says.

    Attributes:
        layers: see :func:`bertfeat.features.layers.resolve_layers`; 0 = embeddings, -1 = last.
        combine: one of ``COMBINATIONS``; several layers are concatenated unless told otherwise.
        layer_weights: one factor for each layer, for ``combine="weighted"``.
        pooling: one of ``POOLINGS`` or a name of bert-as-service; means include [CLS] and [SEP].
        normalize: scale each vector to Euclidean length 1.
        dimensions: keep only the first so many, before normalizing.
        dtype: one of ``DTYPES``.
        truncate: which part of a too long text goes, or ``error``.
        prompt: text put before each text.
        prompt_name: the folder's prompt of that name.
        max_seq_len: tokens read of each text, at most what the model reads.
    """

    layers: Any = None
    combine: str | None = None
    layer_weights: tuple[float, ...] | None = None
    pooling: str | None = None
    normalize: bool | None = None
    dimensions: int | None = None
    dtype: str = "float32"
    truncate: str = "right"
    prompt: str | None = None
    prompt_name: str | None = None
    max_seq_len: int | None = None

    def __post_init__(self) -> None:
        pooling = POOLING_ALIASES.get(self.pooling or "", self.pooling)
        object.__setattr__(self, "pooling", pooling)
        _check_choice("combine", self.combine, (None, *COMBINATIONS))
        _check_choice("pooling", self.pooling, (None, *POOLINGS))
        _check_choice("dtype", self.dtype, DTYPES)
        _check_choice("truncate", self.truncate, TRUNCATIONS)
        _check_choice("normalize", self.normalize, (None, True, False))
        for name in ("dimensions", "max_seq_len"):
            _check_count(name, getattr(self, name))
        for name in ("prompt", "prompt_name"):
            if not isinstance(getattr(self, name), str | None):
                raise InputError(f"{name}={getattr(self, name)!r} is not a string")
        self._check_weights()

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any]) -> "EncodeOptions":
        """Check keywords, say from a request.

        Raises:
            InputError: keywords are unknown (all are named) or a value is not acceptable.
        """
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(options) - set(known)):
            raise InputError(f"unknown option(s) {', '.join(unknown)}; known: {', '.join(known)}")
        return cls(**options)

    def _check_weights(self) -> None:
        if (self.layer_weights is not None) != (self.combine == "weighted"):
            raise InputError("combine='weighted' and layer_weights belong together; give both")
        if self.layer_weights is None:
            return
        try:
            weights = tuple(float(weight) for weight in self.layer_weights)
        except (TypeError, ValueError):
            weights = (math.nan,)
        if not all(map(math.isfinite, weights)):
            raise InputError(f"layer_weights={self.layer_weights!r} are not finite numbers")
        object.__setattr__(self, "layer_weights", weights)


def _check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    if not isinstance(value, str | bool | None) or value not in choices:
        named = ", ".join(str(choice) for choice in choices if choice is not None)
        raise InputError(f"{name}={value!r} is none of {named}")


def _check_count(name: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise InputError(f"{name}={value!r} is not a positive whole number")
