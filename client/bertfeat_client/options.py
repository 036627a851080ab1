"""The keywords of ``encode`` and their form on the wire; what they mean is the server's affair."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from bertfeat_client.errors import InvalidRequest


class EncodeKeywords(TypedDict, total=False):
    """How texts become vectors; None or absent means what the server or the model's folder says.

    Attributes:
        model: name of one of the server's models.
        layers: an integer (0 = embeddings, -1 = last), a range like ``"-4:"``, ``"all"``, a list.
        combine: ``concat``, ``sum``, ``mean``, ``max``, ``weighted`` or ``none``.
        layer_weights: one factor for each layer, for ``combine="weighted"``.
        pooling: ``mean``, ``max``, ``mean_max``, ``mean_sqrt_len``, ``cls``, ``sep``, ``first``,
            ``last``, ``pooler`` or ``none``.
        normalize: scale each vector to Euclidean length 1.
        dimensions: keep only the first so many.
        dtype: ``float32``, ``float16``, ``bfloat16`` (on the wire; float32 here), ``int8``,
            ``uint8``, ``binary`` or ``ubinary``.
        truncate: which part of a too long text goes: ``right``, ``left``, ``middle``; or ``error``.
        prompt: text put before each text.
        prompt_name: the model's prompt of that name.
        max_seq_len: tokens read of each text.
        priority: ``high``, ``normal`` or ``low``: your share of a busy server, 4 : 1 : 1/4.
    """

    model: str | None
    layers: Any
    combine: str | None
    layer_weights: Sequence[float] | None
    pooling: str | None
    normalize: bool | None
    dimensions: int | None
    dtype: str | None
    truncate: str | None
    prompt: str | None
    prompt_name: str | None
    max_seq_len: int | None
    priority: str | None


class TokenKeywords(EncodeKeywords, total=False):
    """How texts become vectors of their tokens.

    Attributes:
        long: ``truncate``, or ``window``: long texts in windows, each token taken once, where it
            has the largest context.
        stride: tokens that neighbouring windows share.
    """

    long: str | None
    stride: int | None


def wire_options(options: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a request: those that say something, in JSON's types.

    Raises:
        TypeError: a keyword is unknown.
        InvalidRequest: a value cannot travel.
    """
    if unknown := sorted(options.keys() - known.keys()):
        raise TypeError(f"unknown keyword(s) {', '.join(unknown)}; known: {', '.join(known)}")
    return {name: plain(name, value) for name, value in options.items() if value is not None}


def plain(name: str, value: Any) -> Any:
    """Return a value in JSON's types: arrays, ranges, sets and tuples become lists.

    Raises:
        InvalidRequest: JSON has no such value.
    """
    try:
        return json.loads(json.dumps(value, default=_listed, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InvalidRequest(
            f"{name}: expected strings, finite numbers or lists of them, got {value!r}"
        ) from error


def _listed(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        raise TypeError("bytes are no JSON")
    return value.tolist() if hasattr(value, "tolist") else list(value)
