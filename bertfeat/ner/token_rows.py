"""Sentences as tokens, with the tokens of each word: what an encoder reads that tags them.

Windows, context and the choice of tokens are those of :mod:`bertfeat.ner.word_vectors`, so that a
tagger that was trained on them may be used on vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bertfeat.features.tokens import window_cuts
from bertfeat.ner.sentences import Sentence
from bertfeat.ner.word_vectors import FeatureOptions, in_context, word_tokens
from bertfeat.tokenization import Encoding, Tokenizer


@dataclass(frozen=True)
class TokenRow:
    """One sentence.

    Attributes:
        windows: its tokens, special ones included; several where it is longer than the encoder.
        pieces: int32 (words, pieces, 2), window and place of each token that counts for a word;
            -1 where a word has fewer.
    """

    windows: Sequence[Any]
    pieces: np.ndarray

    def __len__(self) -> int:
        """Words."""
        return len(self.pieces)

    @property
    def num_tokens(self) -> int:
        """Windows times the longest."""
        return len(self.windows) * max(map(len, self.windows))


def token_rows(
    sentences: Sequence[Sentence], options: FeatureOptions, tokenizer: Tokenizer
) -> list[TokenRow]:
    """Tokenize sentences.

    Args:
        sentences: of one file, in order; those of a document stand together.
        options: context, pooling and the encoder's limit; layers do not matter.
        tokenizer: the encoder's.

    Raises:
        InputError: a sentence cannot be tokenized.
    """
    found = []
    for words, start, stop in in_context(sentences, options, tokenizer):
        windows = tokenizer.windows(list(words), options.max_seq_len, options.stride)
        found.append(TokenRow(windows, pieces_of(windows, start, stop, options)))
    return found


def pieces_of(
    windows: Sequence[Encoding], start: int, stop: int, options: FeatureOptions
) -> np.ndarray:
    """Return where the tokens of the words ``start … stop - 1`` stand; see :class:`TokenRow`."""
    places = [
        (window, token)
        for window, first, last in window_cuts(windows, options.stride)
        for token in range(first, last)
    ]
    word_ids = [windows[window].word_ids[token] for window, token in places]
    tokens = word_tokens(word_ids, start, stop)
    kept = {word: chosen(found, options.pooling) for word, found in tokens.items()}
    pieces = np.full((stop - start, max(map(len, kept.values()), default=1), 2), -1, np.int32)
    for word, own in kept.items():
        pieces[word - start, : len(own)] = [places[token] for token in own]
    return pieces


def chosen(tokens: list[int], pooling: str) -> list[int]:
    """Return which tokens of a word count: all of them for ``mean`` and ``max``."""
    return {"first": tokens[:1], "last": tokens[-1:]}.get(pooling, tokens)
