"""Layer numbers as people write them: integers, ranges, ``"all"``, negatives from the end."""

import re
from collections.abc import Iterable
from operator import index
from typing import Any

from bertfeat.errors import InputError

RANGE = re.compile(r"^(-?\d+)?:(-?\d+)?$")


def resolve_layers(layers: Any, num_layers: int) -> tuple[int, ...]:
    """Turn a choice of layers into numbers from 0 (embeddings) to ``num_layers`` (last).

    Args:
        layers: an integer, ``"-1"``, a range like ``"-4:"`` (as Python slices ``0 … N``),
            ``"all"``, a comma-separated string of these, or an iterable of them.
        num_layers: N, the number of transformer layers.

    Raises:
        InputError: it is none of these, names a layer that does not exist, or names nothing.
    """
    parts = layers.split(",") if isinstance(layers, str) else layers
    parts = parts if isinstance(parts, Iterable) else [parts]
    numbers = [number for part in parts for number in _expand(part, num_layers)]
    if not numbers:
        raise InputError(f"layers={layers!r} names no layer; give one, a range or 'all'")
    return tuple(numbers)


def _expand(part: Any, num_layers: int) -> Iterable[int]:
    text = part.strip() if isinstance(part, str) else part
    if text == "all":
        return range(num_layers + 1)
    if isinstance(text, str) and (found := RANGE.match(text)):
        return range(num_layers + 1)[slice(*(int(end) if end else None for end in found.groups()))]
    return [_one(text, num_layers)]


def _one(part: Any, num_layers: int) -> int:
    try:
        number = int(part) if isinstance(part, str) else index(part)
    except (TypeError, ValueError):
        number = None
    if number is None or isinstance(part, bool):
        raise InputError(
            f"layers: expected integers, ranges like '-4:' or 'all', got {part!r}"
        ) from None
    if not -num_layers - 1 <= number <= num_layers:
        raise InputError(
            f"layer {number} does not exist: this model has 0 (embeddings) to {num_layers} (last), "
            f"or -1 (last) to {-num_layers - 1}"
        )
    return number % (num_layers + 1)
