"""``TokenTagger``: texts in, spans out, by a classifier of each word's first token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bertfeat.api import Encoder
from bertfeat.errors import InputError, RowErrors
from bertfeat.features.heads import log_softmax
from bertfeat.features.pooled import non_finite
from bertfeat.features.program import RawProgram
from bertfeat.ner.schemes import to_spans
from bertfeat.ner.sentences import Sentence, from_characters
from bertfeat.ner.token_rows import TokenRow, token_rows
from bertfeat.ner.word_vectors import FeatureOptions
from bertfeat.tasks.predictor import Prediction, Predictor
from bertfeat.tasks.tagger import Entity, as_sentence


@dataclass(frozen=True)
class Tagged(Prediction):
    """What is found in one text; ``score`` is the mean probability of its tags.

    Attributes:
        words: of the text.
        tags: of each word.
        entities: the spans that the tags make.
    """

    words: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    entities: tuple[Entity, ...] = ()


class TokenTagger(Predictor):
    """A fine-tuned softmax tagger; :meth:`Predictor.load` makes it of its folder.

    Attributes:
        unit: what is tagged of a text: ``word``, or ``character`` where texts are segmented.
    """

    def __init__(self, encoder: Encoder, labels: tuple[str, ...], unit: str = "word") -> None:
        super().__init__(encoder, labels, "token_classification")
        self.unit = unit

    def predict(self, texts: Any) -> list[Prediction]:
        """Tag texts.

        Args:
            texts: an iterable of strings, or of lists of words; of any length.

        Returns:
            A :class:`Tagged` for each.

        Raises:
            InputError: an item is neither; names its index.
            RowErrors: a text's scores are not finite.
        """
        if isinstance(texts, str):
            raise InputError("texts is one string; give a list of them")
        sentences = [self._sentence(item, place) for place, item in enumerate(texts)]
        logits = self.logits(sentences)
        return [self._tagged(*pair) for pair in zip(sentences, logits, strict=True)]

    def tag(self, texts: Any) -> list[list[Entity]]:
        """Return the spans alone; see :meth:`predict`."""
        return [list(found.entities) for found in self.predict(texts)]  # type: ignore[attr-defined]

    def logits(self, sentences: Sequence[Sentence]) -> list[np.ndarray]:
        """Return float32 (words, labels) of each sentence; zeros for a word without tokens.

        Raises:
            RowErrors: some are not finite.
        """
        options = FeatureOptions((), max_seq_len=self.encoder.max_seq_len)
        filled = [number for number, sentence in enumerate(sentences) if sentence.words]
        rows = token_rows([sentences[n] for n in filled], options, self.encoder.tokenizer)
        found = [np.zeros((0, len(self.labels)), np.float32)] * len(sentences)
        for number, own in zip(
            filled, row_logits(self.encoder, rows, len(self.labels)), strict=True
        ):
            found[number] = own
        errors: dict[int, Exception] = {
            number: non_finite(number)
            for number, values in enumerate(found) if not np.isfinite(values).all()
        }  # fmt: skip
        if errors:
            raise RowErrors(errors, None)
        return found

    def _sentence(self, item: Any, place: int) -> Sentence:
        if self.unit == "character" and isinstance(item, str):
            return from_characters(item, place)
        return as_sentence(item, place)

    def _tagged(self, sentence: Sentence, logits: np.ndarray) -> Tagged:
        if not sentence.words:
            return Tagged(None, 1.0, {})
        chances = np.exp(log_softmax(logits.astype(np.float64)))
        best = chances.argmax(axis=1)
        own = chances[np.arange(len(best)), best]
        tags = tuple(self.labels[tag] for tag in best)
        entities = []
        for first, stop, kind in to_spans(tags):
            start, end = sentence.offsets[first][0], sentence.offsets[stop - 1][1]
            score = float(own[first:stop].mean())
            entities.append(Entity(start, end, kind, sentence.text[start:end], score))
        return Tagged(None, float(own.mean()), {}, (), sentence.words, tags, tuple(entities))


def row_logits(encoder: Encoder, rows: Sequence[TokenRow], labels: int) -> list[np.ndarray]:
    """Return the logits of each row's words, or tokens: float32 (words, labels).

    The first token of a word counts; one without tokens has zeros.

    Args:
        encoder: with a classifier of tokens.
        rows: the tokens.
        labels: how many there are.
    """
    windows = [window for row in rows for window in row.windows]
    tokens: list[np.ndarray] = [np.empty(0)] * len(windows)
    for numbers, results in encoder.runtime.batches(RawProgram(("token_logits",)), windows):
        for place, number in enumerate(numbers):
            tokens[number] = results["token_logits"][place, : len(windows[number])]
    found, first = [], 0
    for row in rows:
        logits = np.zeros((len(row), labels), np.float32)
        for word, (window, token) in enumerate(row.pieces[:, 0]):
            if window >= 0:
                logits[word] = tokens[first + window][token]
        found.append(logits)
        first += len(row.windows)
    return found
