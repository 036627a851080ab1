"""Replies to the requests of one call, made into one result with the rows in order."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from bertfeat_client.errors import (
    InternalError,
    MalformedMessage,
    RowErrors,
    ServerError,
    from_wire,
)
from bertfeat_client.items import Rows
from bertfeat_client.protocol import Message, bfloat16_to_float32, split_rows
from bertfeat_client.results import EncodeInfo, TokenFeatures

T = TypeVar("T")
INDEX = re.compile(r"^texts\[\d+\]")


class Replies:
    """The replies to the chunks of one call's rows.

    Args:
        rows: the call's rows, with the errors found before anything was sent.
        chunks: what each request held.
        replies: one for each chunk.
        first: number of the call's first row in the caller's eyes, for messages.

    Attributes:
        is_single: the caller passed one bare string.
        errors: row to error, those found here and there, in order.
    """

    def __init__(
        self, rows: Rows, chunks: Sequence[Rows], replies: Sequence[Message], first: int = 0
    ) -> None:
        self.is_single, self._count = rows.is_single, rows.count
        self._parts = list(zip(chunks, replies, strict=True))
        errors: dict[int, ServerError] = dict(rows.errors)
        for chunk, reply in self._parts:
            errors |= _row_errors(chunk, reply, first)
        self.errors = dict(sorted(errors.items()))

    @property
    def is_mixed(self) -> bool:
        """Whether the replies are of different models."""
        return len({tuple(_origin(reply).items()) for _, reply in self._parts}) > 1

    def checked(self, result: T) -> T:
        """Return a result of these replies.

        Raises:
            RowErrors: some rows failed.
        """
        if self.errors:
            raise RowErrors(self.errors, result)
        return result

    def info(self) -> EncodeInfo:
        """Return what happened to each row.

        Raises:
            InternalError: the replies are of different models.
        """
        origins = [_origin(reply) for _, reply in self._parts]
        if self.is_mixed:
            raise InternalError(
                f"the server changed its model during the call: {origins[0]} became {origins[-1]}; "
                "the vectors do not belong together: call again"
            )
        return EncodeInfo(
            self.array("num_tokens"),
            self.array("truncated"),
            self.errors,
            **origins[0],
            timing=_longest([reply for _, reply in self._parts]),
        )

    def array(self, name: str, if_none: np.ndarray | None = None) -> np.ndarray:
        """Return one value for each row, (n, …), C-contiguous and writable; failed rows zero.

        Args:
            name: the array's name in the replies.
            if_none: has the shape and dtype of one row's value, for calls that sent nothing.
        """
        parts = [(chunk, _rows_of(reply, name, chunk)) for chunk, reply in self._parts]
        one = parts[0][1][0] if parts else np.asarray(if_none)
        result = np.zeros((self._count, *one.shape), one.dtype)
        for chunk, part in parts:
            if part.shape[1:] != one.shape:
                raise MalformedMessage(
                    f"replies to one call have {name!r} of shapes {result.shape} and {part.shape}"
                )
            result[chunk.numbers] = part[: len(chunk.numbers)]
        return result

    def truncated(self) -> np.ndarray:
        """Return whether each row was cut, bool (n,); False where the replies do not tell."""
        is_told = all("truncated" in reply.arrays for _, reply in self._parts)
        nowhere = np.zeros((), bool)
        return self.array("truncated", nowhere) if is_told else np.zeros(self._count, bool)

    def items(self) -> list[Any]:
        """Return the replies' items, one for each row; None for failed rows."""
        result: list[Any] = [None] * self._count
        for chunk, reply in self._parts:
            for number, item in zip(chunk.numbers, _items_of(reply, chunk), strict=False):
                result[number] = item
        return result

    def vectors(self) -> np.ndarray | list[np.ndarray]:
        """Return the vectors of each row: one array, or a list of (tokens, …) arrays."""
        if "vectors" not in self._parts[0][1].ragged:
            return self.array("vectors")
        by_row: list[np.ndarray | None] = [None] * self._count
        for number, arrays in self._ragged_rows():
            by_row[number] = np.array(arrays["vectors"], order="C")
        shape = self._parts[0][1].arrays["vectors"].shape[1:]
        kind = _widened(self._parts[0][1], "vectors").dtype
        return [np.zeros((0, *shape), kind) if row is None else row for row in by_row]

    def tokens(self) -> list[TokenFeatures]:
        """Return the token vectors of each row."""
        info, words = self.info(), self.items()
        nothing = {
            "vectors": np.zeros((0, *self._parts[0][1].arrays["vectors"].shape[1:]), np.float32),
            "offsets": np.zeros((0, 2), np.int32), "word_ids": np.zeros(0, np.int32),
        }  # fmt: skip
        found = dict(self._ragged_rows())
        return [
            self._token_features(number, found.get(number, nothing), words[number] or [], info)
            for number in range(self._count)
        ]

    def _token_features(
        self, number: int, arrays: Mapping[str, np.ndarray], tokens: list[str], info: EncodeInfo
    ) -> TokenFeatures:
        return TokenFeatures(
            tokens=tokens,
            offsets=[(start, stop) for start, stop in arrays["offsets"].tolist()],
            word_ids=[None if word < 0 else word for word in arrays["word_ids"].tolist()],
            vectors=np.array(arrays["vectors"].swapaxes(0, 1), order="C"),
            num_tokens=int(info.num_tokens[number]),
            truncated=bool(info.truncated[number]),
            error=self.errors.get(number),
        )

    def _ragged_rows(self) -> list[tuple[int, dict[str, np.ndarray]]]:
        rows = []
        for chunk, reply in self._parts:
            widened = {name: _widened(reply, name) for name in reply.arrays}
            message = Message(reply.header, reply.items, widened, reply.ragged)
            _rows_of(reply, "lengths", chunk)
            cut = split_rows(message, [1] * len(chunk.numbers))
            rows += [
                (number, arrays) for number, (arrays, _) in zip(chunk.numbers, cut, strict=True)
            ]
        return rows


