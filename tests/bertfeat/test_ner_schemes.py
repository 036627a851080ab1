"""Label schemes: spans to tags and back, what is allowed, what is repaired."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertfeat.errors import InputError
from bertfeat.ner.schemes import (
    SCHEMES,
    allowed,
    convert,
    detect_scheme,
    labels_of,
    to_spans,
    to_tags,
)

# 爱因斯坦在柏林发表演讲: a person of four characters, a place of two
EXAMPLE = [(0, 4, "PER"), (5, 7, "LOC")]


@st.composite
def spans(draw):
    """Spans of a sentence that do not overlap, and its length."""
    found, at = [], 0
    for _ in range(draw(st.integers(0, 5))):
        at += draw(st.integers(0, 2))
        length = draw(st.integers(1, 3))
        found.append((at, at + length, draw(st.sampled_from(["PER", "LOC", "B-X"]))))
        at += length
    return found, at + draw(st.integers(0, 2))


@pytest.mark.parametrize("scheme", SCHEMES)
@given(case=spans())
def test_tags_keep_every_span(scheme, case):
    found, length = case
    assert to_spans(to_tags(found, length, scheme)) == found


@given(case=spans(), schemes=st.lists(st.sampled_from(SCHEMES), min_size=2, max_size=4))
def test_conversions_lose_nothing(case, schemes):
    found, length = case
    tags = to_tags(found, length, schemes[0])
    for scheme in [*schemes, schemes[0]]:
        tags = convert(tags, scheme)
    assert tags == to_tags(found, length, schemes[0])


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("IOBES", "B-PER I-PER I-PER E-PER O B-LOC E-LOC O O O O"),
        ("BMES", "B-PER M-PER M-PER E-PER O B-LOC E-LOC O O O O"),
        ("BILOU", "B-PER I-PER I-PER L-PER O B-LOC L-LOC O O O O"),
        ("IOB1", "I-PER I-PER I-PER I-PER O I-LOC I-LOC O O O O"),
        ("IOE2", "I-PER I-PER I-PER E-PER O I-LOC E-LOC O O O O"),
    ],
)
def test_a_known_sentence_in_each_scheme(scheme, expected):
    assert to_tags(EXAMPLE, 11, scheme) == expected.split()


def test_neighbours_of_one_type_are_told_apart():
    touching = [(0, 1, "A"), (1, 3, "A")]
    assert to_tags(touching, 3, "IOB1") == ["I-A", "B-A", "I-A"]
    assert to_tags(touching, 3, "IOE1") == ["E-A", "I-A", "I-A"]
    assert to_tags([(0, 1, "A"), (1, 2, "B")], 2, "IOB1") == ["I-A", "I-B"]


def test_what_no_spans_make_is_repaired():
    assert to_spans(["O", "I-A", "I-B", "E-B", "I-B"]) == [(1, 2, "A"), (2, 4, "B"), (4, 5, "B")]


def test_spans_that_overlap_are_refused():
    with pytest.raises(InputError, match=r"span 1:3 A overlaps"):
        to_tags([(0, 2, "A"), (1, 3, "A")], 5, "IOB2")
    with pytest.raises(InputError, match="scheme 'IOB' is none of IOB1"):
        to_tags([], 5, "IOB")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_allowed_is_what_well_formed_sentences_have(scheme):
    labels = labels_of("XY", scheme)
    begin, end, follow = allowed(labels, scheme)
    places = {label: place for place, label in enumerate(labels)}
    for sentence in itertools.product(labels, repeat=4):
        path = [places[tag] for tag in sentence]
        lawful = (
            begin[path[0]]
            and end[path[-1]]
            and all(follow[a, b] for a, b in itertools.pairwise(path))
        )
        assert lawful == (convert(sentence, scheme) == list(sentence)), sentence


def test_labels_of_four_types_in_iobes_are_seventeen():
    assert len(labels_of(["PER", "LOC", "ORG", "MISC"], "IOBES")) == 17


def test_schemes_are_told_from_the_tags():
    for scheme in ("IOB2", "IOBES", "BMES", "BILOU", "IOE2", "IOB1"):
        tags = to_tags([(0, 1, "A"), (2, 5, "A"), (5, 7, "A")], 8, scheme)
        assert detect_scheme([tags]) == scheme
    assert detect_scheme([["O", "I-A", "B-A"]]) == "IOB1"
    assert detect_scheme([["B-A", "M-A", "O", "S-A", "E-A"]]) == "BMES"
    with pytest.raises(InputError, match="letters L, M, O follow none"):
        detect_scheme([["M-A", "L-A"]])
