"""From the logits of starts and ends to answers: google-research/bert run_squad.py's rules.

Other than there an answer is the very characters of the context, by the tokens' offsets, so nothing
has to be aligned; and no word is made up where no candidate is left: the answer is empty then.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bertfeat.tasks.span_windows import Passage, SpanOptions, Window


class Candidate(NamedTuple):
    """A possible answer.

    Attributes:
        text: its characters; empty for no answer.
        start, end: where they stand in the context; 0, 0 for no answer.
        probability: among the candidates of its question.
        start_logit, end_logit: of its first and last token.
    """

    text: str
    start: int
    end: int
    probability: float
    start_logit: float
    end_logit: float

    @property
    def total(self) -> float:
        """What candidates are ordered by."""
        return self.start_logit + self.end_logit


@dataclass(frozen=True)
class Answers:
    """What is found for one question.

    Attributes:
        best: the answer; its text is empty where there is none.
        candidates: the likeliest first; where questions may have no answer that is one of them.
        null_odds: how much higher no answer scores than the best one that has a text.
    """

    best: Candidate
    candidates: list[Candidate]
    null_odds: float


NOTHING = Candidate("", 0, 0, 1.0, 0.0, 0.0)


def answers_of(passage: Passage, logits: Sequence[np.ndarray], options: SpanOptions) -> Answers:
    """Choose the answer of a question.

    Args:
        passage: the question with its context.
        logits: float (S, 2), start and end, of each token of each of its windows.
        options: numbers of candidates, lengths, the threshold.
    """
    found = [
        spot
        for window, values in zip(passage.windows, logits, strict=True)
        for spot in _spots(window, values.astype(np.float64), options)
    ]
    null = min((values[0].astype(np.float64) for values in logits), key=np.sum)
    nothing = NOTHING._replace(start_logit=float(null[0]), end_logit=float(null[1]))
    ordered = sorted(
        [*found, *([_Spot(-1, -1, *null.tolist())] if options.has_null else [])],
        key=lambda spot: spot.start_logit + spot.end_logit, reverse=True,
    )  # fmt: skip
    kept = _distinct(ordered, passage, options)
    if options.has_null and not any(one.text == "" for one in kept):
        kept.append(nothing)
    kept = _with_probabilities(kept)
    return _chosen(kept, nothing, options)


class _Spot(NamedTuple):
    """First and last token in the context (-1 for none), and their logits."""

    first: int
    last: int
    start_logit: float
    end_logit: float


def _spots(window: Window, values: np.ndarray, options: SpanOptions) -> Iterator[_Spot]:
    """Yield what a window proposes: run_squad.py asks for most context of the start alone."""
    ranked = np.argsort(-values, axis=0, kind="stable")[: options.n_best]
    shift = window.start - window.first
    for start in (int(place) for place in ranked[:, 0]):
        if not window.start <= start + shift < window.stop or not window.best[start - window.first]:
            continue
        for end in (int(place) for place in ranked[:, 1]):
            if start <= end < min(start + options.max_answer_len, window.stop - shift):
                yield _Spot(start + shift, end + shift, values[start, 0], values[end, 1])


def _distinct(ordered: Sequence[_Spot], passage: Passage, options: SpanOptions) -> list[Candidate]:
    """Return the best candidates, each text once."""
    found: dict[str, Candidate] = {}
    for spot in ordered:
        if len(found) >= options.n_best:
            break
        start, end = (
            (0, 0)
            if spot.first < 0
            else (int(passage.offsets[spot.first, 0]), int(passage.offsets[spot.last, 1]))
        )
        text = passage.context[start:end]
        logits = float(spot.start_logit), float(spot.end_logit)
        found.setdefault(text, Candidate(text, start, end, 0.0, *logits))
    return list(found.values())


def _with_probabilities(kept: Sequence[Candidate]) -> list[Candidate]:
    if not kept:
        return []
    totals = np.array([one.total for one in kept])
    powers = np.exp(totals - totals.max())
    chances = powers / powers.sum()
    return [
        one._replace(probability=float(chance)) for one, chance in zip(kept, chances, strict=True)
    ]


def _chosen(kept: list[Candidate], nothing: Candidate, options: SpanOptions) -> Answers:
    worded = next((one for one in kept if one.text), None)
    if worded is None:
        return Answers(kept[0] if kept else NOTHING, kept, nothing.total)
    odds = nothing.total - worded.total
    if options.has_null and odds > options.null_threshold:
        return Answers(next(one for one in kept if not one.text), kept, odds)
    return Answers(worded, kept, odds)