def _rows_of(reply: Message, name: str, chunk: Rows) -> np.ndarray:
    array = _widened(reply, name)
    if name in reply.ragged or array.shape[:1] != (chunk.count,):
        raise MalformedMessage(
            f"the reply's {name!r} has the shape {array.shape}, expected {chunk.count} rows"
        )
    return array


def _items_of(reply: Message, chunk: Rows) -> list[Any]:
    if reply.items is None or len(reply.items) != chunk.count:
        count = "none" if reply.items is None else len(reply.items)
        raise MalformedMessage(f"the reply has {count} items, expected {chunk.count}")
    return reply.items


def _widened(reply: Message, name: str) -> np.ndarray:
    if name not in reply.arrays:
        raise MalformedMessage(f"the reply has no {name!r}; it has {', '.join(reply.arrays)}")
    array = reply.arrays[name]
    return bfloat16_to_float32(array) if name in reply.bfloat16 else array


def _row_errors(chunk: Rows, reply: Message, first: int) -> dict[int, ServerError]:
    request_id = str(reply.header.get("id"))
    errors = {}
    for key, error in (reply.header.get("row_errors") or {}).items():
        if not key.isdecimal() or int(key) >= chunk.count:
            raise MalformedMessage(f"the reply has an error of row {key!r} out of {chunk.count}")
        if chunk.numbers:
            number = chunk.numbers[int(key)]
            # the server counts the rows of a request, the caller those of the call
            error |= {"message": INDEX.sub(f"texts[{first + number}]", str(error.get("message")))}
            errors[number] = from_wire(error, request_id)
    return errors


def _longest(replies: Sequence[Message]) -> dict[str, float]:
    timings = [(reply.header.get("info") or {}).get("timing") or {} for reply in replies]
    return max(timings, key=lambda timing: timing.get("total_ms", 0.0), default={})


def _origin(reply: Message) -> dict[str, str]:
    info = reply.header.get("info") or {}
    return {key: str(info.get(key, "")) for key in ("precision", "model_hash", "model")}
