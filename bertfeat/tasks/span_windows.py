"""Questions with their contexts as windows that the encoder can read.

As google-research/bert run_squad.py does it: the question is cut at its end, the context never:
what does not fit into one window stands in several, a stride apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bertfeat.errors import ConfigError, InputError
from bertfeat.features.windows import stitch
from bertfeat.tokenization import Encoding, Tokenizer

LENGTH_BONUS = 0.01
"""Of a window, for each of its tokens: run_squad.py, ``_check_is_max_context``."""


@dataclass(frozen=True, kw_only=True)
class SpanOptions:
    """How answers are read out of contexts; the defaults are run_squad.py's.

    Attributes:
        max_seq_len: tokens of a window, question and special tokens included.
        doc_stride: tokens from the start of a window to that of the next.
        max_query_len: tokens read of a question.
        n_best: candidates kept, and starts and ends that each window proposes.
        max_answer_len: tokens of the longest answer.
        null_threshold: a question has no answer if its null odds are above; with `has_null` only.
        has_null: whether questions may have no answer, as in SQuAD 2.0.
    """

    max_seq_len: int = 384
    doc_stride: int = 128
    max_query_len: int = 64
    n_best: int = 20
    max_answer_len: int = 30
    null_threshold: float = 0.0
    has_null: bool = False

    def __post_init__(self) -> None:
        names = ("max_seq_len", "doc_stride", "max_query_len", "n_best", "max_answer_len")
        wrong = [f"{name}={getattr(self, name)}" for name in names if getattr(self, name) < 1]
        if wrong:
            raise ConfigError(f"expected at least 1, got {', '.join(wrong)}")


@dataclass(frozen=True)
class Window:
    """One window: the encoder's inputs, and which tokens of the context stand where in it.

    Attributes:
        input_ids, token_type_ids: of all its tokens.
        first: place of the context's first token in the window.
        start, stop: of the context's tokens, those that are here.
        best: bool (stop - start,), whether a token has its largest context here.
    """

    input_ids: list[int]
    token_type_ids: list[int]
    first: int
    start: int
    stop: int
    best: np.ndarray

    def __len__(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True)
class Passage:
    """A question and its context, tokenized.

    Attributes:
        context: the text that answers are parts of.
        offsets: int32 (n, 2), characters of each token of the context.
        head, tail: (ids, types) of what stands before and behind the context in every window.
        ids, types: of the context's tokens.
        options: sizes of the windows.
    """

    context: str
    offsets: np.ndarray
    head: tuple[list[int], list[int]]
    tail: tuple[list[int], list[int]]
    ids: list[int]
    types: list[int]
    options: SpanOptions

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """The context's tokens of each window.

        Raises:
            ConfigError: a window has no room for the context.
        """
        room = self.options.max_seq_len - len(self.head[0]) - len(self.tail[0])
        return window_spans(len(self.ids), room, self.options.doc_stride)

    @cached_property
    def windows(self) -> list[Window]:
        """All windows, in the order of the context."""
        owner = np.zeros(len(self.ids), np.int64)
        for number, start, stop in stitch(self.spans, len(self.ids), LENGTH_BONUS):
            owner[start:stop] = number
        return [
            Window(
                [*self.head[0], *self.ids[start:stop], *self.tail[0]],
                [*self.head[1], *self.types[start:stop], *self.tail[1]],
                len(self.head[0]), start, stop, owner[start:stop] == number,
            )
            for number, (start, stop) in enumerate(self.spans)
        ]  # fmt: skip

    def tokens_of(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the first and the last token that have characters of ``start … end - 1``.

        None where no token has any.
        """
        inside = (self.offsets[:, 0] < end) & (self.offsets[:, 1] > start)
        found = np.flatnonzero(inside)
        return (int(found[0]), int(found[-1])) if len(found) else None


def passages(
    pairs: Sequence[tuple[str, str]], tokenizer: Tokenizer, options: SpanOptions
) -> list[Passage | InputError]:
    """Tokenize pairs of question and context; a bad one gives its error."""
    found = tokenizer.encode_batch(list(pairs))
    return [
        encoding if isinstance(encoding, InputError) else _passage(encoding, pair[1], options)
        for encoding, pair in zip(found, pairs, strict=True)
    ]


def window_spans(length: int, room: int, stride: int) -> list[tuple[int, int]]:
    """Return the tokens of each window: run_squad.py's ``doc_spans``.

    Args:
        length: tokens of the context; without any there is one empty window.
        room: tokens of a window.
        stride: from window to window; a longer one than the room would lose tokens, so it is cut.

    Raises:
        ConfigError: there is no room.
    """
    if room < 1:
        raise ConfigError(
            "expected windows with room for some of the context, the question and the special "
            f"tokens leave {room}; choose a larger max_seq_len or a smaller max_query_len"
        )
    spans, start = [(0, min(room, length))], 0
    while spans[-1][1] < length:
        start += min(room, stride)
        spans.append((start, min(start + room, length)))
    return spans


def _passage(encoding: Encoding, context: str, options: SpanOptions) -> Passage:
    members = encoding.sequence_ids
    places = [place for place, member in enumerate(members) if member == 1]
    first = places[0] if places else len(members) - 1
    questions = [place for place, member in enumerate(members) if member == 0]
    cut = set(questions[options.max_query_len :])
    head = [place for place in range(first) if place not in cut]
    tail = range(first + len(places), len(members))
    ids, types, offsets = encoding.input_ids, encoding.token_type_ids, encoding.offsets
    return Passage(
        context,
        np.array([offsets[place] for place in places], np.int32).reshape(-1, 2),
        ([ids[p] for p in head], [types[p] for p in head]),
        ([ids[p] for p in tail], [types[p] for p in tail]),
        [ids[place] for place in places],
        [types[place] for place in places],
        options,
    )
