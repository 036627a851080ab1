"""A sentence as the tagger sees it: words, where they stand in the text, tags, its document."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from bertfeat.ner.schemes import Span, to_spans, to_tags

CJK = "\u2e80-\u2fdf\u3000-\u303f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef"
WORD = re.compile(rf"[{CJK}]|[^\W_{CJK}]+|[^\w\s]|_")
TIGHT = re.compile(rf"[{CJK}]")


@dataclass(frozen=True)
class Sentence:
    """Words with what is known of them.

    Attributes:
        words: the words, none empty.
        tags: the tag of each, or None.
        document: sentences of one document have one number.
        source: the text that the words were cut from; None where only words were given.
        places: characters (start, stop) of each word in `source`.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...] | None = None
    document: int = 0
    source: str | None = None
    places: tuple[tuple[int, int], ...] | None = None

    @property
    def text(self) -> str:
        """The text; words alone are joined by spaces, next to Chinese characters by none."""
        return self.source if self.source is not None else self._joined[0]

    @property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """Characters (start, stop) of each word in :attr:`text`."""
        return self.places if self.places is not None else self._joined[1]

    @property
    def spans(self) -> list[Span]:
        """The tagged spans, in words."""
        return to_spans(self.tags or ())

    @cached_property
    def _joined(self) -> tuple[str, tuple[tuple[int, int], ...]]:
        text, places = "", []
        for word in self.words:
            if text and not (TIGHT.match(text[-1]) or TIGHT.match(word[0])):
                text += " "
            places.append((len(text), len(text) + len(word)))
            text += word
        return text, tuple(places)


def split_words(text: str, edges: Iterable[int] = ()) -> list[tuple[int, int]]:
    """Cut a text into words, (start, stop) in characters.

    A word is what stands between spaces and marks, each mark, and each Chinese character.

    Args:
        text: the text.
        edges: where words are cut besides, say at the ends of entities.
    """
    cuts = sorted(set(edges))
    found = []
    for match in WORD.finditer(text):
        start, stop = match.span()
        inner = [start, *(cut for cut in cuts if start < cut < stop), stop]
        found += list(zip(inner, inner[1:], strict=False))
    return found


def from_text(text: str, entities: Sequence[Span] | None = None, document: int = 0) -> Sentence:
    """Cut a text into a sentence of words.

    Args:
        text: the text.
        entities: (start, stop, type) in characters; their tags are IOB2.  Of overlapping ones the
            longest stays.
        document: number of its document.
    """
    kept = without_overlaps(entities or ())
    places = split_words(text, (edge for start, stop, _ in kept for edge in (start, stop)))
    words = tuple(text[start:stop] for start, stop in places)
    tags = None
    if entities is not None:
        inside = [_words_in(places, span) for span in kept]
        tags = tuple(to_tags([span for span in inside if span], len(places), "IOB2"))
    return Sentence(words, tags, document, text, tuple(places))


def from_characters(text: str, document: int = 0) -> Sentence:
    """Take each character that is no space for a word, as taggers that segment texts do."""
    places = [(place, place + 1) for place, letter in enumerate(text) if not letter.isspace()]
    words = tuple(text[start] for start, _ in places)
    return Sentence(words, None, document, text, tuple(places))


def without_overlaps(spans: Sequence[Span]) -> list[Span]:
    """Keep of spans that overlap the longest, the first of equals; sorted."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda s: (s[0] - s[1], s[0])):
        if all(span[1] <= other[0] or span[0] >= other[1] for other in kept):
            kept.append(span)
    return sorted(kept)


def _words_in(places: Sequence[tuple[int, int]], span: Span) -> Span | None:
    inside = [n for n, (a, b) in enumerate(places) if a >= span[0] and b <= span[1]]
    return (inside[0], inside[-1] + 1, span[2]) if inside else None
