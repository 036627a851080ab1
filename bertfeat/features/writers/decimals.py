"""Numbers as ``json.dumps(round(float(x), 6))`` writes them, many at once.

A float32 value times 10**6 is exact in float64 (24 + 14 significant bits), so rounding the product
to an integer, ties to even, is what Python's correctly rounded ``round`` does, and the text follows
from the integer alone: at most nine digits, fewer than the 15 that a float64 always keeps.

Each number is laid out in three words of four characters taken from tables, NUL where there is
nothing; at the end all NULs are removed.
"""

import json

import numpy as np

SCALE = 1_000_000
LIMIT = 1000
"""Values from here on (none in a trained model) take the slow way, as do NaN and infinity."""
EXPONENT_BELOW = 100
"""Fewer millionths than this are written with an exponent: 1e-06 … 9.9e-05."""


def _table(texts: list[str]) -> np.ndarray:
    """Return uint32 (len(texts), words): each text as words of four ASCII characters."""
    return np.array(texts, "S").view(np.uint32).reshape(len(texts), -1)


SIGNED_WHOLE = _table([f"{sign}{n:\0>3}" for sign in ("\0", "-") for n in range(1000)])[:, 0]
POINT_AND_THREE = _table(
    [f".{f'{n:03}'.rstrip('0') or '0':\0<3}" for n in range(1000)]
    + [f".{n:03}" for n in range(1000)]
)[:, 0]
"""Three decimals when they are the last, then three that others follow."""
LAST_THREE = _table([f"{n:03}".rstrip("0").ljust(3, "\0") + "," for n in range(1000)])[:, 0]
SMALL = _table(
    [
        f"{sign}{json.dumps(n / SCALE)}".ljust(11, "\0") + ","
        for sign in ("", "-")
        for n in range(EXPONENT_BELOW)
    ]
)


def format_rows(values: np.ndarray) -> list[bytes]:
    """Write each row of an array as the inside of a JSON array, six decimals.

    Args:
        values: float32 (rows, width).

    Returns:
        One text for each row, for example ``b"0.5, -1.25, 3e-06"``.
    """
    rows, width = values.shape
    if not values.size:
        return [b""] * rows
    plain = (np.abs(values) < LIMIT).all(axis=1)
    if not plain.all():
        return [
            format_rows(row[None])[0] if ok else _slow(row)
            for row, ok in zip(values, plain, strict=True)
        ]
    words = _lay_out(np.ascontiguousarray(values, np.float32).ravel())
    characters = words.view(np.uint8).reshape(rows, -1)
    characters[:, -1] = ord("\n")
    text = characters.tobytes().translate(None, b"\0").replace(b",", b", ")
    return text.split(b"\n")[:-1]


def _lay_out(values: np.ndarray) -> np.ndarray:
    """Return uint32 (values, 3): the characters of each number and a comma."""
    millionths = np.rint(np.abs(values).astype(np.float64) * SCALE).astype(np.int32)
    negative = np.signbit(values)
    thousandths = millionths // 1000
    last = millionths - thousandths * 1000
    whole = thousandths // 1000
    first = thousandths - whole * 1000
    words = np.empty((len(values), 3), np.uint32)
    words[:, 0] = SIGNED_WHOLE[whole + 1000 * negative]
    words[:, 1] = POINT_AND_THREE[first + 1000 * (last > 0)]
    words[:, 2] = LAST_THREE[last]
    small = np.flatnonzero(millionths < EXPONENT_BELOW)
    words[small] = SMALL[millionths[small] + EXPONENT_BELOW * negative[small]]
    return words


def _slow(row: np.ndarray) -> bytes:
    return json.dumps([round(float(value), 6) for value in row])[1:-1].encode()
