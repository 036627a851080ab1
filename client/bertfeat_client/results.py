"""What the calls return."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from bertfeat_client.errors import ServerError


@dataclass(frozen=True)
class EncodeInfo:
    """What happened to each row of a call.

    Attributes:
        num_tokens: int32 (n,), tokens of the whole text, specials included, before any cut.
        truncated: bool (n,), whether the text was longer than what was read.
        errors: row to error; such a row's vector is zero (or has no tokens).
        precision: what the server computed in, e.g. ``float32``.
        model_hash: SHA-256 of the model's weights.
        model: the model's name on the server.
        timing: ``queue_ms``, ``compute_ms`` and ``total_ms`` on the server, of the request of the
            call that took longest.
    """

    num_tokens: np.ndarray
    truncated: np.ndarray
    errors: dict[int, ServerError] = field(default_factory=dict)
    precision: str = ""
    model_hash: str = ""
    model: str = ""
    timing: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class TokenFeatures:
    """The tokens of one text and their vectors.

    Attributes:
        tokens: as the vocabulary has them, specials included.
        offsets: (start, stop) characters of each token in the text (in its member of a pair; in
            the words joined by blanks); (0, 0) for specials.
        word_ids: the running number of each token's word, None for specials.
        vectors: float32 (layers, tokens, hidden).
        num_tokens: tokens of the whole text, before any cut.
        truncated: whether the text was longer than what was read.
        error: why this text has no tokens, or None.
    """

    tokens: list[str]
    offsets: list[tuple[int, int]]
    word_ids: list[int | None]
    vectors: np.ndarray
    num_tokens: int
    truncated: bool
    error: ServerError | None = None


class Ranked(NamedTuple):
    """A document's place in the list that was passed, and how well it answers the query."""

    document: int
    score: float


class Ranking(list[Ranked]):
    """The best documents, best first.

    Attributes:
        method: ``cross-encoder`` (scores are the model's) or ``cosine``.
    """

    def __init__(self, scores: np.ndarray, method: str, k: int | None = None) -> None:
        order = np.argsort(-scores, kind="stable")[:k]
        super().__init__(Ranked(int(index), float(scores[index])) for index in order)
        self.method = method


class Entity(NamedTuple):
    """An entity: its first character and its last + 1, its type, its text, its probability."""

    start: int
    end: int
    label: str
    text: str
    score: float


class Prediction(NamedTuple):
    """What is predicted of one text.

    Attributes:
        label: the likeliest class; None for a value and for several labels.
        score: its probability, or the value.
        scores: probability of each label; empty for a value.
        labels: those above one half, for several labels.
    """

    label: str | None
    score: float
    scores: dict[str, float]
    labels: tuple[str, ...] = ()


class Hit(NamedTuple):
    """A neighbour found in the server's index."""

    id: int
    score: float
    text: str | None
    metadata: Any
