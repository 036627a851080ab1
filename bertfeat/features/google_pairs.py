"""Too long pairs cut as google-research/bert cuts them.

Google's ``_truncate_seq_pair`` and Hugging Face's tokenizers both shorten the longer text, but of
two equally long ones Google's shortens the second, Hugging Face's the first. Our tokenizer follows
Hugging Face; here the texts are cut before it sees them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from bertfeat.features.tokens import TokenFeatures
from bertfeat.tokenization import Tokenizer


@dataclass(frozen=True)
class GooglePairs:
    """Wraps an extraction; its tokens are Google's for pairs too.

    Attributes:
        extract: an :data:`bertfeat.features.token_rows.Extract`.
        tokenizer: that of the model.
        max_seq_len: tokens that are read of each item.
    """

    extract: Any
    tokenizer: Tokenizer
    max_seq_len: int

    def __call__(self, items: Iterable[Any]) -> Iterator[TokenFeatures]:
        """Yield the features of each item, in order."""
        given = list(items)
        shown = [self._cut(item) if isinstance(item, tuple) else item for item in given]
        for before, item, features in zip(given, shown, self.extract(shown), strict=True):
            features.truncated = features.truncated or item != before
            yield features

    def _cut(self, pair: tuple[str, str]) -> tuple[str, str]:
        whole = self.tokenizer.encode(pair)
        if len(whole.input_ids) <= self.max_seq_len:
            return pair
        ends = [
            [end for (_, end), of in zip(whole.offsets, whole.sequence_ids, strict=True) if of == n]
            for n in (0, 1)
        ]
        budget = self.max_seq_len - (len(whole.input_ids) - len(ends[0]) - len(ends[1]))
        kept = google_share(len(ends[0]), len(ends[1]), budget)
        first, second = (
            text[: places[count - 1]] if count else ""
            for text, places, count in zip(pair, ends, kept, strict=True)
        )
        # Only WordPiece is sure to give a part of a text the tokens that it has in the whole.
        fits = len(self.tokenizer.encode((first, second)).input_ids) == self.max_seq_len
        return (first, second) if fits else pair


def google_share(first: int, second: int, budget: int) -> tuple[int, int]:
    """Return how many tokens each text of a pair keeps.

    Source: google-research/bert extract_features.py, ``_truncate_seq_pair``, which pops one token
    after the other from the longer text, from the second of two equal ones.
    """
    if first + second <= budget:
        return first, second
    shorter = min(first, second, budget // 2)
    if first > shorter:
        return budget - shorter, shorter
    return shorter, budget - shorter
