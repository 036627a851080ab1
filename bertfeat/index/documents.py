"""What goes into an index and what comes out, and the checks at its border."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bertfeat.errors import IndexStoreError, InputError
from bertfeat.index.store import Stored, dump_metadata

HIGHEST_ID = 2**63 - 2
SHOWN_IDS = 10


class Document(NamedTuple):
    """A text to be added, under an id of its own or the next free one."""

    text: str
    id: int | None = None
    metadata: Mapping[str, Any] | None = None


class Hit(NamedTuple):
    """A neighbour: rank from 1, score growing with nearness, and what was stored."""

    rank: int
    score: float
    id: int
    text: str | None
    metadata: dict[str, Any] | None


@dataclass(frozen=True)
class SearchResult:
    """The neighbours of some queries, best first; equal scores by ascending id.

    Attributes:
        ids: int64 (n, k); -1 where there are fewer than ``k`` documents.
        scores: float32 (n, k): cosine, inner product or negative Euclidean distance; -inf there.
        hits: for each query the same with texts and metadata, only as many as there are.
    """

    ids: np.ndarray
    scores: np.ndarray
    hits: list[list[Hit]]

    def __iter__(self) -> Iterator[list[Hit]]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)


def check_texts(texts: Sequence[Any], name: str = "texts") -> list[str]:
    """Return texts that can be stored.

    Raises:
        InputError: one is no string, or is no text that UTF-8 can write.
    """
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"{name}[{row}]: expected a string, got {type(text).__name__}")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(f"{name}[{row}]: not a text: {error}") from error
    return list(texts)


def check_ids(ids: Any, rows: int | None = None) -> list[int]:
    """Return ids as plain integers.

    Args:
        rows: how many are needed, if known.

    Raises:
        InputError: one is no integer from 0 to 2^63 - 2, or comes twice; or there are not as many
            as rows.
    """
    given = [ids] if isinstance(ids, int | np.integer) else _listed(ids, "ids")
    for row, number in enumerate(given):
        if isinstance(number, bool | np.bool_) or not isinstance(number, int | np.integer):
            raise InputError(f"ids[{row}]: expected a whole number, got {number!r}")
        if not 0 <= number <= HIGHEST_ID:
            raise InputError(f"ids[{row}]: {number} is not from 0 to {HIGHEST_ID}")
    checked = [int(number) for number in given]
    if twice := sorted(number for number, times in Counter(checked).items() if times > 1):
        raise InputError(f"ids come twice in one call: {name_ids(twice)}")
    if rows is not None and len(checked) != rows:
        raise InputError(f"{len(checked)} ids came with {rows} documents; give one for each")
    return checked


def check_metadata(metadata: Any, rows: int) -> list[dict[str, Any] | None]:
    """Return one JSON object or None for each row.

    Raises:
        InputError: there are not as many as rows, or one is nothing that JSON holds.
    """
    given = [None] * rows if metadata is None else _listed(metadata, "metadata")
    if len(given) != rows:
        raise InputError(f"{len(given)} metadata came with {rows} documents; give one for each")
    for row, entry in enumerate(given):
        if entry is not None and not isinstance(entry, Mapping):
            raise InputError(f"metadata[{row}]: expected a mapping, got {type(entry).__name__}")
        try:
            dump_metadata(entry or {}).encode("utf-8")
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"metadata[{row}]: JSON cannot hold it: {error}") from error
    return [None if entry is None else dict(entry) for entry in given]


def check_vectors(vectors: Any, dim: int, metric: str, name: str = "vectors") -> np.ndarray:
    """Return vectors as an index keeps them: float32 (n, dim), of length 1 for cosine.

    Raises:
        IndexStoreError: they have another dimension.
        InputError: one is not finite, or is zero where a direction is needed.
    """
    array = np.asarray(vectors)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise InputError(
            f"{name}: expected numbers of shape (n, {dim}), got {array.dtype} {array.shape}"
        )
    if array.shape[1] != dim:
        raise IndexStoreError(
            f"{name} have {array.shape[1]} dimensions, but the index holds vectors of {dim}; "
            "make them with the model and the options that `bertfeat index info` names"
        )
    lengths = np.linalg.norm(array.astype(np.float64), axis=1)
    for row, length in enumerate(lengths.tolist()):
        if not math.isfinite(length):
            raise InputError(f"{name}[{row}] has NaN or infinity in it")
        if metric == "cosine" and length == 0.0:
            raise InputError(f"{name}[{row}] is zero, which has no direction for the cosine")
    if metric == "cosine":
        array = array / lengths[:, None]
    return np.ascontiguousarray(array, np.float32)


def make_stored(
    texts: Sequence[str] | None, metadata: Sequence[dict[str, Any] | None]
) -> list[Stored]:
    """Join texts and metadata of the same rows."""
    given: Sequence[str | None] = [None] * len(metadata) if texts is None else texts
    if len(given) != len(metadata):
        raise InputError(f"{len(given)} texts came with {len(metadata)} vectors; give one for each")
    return [Stored(*pair) for pair in zip(given, metadata, strict=True)]


def make_hits(
    ids: np.ndarray, scores: np.ndarray, documents: Mapping[int, Stored]
) -> list[list[Hit]]:
    """Put rows of ids and scores together with the documents they name."""
    return [
        [
            Hit(rank, score, number, *documents[number])
            for rank, (number, score) in enumerate(zip(row, values, strict=True), start=1)
            if number >= 0
        ]
        for row, values in zip(ids.tolist(), scores.tolist(), strict=True)
    ]


def name_ids(ids: Sequence[int]) -> str:
    """Return ids for a message, the first few by name."""
    shown = ", ".join(map(str, ids[:SHOWN_IDS]))
    return shown if len(ids) <= SHOWN_IDS else f"{shown} and {len(ids) - SHOWN_IDS} more"


def _listed(values: Any, name: str) -> list[Any]:
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise InputError(f"{name}: expected a list, got {type(values).__name__}")
    return list(values)
