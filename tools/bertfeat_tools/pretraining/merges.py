"""Word pieces learned from counted words: the most frequent neighbours are joined, again and again.

Byte-pair encoding (Sennrich et al. 2016) over characters with WordPiece's spelling, as the
``tokenizers`` library trains WordPiece; unlike there ties are broken by spelling, so that the same
words give the same pieces in every run.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping

Pair = tuple[str, str]


def learn_pieces(
    words: Mapping[str, int], size: int, *, min_frequency: int = 2, alphabet: int = 6_000
) -> list[str]:
    """Return pieces, the alphabet first, then what was joined, the most frequent first.

    Args:
        words: how often each occurs.
        size: pieces at most.
        min_frequency: times that two pieces stand together at least to be joined.
        alphabet: different characters at most, the most frequent ones.
    """
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for char in word:
            counts[char] += count
    kept = set(sorted(counts, key=lambda char: (-counts[char], char))[:alphabet])
    spelled = [
        (["##" * (place > 0) + char for place, char in enumerate(word)], count)
        for word, count in sorted(words.items())
        if kept.issuperset(word)
    ]
    letters = sorted({piece for pieces, _ in spelled for piece in pieces})
    return (letters + Joins(spelled).learn(size - len(letters), min_frequency))[:size]


def joined(pair: Pair) -> str:
    """Spell two neighbouring pieces as one."""
    return pair[0] + pair[1].removeprefix("##")


class Joins:
    """Words as pieces, with the counts of all neighbours kept up to date.

    Args:
        words: pieces and count of each word.
    """

    def __init__(self, words: list[tuple[list[str], int]]) -> None:
        self._words = words
        self._counts: Counter[Pair] = Counter()
        self._places: dict[Pair, set[int]] = defaultdict(set)
        for number in range(len(words)):
            self._add(number, 1)
        self._queue = [(-count, pair) for pair, count in self._counts.items()]
        heapq.heapify(self._queue)

    def learn(self, number: int, min_frequency: int) -> list[str]:
        """Join the most frequent neighbours up to so many times; return what came of it."""
        found: dict[str, None] = {}
        while self._queue and len(found) < number:
            negative, pair = heapq.heappop(self._queue)
            if -negative != self._counts[pair]:
                continue  # an older count; the new one is in the queue too
            if -negative < min_frequency:
                break
            found[joined(pair)] = None
            self._join(pair)
        return list(found)

    def _join(self, pair: Pair) -> None:
        touched: set[Pair] = set()
        for number in sorted(self._places[pair]):
            touched |= self._add(number, -1)
            pieces, count = self._words[number]
            self._words[number] = (_replaced(pieces, pair), count)
            touched |= self._add(number, 1)
        for other in sorted(touched):
            if self._counts[other] > 0:
                heapq.heappush(self._queue, (-self._counts[other], other))

    def _add(self, number: int, sign: int) -> set[Pair]:
        """Count the neighbours of a word in, or out; return them."""
        pieces, count = self._words[number]
        pairs = list(zip(pieces, pieces[1:], strict=False))
        for pair in pairs:
            self._counts[pair] += sign * count
            (self._places[pair].add if sign > 0 else self._places[pair].discard)(number)
        return set(pairs)


def _replaced(pieces: list[str], pair: Pair) -> list[str]:
    found: list[str] = []
    place = 0
    while place < len(pieces):
        if place + 1 < len(pieces) and (pieces[place], pieces[place + 1]) == pair:
            found.append(joined(pair))
            place += 2
        else:
            found.append(pieces[place])
            place += 1
    return found
