"""Which window each token of a long text is taken from."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertfeat.features.windows import stitch


def oracle(spans, length):
    """The definition, token by token."""
    chosen = []
    for token in range(length):
        context = {
            number: min(token - start, stop - 1 - token)
            for number, (start, stop) in enumerate(spans)
            if start <= token < stop
        }
        chosen.append(max(context, key=lambda number: (context[number], -number)))
    return chosen


def windows(length, size, shared):
    """Spans as a tokenizer cuts them."""
    starts = range(0, max(1, length - shared), size - shared)
    return [(start, min(start + size, length)) for start in starts]


def expanded(slices):
    """The window of each token."""
    return [window for window, start, stop in slices for _ in range(start, stop)]


@settings(max_examples=300)
@given(st.data(), st.integers(1, 5000))
def test_no_token_is_lost_or_doubled_and_each_has_its_largest_context(data, length):
    size = data.draw(st.integers(2, 510))
    shared = data.draw(st.integers(0, size - 1))
    if length > 50 * (size - shared):
        length = 50 * (size - shared)
    spans = windows(length, size, shared)
    slices = stitch(spans, length)
    assert [0, *(stop for _, _, stop in slices)] == [*(start for _, start, _ in slices), length]
    assert all(start < stop for _, start, stop in slices)
    assert expanded(slices) == oracle(spans, length)


@given(st.integers(1, 5000))
def test_windows_of_the_usual_size_lose_nothing(length):
    slices = stitch(windows(length, 510, 128), length)
    assert [token for _, start, stop in slices for token in range(start, stop)] == [*range(length)]


def test_the_middle_of_an_overlap_divides_it():
    assert stitch([(0, 6), (2, 8)], 8) == [(0, 0, 4), (1, 4, 8)]


def test_a_tie_goes_to_the_earlier_window():
    # token 3 has two neighbours on its poorer side in both windows
    assert oracle([(0, 6), (1, 7)], 7)[3] == 0
    assert stitch([(0, 6), (1, 7)], 7) == [(0, 0, 4), (1, 4, 7)]


def test_a_single_window_is_the_text():
    assert stitch([(0, 5)], 5) == [(0, 0, 5)]


def test_a_text_without_tokens_has_no_slices():
    assert stitch([(0, 0)], 0) == []


def test_a_token_in_no_window_is_a_bug_that_is_told():
    with pytest.raises(ValueError, match="token 3 of 6 lies in no window"):
        stitch([(0, 3), (4, 6)], 6)


def test_a_window_that_leaves_the_text_is_a_bug_that_is_told():
    with pytest.raises(ValueError, match="window 1 spans 2:9 of a text of 6 tokens"):
        stitch([(0, 3), (2, 9)], 6)
