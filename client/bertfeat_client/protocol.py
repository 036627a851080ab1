"""The one definition of what travels between clients, broker and workers.

A message is a list of ZeroMQ frames::

    0      b"BFT" + one byte major version + UTF-8 JSON header
    1      UTF-8 JSON list of items        (only when the header says "items": true)
    2 ...  raw little-endian C-order bytes, one frame for each entry of the header's "arrays"

An entry of "arrays" is ``{"name", "dtype", "shape", "ragged"}``.  Axis 0 of an array counts rows;
of a ragged array it counts the tokens of all rows together, whose split is in the array
``lengths``.  ``bfloat16`` travels as its upper 16 bits.  Nothing is ever pickled.  This file holds
no sockets and no decisions.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bertfeat_client.errors import MalformedMessage, VersionMismatch
from bertfeat_client.wire_json import Json

MAGIC = b"BFT"
VERSION = (1, 1)
"""Major: frames changed, peers refuse each other. Minor: keys were added, peers ignore them."""

MAX_BYTES = 2**40
"""No array is larger, whatever a header says."""

MAX_DIMENSIONS = 8
SMALL_BYTES = 4096
"""Arrays up to this size are copied, which is faster than to hold on to them."""

DTYPES = {
    name: np.dtype(name).newbyteorder("<")
    for name in ("float32", "float16", "int8", "uint8", "int32", "int64", "float64", "bool")
} | {"bfloat16": np.dtype("<u2")}
NAMES = {dtype: name for name, dtype in DTYPES.items() if name != "bfloat16"}
"""Looked up, as ``dtype.name`` is slow."""


@dataclass
class Message:
    """One message: a JSON header, JSON items and named arrays.

    Attributes:
        header: ``op`` or ``status``, ``id`` and whatever else the operation says.
        items: the texts of a request (strings, ``{"text", "pair"}`` or ``{"words"}``), or None.
        arrays: name to array; a ``bfloat16`` one is held as uint16 and named in ``bfloat16``.
        ragged: names of the arrays whose axis 0 counts tokens instead of rows.
        bfloat16: names of the arrays whose uint16 values are bfloat16 bits.
    """

    header: dict[str, Any]
    items: list[Any] | None = None
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    ragged: frozenset[str] = frozenset()
    bfloat16: frozenset[str] = frozenset()


def encode_message(message: Message) -> list[bytes | memoryview]:
    """Return the frames of a message; array bytes are not copied where they are contiguous.

    Raises:
        TypeError: an array's dtype is not among ``DTYPES``, or bfloat16 bits are not uint16.
    """
    arrays = {name: _little_endian(array) for name, array in message.arrays.items()}
    header = message.header | {
        "v": list(VERSION),
        "items": message.items is not None,
        "arrays": [_describe(name, array, message) for name, array in arrays.items()],
    }
    frames: list[bytes | memoryview] = [MAGIC + bytes([VERSION[0]]) + Json.write(header)]
    if message.items is not None:
        frames.append(Json.write(message.items))
    frames += [_bytes(array) for array in arrays.values()]
    return frames


def decode_message(frames: Sequence[Any]) -> Message:
    """Read the frames of one message (bytes, memoryview or ``zmq.Frame`` buffers).

    Raises:
        VersionMismatch: the peer speaks another major version.
        MalformedMessage: anything else that is not a message; the text says which frame.
    """
    return decode_body(decode_header(frames[0] if frames else b""), frames)


def decode_body(header: dict[str, Any], frames: Sequence[Any]) -> Message:
    """Read what follows a header that was read alone, and raise what decode_message does."""
    buffers = [memoryview(getattr(frame, "buffer", frame)) for frame in frames]
    entries = header.pop("arrays", [])
    has_items = header.pop("items", False)
    if not isinstance(entries, list) or len(buffers) != 1 + bool(has_items) + len(entries):
        raise MalformedMessage(f"{len(buffers)} frames came where the header announces others")
    items = _load(buffers[1], list, "items") if has_items else None
    message = Message(header, items)
    for entry, buffer in zip(entries, buffers[1 + bool(has_items) :], strict=True):
        _read_array(message, entry, buffer)
    _check_ragged(message)
    return message


def decode_header(frame: Any) -> dict[str, Any]:
    """Read the header frame alone, checking magic and version first."""
    buffer = memoryview(getattr(frame, "buffer", frame))
    start = bytes(buffer[:4])
    if start[:3] != MAGIC or len(start) < 4:
        raise MalformedMessage(f"a message begins with {MAGIC!r} and a version, got {start!r}")
    if start[3] != VERSION[0]:
        raise VersionMismatch(
            f"the peer speaks protocol {start[3]}, this side {VERSION[0]}; "
            "install the same bertfeat version on both sides"
        )
    header: dict[str, Any] = _load(buffer[4:], dict, "header")
    return header


def split_rows(
    message: Message, counts: Iterable[int]
) -> list[tuple[dict[str, np.ndarray], list[Any] | None]]:
    """Cut a message's arrays and items into consecutive groups of rows.

    Args:
        message: arrays of n rows, ragged ones with ``lengths``.
        counts: rows of each group; they add up to n.

    Returns:
        For each group its arrays (views) and its items.
    """
    row_stops = np.cumsum([0, *counts]).tolist()
    lengths = message.arrays.get("lengths")
    tokens = np.concatenate([[0], np.cumsum(lengths)]) if lengths is not None else None
    groups = []
    for start, stop in zip(row_stops[:-1], row_stops[1:], strict=True):
        arrays = {}
        for name, array in message.arrays.items():
            if name in message.ragged:
                assert tokens is not None, "a ragged array travels with its lengths"
                arrays[name] = array[int(tokens[start]) : int(tokens[stop])]
            else:
                arrays[name] = array[start:stop]
        groups.append((arrays, message.items[start:stop] if message.items is not None else None))
    return groups


def join_rows(parts: Sequence[Message]) -> Message:
    """Put messages of consecutive rows together again (the inverse of :func:`split_rows`)."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    arrays = {name: np.concatenate([part.arrays[name] for part in parts]) for name in first.arrays}
    items = None
    if first.items is not None:
        items = [item for part in parts for item in part.items or []]
    return Message(dict(first.header), items, arrays, first.ragged, first.bfloat16)


