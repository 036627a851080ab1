"""From workers' results back to one reply for each request: cut, renumbered, joined in order."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bertfeat_client.errors import MalformedMessage, ServerError, to_wire
from bertfeat_client.protocol import Message, join_rows, split_rows

ROW_IN_MESSAGE = re.compile(r"^(\w+)\[\d+\]")
RowError = dict[str, Any]


@dataclass(slots=True)
class Piece:
    """What a worker made of consecutive rows: a message, its row errors aside."""

    message: Message
    row_errors: dict[int, RowError]


@dataclass(slots=True)
class Reply:
    """The answer to one request while it is put together.

    Attributes:
        rows: how many rows the request has.
        row_errors: row to wire error, of rows that the broker refused and those that failed.
    """

    rows: int
    row_errors: dict[int, RowError]
    _pieces: dict[int, tuple[int, Message | None]] = field(default_factory=dict)
    _missing: int = -1
    _spare: Message | None = None

    def __post_init__(self) -> None:
        self._missing = max(1, self.rows)

    @property
    def complete(self) -> bool:
        """Whether every row has its outcome."""
        return self._missing <= 0

    def add(self, start: int, stop: int, piece: Piece) -> None:
        """Put in rows ``start`` to ``stop``."""
        for row, error in piece.row_errors.items():
            self.row_errors.setdefault(start + row, _renumbered(error, start + row))
        failed = len(piece.row_errors) == stop - start > 0
        self._spare = piece.message if failed else self._spare
        self._put(start, stop, None if failed else piece.message)

    def refuse(self, start: int, stop: int, error: ServerError) -> None:
        """Give rows ``start`` to ``stop`` up."""
        for row in range(start, stop):
            self.row_errors.setdefault(row, to_wire(error))
        self._put(start, stop, None)

    def message(self, request_id: str) -> Message:
        """Return the reply; an error if no row was computed at all."""
        pieces = [piece for _, piece in sorted(self._pieces.items())]
        like = next((message for _, message in pieces if message is not None), self._spare)
        if like is None:
            return error_reply(request_id, self.row_errors[min(self.row_errors)])
        reply = join_rows([message or _zeros(like, rows) for rows, message in pieces])
        reply.header = {"id": request_id, "status": "ok", "info": like.header["info"]}
        if self.row_errors:
            reply.header["row_errors"] = {str(row): e for row, e in self.row_errors.items()}
        return reply

    def _put(self, start: int, stop: int, message: Message | None) -> None:
        self._pieces[start] = (stop - start, message)
        self._missing -= max(1, stop - start)


def error_reply(request_id: str, error: Mapping[str, Any]) -> Message:
    """Return the reply that carries an error instead of rows."""
    return Message({"id": request_id, "status": "error", "error": dict(error)})


def cut(result: Message, counts: list[int]) -> list[Piece]:
    """Cut a batch's result into the rows of its parts.

    Args:
        result: one row for each item of the batch.
        counts: rows of each part.

    Raises:
        MalformedMessage: the result does not have these rows; nothing in it can be trusted.
    """
    check_rows(result, sum(counts))
    info, errors = result.header.get("info") or {}, _numbered(result)
    pieces, start = [], 0
    for count, (arrays, items) in zip(counts, split_rows(result, counts), strict=True):
        message = Message({"info": info}, items, arrays, result.ragged, result.bfloat16)
        own = {row - start: e for row, e in errors.items() if start <= row < start + count}
        pieces.append(Piece(message, own))
        start += count
    return pieces


def repeated(result: Message, places: Sequence[int]) -> Message:
    """Give every row of a batch its own in place of the result's rows, which are of distinct items.

    Args:
        result: one row for each distinct item.
        places: where each row of the batch is among them.

    Raises:
        MalformedMessage: the result does not have these rows.
    """
    check_rows(result, max(places) + 1)
    rows, arrays = np.asarray(places), {}
    for name, array in result.arrays.items():
        if name in result.ragged:
            parts = np.split(array, np.cumsum(result.arrays["lengths"])[:-1])
            arrays[name] = np.concatenate([parts[place] for place in places])
        else:
            arrays[name] = array[rows]
    errors = _numbered(result)
    header = result.header | {
        "row_errors": {
            str(row): errors[place] for row, place in enumerate(places) if place in errors
        }
    }
    items = None if result.items is None else [result.items[place] for place in places]
    return Message(header, items, arrays, result.ragged, result.bfloat16)


def check_rows(result: Message, rows: int) -> None:
    """Check that every array and the items have as many rows as were asked for.

    Raises:
        MalformedMessage: one has not.
    """
    lengths = result.arrays.get("lengths")
    if lengths is not None and (lengths < 0).any():
        raise MalformedMessage("lengths are negative")
    tokens = None if lengths is None else int(lengths.sum())
    for name, array in result.arrays.items():
        expected = tokens if name in result.ragged else rows
        if not array.ndim or array.shape[0] != expected:
            raise MalformedMessage(f"{name} has shape {array.shape} where {expected} rows are due")
    if result.items is not None and len(result.items) != rows:
        raise MalformedMessage(f"{len(result.items)} items came where {rows} are due")


def _numbered(result: Message) -> dict[int, RowError]:
    errors = result.header.get("row_errors") or {}
    return {int(row): error for row, error in errors.items()}


def _renumbered(error: RowError, row: int) -> RowError:
    """Let a message that names the row of the batch name the row of the request."""
    return error | {"message": ROW_IN_MESSAGE.sub(rf"\1[{row}]", str(error.get("message", "")))}


def _zeros(like: Message, rows: int) -> Message:
    arrays = {
        name: np.zeros((0 if name in like.ragged else rows, *array.shape[1:]), array.dtype)
        for name, array in like.arrays.items()
    }
    items: list[Any] | None = None if like.items is None else [[] for _ in range(rows)]
    return Message(like.header, items, arrays, like.ragged, like.bfloat16)
