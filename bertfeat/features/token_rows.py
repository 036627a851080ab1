"""From lines to rows of token or word vectors, whatever encoder makes them."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bertfeat.features.line_items import LineItem, parse_line
from bertfeat.features.reader import Line, LineReader
from bertfeat.features.tokens import TokenFeatures
from bertfeat.features.words import Word, model_words, pool_words, whitespace_words
from bertfeat.features.writers.rows import TokenRow

INDEX = re.compile(r"^texts\[\d+\]:? ?")
Extract = Callable[[list[Any]], Iterable[TokenFeatures]]


@dataclass(frozen=True, kw_only=True)
class TokenRows:
    """Computes the rows of a chunk of lines.

    Attributes:
        extract: token features of items, one for each, errors inside.
        empty: float32 (layers, 0, hidden), the vectors of a line that failed.
        pairs_fit: whether pairs can be computed; else their lines fail.
        word_pooling: one of ``WORD_POOLINGS``; None gives tokens instead of words.
        word_split: one of ``WORD_SPLITS``.
    """

    extract: Extract
    empty: np.ndarray
    pairs_fit: bool = True
    word_pooling: str | None = None
    word_split: str = "model"

    def __call__(self, lines: Sequence[Line], reader: LineReader) -> Iterator[TokenRow]:
        """Yield one row for each line, in order."""
        items = [parse_line(line.text) for line in lines]
        errors = [self._error(*both, reader) for both in zip(lines, items, strict=True)]
        found = iter(
            self.extract([item.item for item, e in zip(items, errors, strict=True) if e is None])
        )
        for line, item, error in zip(lines, items, errors, strict=True):
            if error is not None:
                yield self._failed(line, error)
            elif (features := next(found)).error is not None:
                yield self._failed(line, row_error(features.error, reader.where(line.index)))
            else:
                yield self._row(line, item, features)

    def _error(self, line: Line, item: LineItem, reader: LineReader) -> str | None:
        if line.error is None and not self.pairs_fit and isinstance(item.item, tuple):
            return f"{reader.where(line.index)}: a pair cannot be read in windows; cut it instead"
        return line.error

    def _failed(self, line: Line, error: str) -> TokenRow:
        return TokenRow(line.index, [], [], self.empty, error=error)

    def _row(self, line: Line, item: LineItem, features: TokenFeatures) -> TokenRow:
        spans = in_line(features, item.starts)
        if self.word_pooling is None:
            return TokenRow(
                line.index, features.tokens, spans, features.vectors, features.truncated
            )
        words = self._words(line.text, spans, features)
        return TokenRow(
            line.index,
            [line.text[word.start : word.end] for word in words],
            [(word.start, word.end) for word in words],
            pool_words(features.vectors, words, self.word_pooling),
            features.truncated,
        )

    def _words(
        self, line: str, spans: Sequence[tuple[int, int]], features: TokenFeatures
    ) -> list[Word]:
        if self.word_split == "whitespace":
            return whitespace_words(spans, features.word_ids, line)
        return model_words(spans, features.word_ids)


def in_line(features: TokenFeatures, starts: Sequence[int]) -> list[tuple[int, int]]:
    """Return each token's characters in its line, (0, 0) for special tokens.

    Args:
        features: offsets count in the token's own text.
        starts: where the text, or each text of a pair, begins in the line.
    """
    spans, specials = [], 0
    for (start, end), word in zip(features.offsets, features.word_ids, strict=True):
        specials += word is None
        shift = starts[min(max(specials - 1, 0), len(starts) - 1)]
        spans.append((0, 0) if word is None else (start + shift, end + shift))
    return spans


def row_error(error: BaseException | None, where: str) -> str:
    """Return an error's message with the line's place instead of its index in a call."""
    reason = INDEX.sub("", str(error))
    return f"{where}: {reason}"
