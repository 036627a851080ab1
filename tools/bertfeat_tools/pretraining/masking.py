"""Which tokens are masked, and by what (Devlin et al. 2019, 3.1; google-research/bert).

Source: create_masked_lm_predictions of google-research/bert create_pretraining_data.py.  Unlike
there, a token is never replaced by a special one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bertfeat.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Masking:
    """How tokens are chosen and replaced.

    Attributes:
        rate: part of the tokens that is predicted.
        mask, same: part of those that becomes [MASK], that stays; the rest becomes any token.
        most: predictions of a row at most.
        whole_words: all tokens of a word or none.
        ngram: words chosen together, 1 to so many; n words with a weight of 1/n.
    """

    rate: float = 0.15
    mask: float = 0.8
    same: float = 0.1
    most: int = 20
    whole_words: bool = False
    ngram: int = 1

    def __post_init__(self) -> None:
        if (
            not 0 < self.rate < 1
            or min(self.mask, self.same) < 0
            or self.mask + self.same > 1 + 1e-9
        ):
            raise InputError(
                f"rate={self.rate} must lie between 0 and 1, and mask={self.mask} and "
                f"same={self.same} must be parts of 1"
            )

    def count(self, tokens: int) -> int:
        """Return how many of so many tokens are predicted."""
        return min(self.most, max(1, round(tokens * self.rate)))


@dataclass(frozen=True)
class Tokens:
    """What masking must know of a vocabulary.

    Attributes:
        mask_id: of [MASK].
        ordinary: ids of all tokens that are not special, int (n,).
    """

    mask_id: int
    ordinary: np.ndarray


def mask_tokens(
    ids: Sequence[int], words: Sequence[int | None], masking: Masking, tokens: Tokens,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Mask a row.

    Args:
        ids: of its tokens.
        words: number of each token's word; None where nothing may be masked.
        masking: how.
        tokens: of the vocabulary.
        rng: draws.

    Returns:
        The row as the model sees it, the places of the predictions (ascending), and the ids that
        stood there; int32 each.
    """
    places = np.array([place for place, word in enumerate(words) if word is not None], int)
    wanted = masking.count(len(ids)) if len(places) else 0
    chosen = _choose(places, words, masking, wanted, rng)
    seen = np.array(ids, np.int32)
    labels = seen[chosen]
    draws = rng.random(len(chosen))
    seen[chosen[draws < masking.mask]] = tokens.mask_id
    other = draws >= masking.mask + masking.same
    seen[chosen[other]] = rng.choice(tokens.ordinary, int(other.sum()))
    return seen, chosen.astype(np.int32), labels


def _choose(
    places: np.ndarray, words: Sequence[int | None], masking: Masking, wanted: int,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Choose so many places at most, whole groups of them; ascending."""
    if not masking.whole_words and masking.ngram == 1:
        return np.sort(rng.choice(places, wanted, replace=False)) if wanted else places[:0]
    groups = _groups(places, words, masking.ngram, rng)
    chosen: list[int] = []
    for number in rng.permutation(len(groups)):
        if len(chosen) + len(groups[number]) <= wanted:  # a group that is too long is passed over
            chosen += groups[number]
    return np.array(sorted(chosen), int)


def _groups(
    places: np.ndarray, words: Sequence[int | None], ngram: int, rng: np.random.Generator
) -> list[list[int]]:
    """Put together the places of each word, then of neighbouring words."""
    by_word: list[list[int]] = []
    for place in places:
        if by_word and words[place] == words[by_word[-1][-1]] and place == by_word[-1][-1] + 1:
            by_word[-1].append(int(place))
        else:
            by_word.append([int(place)])
    weights = 1 / np.arange(1, ngram + 1)
    groups, start = [], 0
    while start < len(by_word):
        size = 1 if ngram == 1 else int(rng.choice(ngram, p=weights / weights.sum())) + 1
        groups.append([place for word in by_word[start : start + size] for place in word])
        start += size
    return groups