def bfloat16_to_float32(bits: np.ndarray) -> np.ndarray:
    """Widen bfloat16 bits (uint16, any shape) to float32 of the same shape, exactly."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def float32_to_bfloat16(values: np.ndarray) -> np.ndarray:
    """Round finite float32 values to the nearest bfloat16 (ties to even), as uint16 bits."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (rounded >> np.uint32(16)).astype(np.uint16)


def _describe(name: str, array: np.ndarray, message: Message) -> dict[str, Any]:
    dtype = "bfloat16" if name in message.bfloat16 else NAMES.get(array.dtype, "")
    if DTYPES.get(dtype) != array.dtype:
        raise TypeError(f"array {name!r} of {array.dtype} cannot travel as {dtype or 'anything'}")
    return {
        "name": name, "dtype": dtype, "shape": list(array.shape), "ragged": name in message.ragged
    }  # fmt: skip


def _read_array(message: Message, entry: Any, buffer: memoryview) -> None:
    name, dtype, shape = _read_entry(entry)
    if name in message.arrays:
        raise MalformedMessage(f"array {name!r} comes twice")
    if math.prod(shape) * dtype.itemsize != buffer.nbytes:
        raise MalformedMessage(
            f"array {name!r} of shape {shape} and {dtype} came with {buffer.nbytes} bytes"
        )
    message.arrays[name] = np.frombuffer(buffer, dtype).reshape(shape)
    if entry.get("ragged"):
        message.ragged |= {name}
    if entry["dtype"] == "bfloat16":
        message.bfloat16 |= {name}


def _read_entry(entry: Any) -> tuple[str, np.dtype[Any], list[int]]:
    if not isinstance(entry, Mapping):
        raise MalformedMessage(f"an array is described by {entry!r}")
    name, kind, shape = entry.get("name"), entry.get("dtype"), entry.get("shape")
    if not isinstance(name, str) or not isinstance(kind, str) or kind not in DTYPES:
        raise MalformedMessage(f"an array without name or of unknown kind: {entry!r}")
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        raise MalformedMessage(f"array {name!r} has the impossible shape {shape!r}")
    if not all(type(size) is int and size >= 0 for size in shape):
        raise MalformedMessage(f"array {name!r} has the impossible shape {shape!r}")
    dtype = DTYPES[kind]
    if math.prod(max(size, 1) for size in shape) * dtype.itemsize > MAX_BYTES:
        raise MalformedMessage(f"array {name!r} has the impossible shape {shape!r}")
    return name, dtype, shape


def _check_ragged(message: Message) -> None:
    if not message.ragged:
        return
    lengths = message.arrays.get("lengths")
    if lengths is None or lengths.ndim != 1 or lengths.dtype.kind != "i" or (lengths < 0).any():
        raise MalformedMessage("ragged arrays came without their lengths (integers, one per row)")
    tokens = int(lengths.sum(dtype=np.int64))
    for name in message.ragged:
        if message.arrays[name].shape[:1] != (tokens,):
            raise MalformedMessage(
                f"ragged array {name!r} has the shape {message.arrays[name].shape}, "
                f"the lengths add up to {tokens}"
            )


def _bytes(array: np.ndarray) -> bytes | memoryview:
    if array.nbytes <= SMALL_BYTES:
        return array.tobytes()
    return array.reshape(-1).view(np.uint8).data


def _little_endian(array: np.ndarray) -> np.ndarray:
    if array.dtype in NAMES and array.flags.c_contiguous:
        return array
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _load(buffer: memoryview, kind: type, what: str) -> Any:
    try:
        value = Json.read(buffer)
    except (ValueError, RecursionError) as error:
        raise MalformedMessage(f"the {what} frame is not JSON in UTF-8: {error}") from error
    if not isinstance(value, kind):
        raise MalformedMessage(f"the {what} frame holds a {type(value).__name__}")
    return value
