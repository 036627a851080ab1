"""What a caller passes as texts, made into what travels: rows checked, split into requests."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bertfeat_client.errors import InvalidRequest

EXPECTED = "a string, a tuple of two strings or a list of strings"
MAX_REQUEST_CHARS = 250_000
"""A request of several texts holds no more, so that a few of them fit into a server's queue."""

PROBE = "a"
"""Sent in place of no texts at all: its answer tells the vectors' shape and dtype."""


class TokenIds(tuple[int, ...]):
    """The token ids of one text, special tokens included, taken as they are."""

    __slots__ = ()


@dataclass(frozen=True)
class Limits:
    """What a server accepts in one request."""

    max_request_texts: int = 256
    max_text_chars: int = 1_000_000

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> "Limits":
        """Read them from what the server says of itself."""
        told = info.get("limits") or {}
        return cls(**{name: told[name] for name in cls.__dataclass_fields__ if told.get(name)})


@dataclass
class Rows:
    """The rows of a call.

    Attributes:
        count: all of them, bad ones included.
        is_single: the caller passed one bare string.
        numbers: those of the good rows.
        items: the good rows as they travel.
        errors: bad row to its error.
    """

    count: int
    is_single: bool = False
    numbers: list[int] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)
    errors: dict[int, InvalidRequest] = field(default_factory=dict)

    def chunks(self, limits: Limits) -> Iterator["Rows"]:
        """Split the good rows into requests; if there are none, one request with the probe."""
        start = chars = 0
        for stop, item in enumerate(self.items):
            size = count_chars(item)
            is_full = stop - start == limits.max_request_texts or chars + size > MAX_REQUEST_CHARS
            if is_full and stop > start:
                yield self._part(start, stop)
                start, chars = stop, 0
            chars += size
        yield self._part(start, len(self.items)) if start else self.whole()

    def whole(self) -> "Rows":
        """Return all good rows as one request, whatever its size; the probe if there are none."""
        return self._part(0, len(self.items)) if self.items else Rows(1, items=[PROBE])

    def _part(self, start: int, stop: int) -> "Rows":
        return Rows(stop - start, numbers=self.numbers[start:stop], items=self.items[start:stop])


def listed(texts: Any) -> tuple[list[Any], bool]:
    """Return the items of a call and whether it was one bare string.

    Raises:
        InvalidRequest: it is neither a string nor an iterable of items.
    """
    if isinstance(texts, str):
        return [texts], True
    is_flat = isinstance(texts, Iterable) and getattr(texts, "ndim", 1) == 1
    if not is_flat or isinstance(texts, bytes | bytearray | Mapping):
        raise _not_texts(texts)
    return list(texts), False


def read_rows(items: list[Any], limits: Limits, first: int = 0, is_single: bool = False) -> Rows:
    """Check items one by one.

    Args:
        items: whatever the caller passed.
        limits: the server's.
        first: number of the first item in the caller's eyes, for messages.
    """
    rows = Rows(len(items), is_single)
    for number, item in enumerate(items):
        try:
            rows.items.append(_wire_item(item, limits))
            rows.numbers.append(number)
        except InvalidRequest as error:
            rows.errors[number] = InvalidRequest(f"texts[{first + number}]: {error}")
    return rows


def count_chars(item: Any) -> int:
    """Return the characters of an item as it travels."""
    if isinstance(item, str):
        return len(item)
    if "ids" in item:
        return len(item["ids"])
    if "words" in item:
        return sum(map(len, item["words"])) + len(item["words"])
    return len(item["text"]) + len(item["pair"])


def _wire_item(item: Any, limits: Limits) -> Any:
    wire = _to_wire(item)
    if (chars := count_chars(wire)) > limits.max_text_chars:
        raise InvalidRequest(
            f"{chars} characters, the server takes at most {limits.max_text_chars} (its option "
            "--max-text-chars); split the text"
        )
    return wire


def _to_wire(item: Any) -> Any:
    if isinstance(item, str):
        return str(item)
    if isinstance(item, TokenIds):
        return {"ids": _whole_numbers(item)}
    if isinstance(item, tuple | list):
        for number, part in enumerate(item):
            if not isinstance(part, str):
                raise InvalidRequest(
                    f"expected {EXPECTED}, got a {type(item).__name__} whose element {number} is "
                    f"{_name(part)}"
                )
        if isinstance(item, list):
            return {"words": list(item)}
        if len(item) == 2:
            return {"text": item[0], "pair": item[1]}
        raise InvalidRequest(f"expected {EXPECTED}, got a tuple of {len(item)}")
    raise InvalidRequest(f"expected {EXPECTED}, got {_name(item)}")


def _whole_numbers(ids: TokenIds) -> list[int]:
    for place, number in enumerate(ids):
        if isinstance(number, bool) or not hasattr(number, "__index__") or number < 0:
            raise InvalidRequest(
                f"expected token ids, whole numbers from 0, got {number!r} as {place}"
            )
    return [int(number) for number in ids]


def _name(value: Any) -> str:
    return "NaN" if isinstance(value, float) and value != value else type(value).__name__


def _not_texts(texts: Any) -> InvalidRequest:
    shape = f" of shape {texts.shape}" if hasattr(texts, "shape") else ""
    return InvalidRequest(
        "texts: expected a string or a one-dimensional iterable of strings, pairs (tuples) or "
        f"word lists, got {type(texts).__name__}{shape}"
    )
