"""Label schemes: spans to tags and back, what may follow what, repair of what may not.

A tag is ``O`` or a letter, ``-`` and a type.  The letters of a scheme, for spans of one word, two
words and two spans of one type side by side:

======  =========  =========  ====================================================
scheme  one        two        side by side
======  =========  =========  ====================================================
IOB1    I          I I        the second begins with B
IOB2    B          B I
IOE1    I          I I        the first ends with E
IOE2    E          I E
IOBES   S          B E        (I inside)
BILOU   U          B L        (I inside)
BMES    S          B E        (M inside)
======  =========  =========  ====================================================

Repair: a sequence that no spans make is read as the CoNLL scorer and seqeval's default mode do. A
span begins at B, S or U, at any tag after O, after E, L, S or U, and where the type changes.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import product

import numpy as np

from bertfeat.errors import InputError

Span = tuple[int, int, str]
"""Number of the first word, that of the last + 1, type."""

# Letters of a scheme: of a single word, first, middle, last; of a first, a last word beside a span
# of the same type.
LETTERS = {
    "IOB1": ("I", "I", "I", "I", "B", None),
    "IOB2": ("B", "B", "I", "I", None, None),
    "IOE1": ("I", "I", "I", "I", None, "E"),
    "IOE2": ("E", "I", "I", "E", None, None),
    "IOBES": ("S", "B", "I", "E", None, None),
    "BILOU": ("U", "B", "I", "L", None, None),
    "BMES": ("S", "B", "M", "E", None, None),
}
SCHEMES = tuple(LETTERS)
BEGINS, ENDS = frozenset("BSU"), frozenset("ELSU")


def split_tag(tag: str) -> tuple[str, str]:
    """Return the letter and the type of a tag: ``B-PER`` is (B, PER); O has no type."""
    letter, _, kind = tag.partition("-")
    return letter, kind


def to_spans(tags: Sequence[str]) -> list[Span]:
    """Read the spans of a tagged sentence, whatever its scheme, repairing as the module says."""
    spans: list[Span] = []
    start, kind, ended = 0, "", True
    for place, tag in enumerate([*tags, "O"]):
        letter, new = split_tag(tag)
        begins = letter != "O" and (ended or letter in BEGINS or new != kind)
        if kind and (begins or letter == "O"):
            spans.append((start, place, kind))
        if begins:
            start = place
        kind, ended = new if letter != "O" else "", letter in ENDS or letter == "O"
    return spans


def to_tags(spans: Iterable[Span], length: int, scheme: str) -> list[str]:
    """Write spans as the tags of a sentence of `length` words.

    Raises:
        InputError: spans overlap or leave the sentence.
    """
    single, first, middle, last, beside_before, beside_after = letters_of(scheme)
    ordered = sorted(spans)
    tags = ["O"] * length
    for place, (start, stop, kind) in enumerate(ordered):
        before, after = ordered[max(place - 1, 0) : place], ordered[place + 1 : place + 2]
        if not 0 <= start < stop <= length or any(b[1] > start for b in before):
            raise InputError(
                f"span {start}:{stop} {kind} overlaps another one or leaves the {length} words"
            )
        inner = [first, *[middle] * (stop - start - 2), last] if stop - start > 1 else [single]
        if beside_before and any(b[1:] == (start, kind) for b in before):
            inner[0] = beside_before
        if beside_after and any((a[0], a[2]) == (stop, kind) for a in after):
            inner[-1] = beside_after
        tags[start:stop] = [f"{letter}-{kind}" for letter in inner]
    return tags


def convert(tags: Sequence[str], scheme: str) -> list[str]:
    """Write a tagged sentence in another scheme; loss-free where its own is kept to."""
    return to_tags(to_spans(tags), len(tags), scheme)


def letters_of(scheme: str) -> tuple[str, str, str, str, str | None, str | None]:
    """Return the letters of a scheme.

    Raises:
        InputError: there is no such scheme.
    """
    if scheme not in LETTERS:
        raise InputError(f"scheme {scheme!r} is none of {', '.join(SCHEMES)}")
    return LETTERS[scheme]


def detect_scheme(sentences: Iterable[Sequence[str]]) -> str:
    """Return the scheme that every sentence keeps to.

    Several fit where, say, no spans touch: the first of IOB2, IOBES, BMES, BILOU, IOE2, IOB1 and
    IOE1 is taken.  Where none fits, as annotators err, it is the first that has the letters.

    Raises:
        InputError: no scheme has the letters.
    """
    order = ("IOB2", "IOBES", "BMES", "BILOU", "IOE2", "IOB1", "IOE1")
    left, seen = list(order), {"O"}
    for tags in sentences:
        seen |= {split_tag(tag)[0] for tag in tags}
        left = [scheme for scheme in left if convert(tags, scheme) == list(tags)]
    left = left or [s for s in order if seen <= {"O", *map(str, letters_of(s))}]
    if left:
        return left[0]
    raise InputError(
        f"tags with the letters {', '.join(sorted(seen))} follow none of {', '.join(SCHEMES)}; "
        "repair the file"
    )


def labels_of(kinds: Iterable[str], scheme: str) -> list[str]:
    """Return every tag of some types: O, then for each type its letters."""
    letters = list(dict.fromkeys(letter for letter in letters_of(scheme) if letter))
    return ["O", *(f"{letter}-{kind}" for kind in sorted(set(kinds)) for letter in letters)]


def allowed(labels: Sequence[str], scheme: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which tags may begin a sentence, end it, and follow each other.

    Returns:
        bool (T,), (T,) and (T, T), the last [tag, next tag].
    """
    parts = [split_tag(label) for label in labels]
    starts, ends, pairs = _patterns(scheme)
    begin = [letter in starts for letter, _ in parts]
    end = [letter in ends for letter, _ in parts]
    follow = [[(a, b, kind == other) in pairs for b, other in parts] for a, kind in parts]
    return np.array(begin), np.array(end), np.array(follow)


@cache
def _patterns(scheme: str) -> tuple[set[str], set[str], set[tuple[str, str, bool]]]:
    """Find the letters that begin, end and follow, in all well-formed sentences of four words."""
    tags = labels_of("XY", scheme)
    starts, ends, pairs = set(), set(), set()
    for sentence in product(tags, repeat=4):
        if convert(sentence, scheme) == list(sentence):
            parts = [split_tag(tag) for tag in sentence]
            starts.add(parts[0][0])
            ends.add(parts[-1][0])
            pairs |= {
                (a, b, kind == other)
                for (a, kind), (b, other) in zip(parts, parts[1:], strict=False)
            }
    return starts, ends, pairs
