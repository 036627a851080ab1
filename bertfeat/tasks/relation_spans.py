"""Where the subject and the object of a relation stand in a text, token by token.

The relation is read first and the text behind it, as a question and its context are; each token of
the text is tagged as a part of a subject, of an object, of what is both, or of neither.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from bertfeat.ner.schemes import to_spans, to_tags
from bertfeat.ner.sentences import without_overlaps
from bertfeat.ner.token_rows import TokenRow
from bertfeat.tasks.span_windows import Passage, SpanOptions

SUBJECT, OBJECT, BOTH = "SUBJECT", "OBJECT", "BOTH"
LABELS = ("O", *(f"{letter}-{kind}" for kind in (SUBJECT, OBJECT, BOTH) for letter in "BI"))
Place = tuple[int, int]
"""First character of a text's part and its last + 1."""


def window_options(max_seq_len: int) -> SpanOptions:
    """Return how texts that are longer than a window are read."""
    return SpanOptions(
        max_seq_len=max_seq_len, doc_stride=min(128, max_seq_len // 2),
        max_query_len=max(1, max_seq_len // 4),
    )  # fmt: skip


def token_row(passage: Passage) -> TokenRow:
    """Return the windows of a passage, and for each token of its text where it is read best."""
    pieces = np.full((len(passage.ids), 1, 2), -1, np.int32)
    for number, window in enumerate(passage.windows):
        tokens = np.arange(window.start, window.stop)[window.best]
        pieces[tokens, 0, 0] = number
        pieces[tokens, 0, 1] = window.first + tokens - window.start
    return TokenRow(passage.windows, pieces)


def tags_of(passage: Passage, pairs: Iterable[tuple[Place, Place]]) -> list[str]:
    """Return the tag of each token of the text.

    Args:
        passage: the relation and the text.
        pairs: subjects with their objects.  Of parts that overlap the longest stays.
    """
    pairs = list(pairs)
    subjects, objects = ({pair[side] for pair in pairs} for side in (0, 1))
    spans = []
    for place in subjects | objects:
        if (found := passage.tokens_of(*place)) is not None:
            kind = BOTH if place in subjects & objects else SUBJECT if place in subjects else OBJECT
            spans.append((found[0], found[1] + 1, kind))
    return to_tags(without_overlaps(spans), len(passage.ids), "IOB2")


def places_of(passage: Passage, tags: Sequence[str]) -> tuple[list[Place], list[Place]]:
    """Return where the subjects and the objects of tags stand, in characters."""
    found: dict[str, list[Place]] = {SUBJECT: [], OBJECT: [], BOTH: []}
    for first, stop, kind in to_spans(tags):
        start, end = passage.offsets[first][0], passage.offsets[stop - 1][1]
        found[kind].append((int(start), int(end)))
    return sorted(found[SUBJECT] + found[BOTH]), sorted(found[OBJECT] + found[BOTH])


def paired(subjects: Sequence[Place], objects: Sequence[Place]) -> list[tuple[Place, Place]]:
    """Return which subject goes with which object.

    One subject goes with all objects, and one object with all subjects; of several each goes with
    what is nearest to it, of two equally near the one behind it.  Nothing goes with itself.
    """
    pairs = [(s, o) for s in subjects for o in objects if s != o]
    if len(subjects) > 1 and len(objects) > 1:
        nearest = {
            min((pair for pair in pairs if pair[side] == one), key=_distance, default=None)
            for side, ones in ((0, subjects), (1, objects)) for one in ones
        }  # fmt: skip
        pairs = [pair for pair in pairs if pair in nearest]
    return pairs


def _distance(pair: tuple[Place, Place]) -> tuple[int, bool]:
    subject, target = pair
    is_behind = target[0] >= subject[0]
    gap = target[0] - subject[1] if is_behind else subject[0] - target[1]
    return max(gap, 0), not is_behind
