"""What a caller passes as texts, made into items."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bertfeat.errors import InputError


def as_items(texts: Any) -> tuple[list[Any], bool]:
    """Return the items of a call and whether it was one bare string.

    Args:
        texts: a string, or any iterable (list, array, Series, generator) of items.

    Raises:
        InputError: it is neither.
    """
    return list(iterate(texts)), isinstance(texts, str)


def iterate(texts: Any) -> Iterator[Any]:
    """Return an iterator over the items of a call, as :func:`as_items` without reading ahead."""
    if isinstance(texts, str):
        return iter([texts])
    if isinstance(texts, bytes | bytearray | Mapping) or not isinstance(texts, Iterable):
        raise InputError(
            "texts: expected a string or an iterable of strings, pairs (tuples) or word lists, "
            f"got {type(texts).__name__}"
        )
    return iter(texts)
