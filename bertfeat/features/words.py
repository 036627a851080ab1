"""From sub-token vectors to one vector per word, with the word's place in the text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

WORD_POOLINGS = ("mean", "first", "last", "max")
WORD_SPLITS = ("model", "whitespace")


@dataclass(frozen=True)
class Word:
    """A word: sub-tokens ``first … stop - 1`` and characters ``start … end - 1`` of its text."""

    first: int
    stop: int
    start: int
    end: int


def model_words(offsets: Sequence[tuple[int, int]], word_ids: Sequence[int | None]) -> list[Word]:
    """Return the words that the tokenizer made: punctuation and Chinese characters stand alone.

    Args:
        offsets: characters of each sub-token.
        word_ids: running number of each sub-token's word, None for special tokens.
    """
    return _group(offsets, word_ids)


def whitespace_words(
    offsets: Sequence[tuple[int, int]], word_ids: Sequence[int | None], text: str
) -> list[Word]:
    """Return the words between blanks, as the text's author split it.

    A word without any sub-token (cut off, or made of invisible characters) is left out.

    Args:
        offsets: characters of each sub-token in ``text``.
        word_ids: None for special tokens, else anything.
        text: what was tokenized.
    """
    places = [match.span() for match in re.finditer(r"\S+", text)]
    owner = {at: number for number, place in enumerate(places) for at in range(*place)}
    numbers = [
        None if word is None else owner.get(max(start, end - 1))
        for (start, end), word in zip(offsets, word_ids, strict=True)
    ]
    return [
        Word(word.first, word.stop, *places[number])
        for word in _group(offsets, numbers)
        if (number := numbers[word.first]) is not None
    ]


def pool_words(vectors: np.ndarray, words: Sequence[Word], how: str) -> np.ndarray:
    """Pool the sub-tokens of each word.

    Args:
        vectors: float32 (layers, tokens, hidden).
        words: in the order of the text.
        how: one of ``WORD_POOLINGS``.

    Returns:
        float32 (layers, words, hidden).
    """
    if not words:
        return vectors[:, :0]
    if how == "first":
        return vectors[:, [word.first for word in words]]
    if how == "last":
        return vectors[:, [word.stop - 1 for word in words]]
    lengths = np.array([word.stop - word.first for word in words])
    tokens = np.concatenate([np.arange(word.first, word.stop) for word in words])
    starts = lengths.cumsum() - lengths
    reduce = np.maximum if how == "max" else np.add
    pooled = reduce.reduceat(vectors[:, tokens], starts, axis=1)
    return pooled if how == "max" else pooled / lengths[:, None].astype(np.float32)


def _group(offsets: Sequence[tuple[int, int]], numbers: Sequence[int | None]) -> list[Word]:
    words = []
    for number, group in groupby(range(len(numbers)), key=numbers.__getitem__):
        tokens = list(group)
        if number is not None:
            spans = [offsets[token] for token in tokens]
            start, end = min(start for start, _ in spans), max(end for _, end in spans)
            words.append(Word(tokens[0], tokens[-1] + 1, start, end))
    return words
