"""``Answerer``: questions with their contexts in, answers out, by a trained span head."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bertfeat.api import Encoder
from bertfeat.errors import InputError, RowErrors
from bertfeat.features.program import RawProgram
from bertfeat.tasks.predictor import Prediction, Predictor
from bertfeat.tasks.span_answers import Answers, answers_of
from bertfeat.tasks.span_windows import Passage, SpanOptions, Window, passages

Progress = Callable[[int, int], None]
CHUNK = 256
"""Questions whose windows are made and computed together."""


@dataclass(frozen=True)
class Answer(Prediction):
    """The answer to one question; ``label`` is its text, None where there is none.

    Attributes:
        start, end: of its characters in the context.
        null_odds: how much higher no answer scores than the best one.
    """

    start: int = 0
    end: int = 0
    null_odds: float = 0.0


class Answerer(Predictor):
    """A fine-tuned reader of answers; :meth:`Predictor.load` makes it of a span model's folder.

    Attributes:
        options: windows, candidates and the threshold.
    """

    def __init__(self, encoder: Encoder, options: SpanOptions) -> None:
        super().__init__(encoder, (), "span")
        self.options = options

    def predict(self, texts: Any) -> list[Prediction]:
        """Answer questions.

        Args:
            texts: an iterable of pairs (tuples) of question and context; contexts of any length.

        Returns:
            An :class:`Answer` for each.

        Raises:
            RowErrors: some are no such pairs.
            InputError: ``texts`` is one string.
        """
        if isinstance(texts, str):
            raise InputError("texts is one string; give a list of pairs of question and context")
        return [_answer(found) for found in self.answers(list(texts))]

    def answers(
        self, pairs: Sequence[tuple[str, str]], progress: Progress | None = None
    ) -> list[Answers]:
        """Return all candidates for the answer to each question; raises as :meth:`predict`.

        Args:
            pairs: of question and context.
            progress: called with the questions done and their number.
        """
        _check_pairs(pairs)
        found: list[Answers] = []
        for first in range(0, len(pairs), CHUNK):
            texts = passages(pairs[first : first + CHUNK], self.encoder.tokenizer, self.options)
            errors = {
                first + n: InputError(str(e).replace(f"texts[{n}]", f"texts[{first + n}]", 1))
                for n, e in enumerate(texts)
                if isinstance(e, InputError)
            }
            if errors:
                raise RowErrors(errors, None)
            found += self._chunk([text for text in texts if isinstance(text, Passage)])
            if progress:
                progress(len(found), len(pairs))
        return found

    def _chunk(self, texts: Sequence[Passage]) -> list[Answers]:
        windows = [window for text in texts for window in text.windows]
        logits = iter(self._logits(windows))
        return [
            answers_of(text, [next(logits) for _ in text.windows], self.options) for text in texts
        ]

    def _logits(self, windows: Sequence[Window]) -> list[np.ndarray]:
        """Return the logits of start and end of each window's tokens, float32 (S, 2)."""
        found: list[np.ndarray] = [np.zeros((0, 2), np.float32)] * len(windows)
        program = RawProgram(("span_logits",))
        for rows, results in self.encoder.runtime.batches(program, windows):  # type: ignore[arg-type]
            for place, row in enumerate(rows):
                found[row] = results["span_logits"][place, : len(windows[row])]
        return found


def span_options(config: dict[str, Any], longest: int) -> SpanOptions:
    """Return what a folder's ``config.json`` says of spans (its key ``span``), else the defaults.

    Args:
        config: of the model.
        longest: tokens that the model reads.
    """
    values = dict(config.get("span") or {})
    length = min(values.pop("max_seq_len", SpanOptions.max_seq_len), longest)
    query = min(values.pop("max_query_len", SpanOptions.max_query_len), length // 2)
    return SpanOptions(max_seq_len=length, max_query_len=query, **values)


def _check_pairs(pairs: Sequence[Any]) -> None:
    wrong = {
        place: InputError(
            f"texts[{place}]: expected a pair (tuple) of question and context, got {item!r:.60}"
        )
        for place, item in enumerate(pairs)
        if not (isinstance(item, tuple) and len(item) == 2)
    }
    if wrong:
        raise RowErrors(wrong, None)


def _answer(found: Answers) -> Answer:
    best, scores = found.best, {one.text: one.probability for one in found.candidates}
    return Answer(
        best.text or None, best.probability, scores, (), best.start, best.end, found.null_odds
    )
