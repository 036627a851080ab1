"""Windows and answers of spans, against run_squad.py's rules restated in plain Python."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertfeat.errors import ConfigError, InputError
from bertfeat.tasks.span_answers import answers_of
from bertfeat.tasks.span_windows import SpanOptions, passages, window_spans
from bertfeat.tokenization import Tokenizer
from tiny_bert import WORDS


@pytest.fixture(scope="module")
def tokenizer(tiny_bert):
    """Of a tiny model whose words are one token each."""
    return Tokenizer.from_folder(tiny_bert())


def google_spans(length, room, stride):
    """run_squad.py, ``doc_spans``: start and stop."""
    spans, start = [], 0
    while start < length:
        size = min(length - start, room)
        spans.append((start, start + size))
        if start + size == length:
            break
        start += min(size, stride)
    return spans


def google_is_best(spans, number, position):
    """run_squad.py, ``_check_is_max_context``."""
    best, found = None, None
    for index, (start, stop) in enumerate(spans):
        if start <= position < stop:
            score = min(position - start, stop - 1 - position) + 0.01 * (stop - start)
            if best is None or score > best:
                best, found = score, index
    return found == number


def google_answers(words, spans, prefix, logits, options):
    """run_squad.py, ``write_predictions``, for words of one token: n-best, odds and answer."""
    prelim, null = [], (math.inf, 0.0, 0.0)
    for number, (start, stop) in enumerate(spans):
        starts, ends = logits[number][:, 0].tolist(), logits[number][:, 1].tolist()
        if starts[0] + ends[0] < null[0]:
            null = (starts[0] + ends[0], starts[0], ends[0])
        top = [
            sorted(range(len(v)), key=v.__getitem__, reverse=True)[: options.n_best]
            for v in (starts, ends)
        ]
        places = {prefix + k - start: k for k in range(start, stop)}
        prelim += [
            (places[s], places[e], starts[s], ends[e])
            for s in top[0] for e in top[1]
            if s in places and e in places and google_is_best(spans, number, places[s])
            and e >= s and e - s + 1 <= options.max_answer_len
        ]  # fmt: skip
    if options.has_null:
        prelim.append((None, None, null[1], null[2]))
    prelim.sort(key=lambda one: one[2] + one[3], reverse=True)
    best, seen = [], set()
    for first, last, one, other in prelim:
        if len(best) >= options.n_best:
            break
        text = "" if first is None else " ".join(words[first : last + 1])
        if text not in seen:
            seen.add(text)
            best.append((text, one, other))
    if options.has_null and "" not in seen:
        best.append(("", null[1], null[2]))
    worded = next((entry for entry in best if entry[0]), None)
    odds = null[0] - (worded[1] + worded[2] if worded else 0.0)
    none = worded is None or (options.has_null and odds > options.null_threshold)
    return best, odds, "" if none else worded[0]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_answers_are_those_of_googles_rules(tokenizer, data):
    words = data.draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=40))
    options = SpanOptions(
        max_seq_len=data.draw(st.integers(8, 30)), doc_stride=data.draw(st.integers(1, 20)),
        max_query_len=data.draw(st.integers(1, 3)), n_best=data.draw(st.integers(1, 6)),
        max_answer_len=data.draw(st.integers(1, 8)), has_null=data.draw(st.booleans()),
        null_threshold=data.draw(st.sampled_from([-2.0, 0.0, 2.0])),
    )  # fmt: skip
    passage = passages([("is it the cat", " ".join(words))], tokenizer, options)[0]
    prefix = options.max_query_len + 2
    spans = google_spans(len(words), options.max_seq_len - prefix - 1, options.doc_stride)
    assert passage.spans == spans
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    logits = [
        rng.integers(-8, 8, (prefix + stop - start + 1, 2)).astype(np.float32) / 2
        for start, stop in spans
    ]
    assert [len(window) for window in passage.windows] == [len(one) for one in logits]
    best, odds, text = google_answers(words, spans, prefix, logits, options)
    found = answers_of(passage, logits, options)
    assert [(c.text, c.start_logit, c.end_logit) for c in found.candidates] == best
    assert found.best.text == text
    assert found.null_odds == pytest.approx(odds)
    if best:
        powers = np.exp([one + other for _, one, other in best])
        chances = [c.probability for c in found.candidates]
        np.testing.assert_allclose(chances, powers / powers.sum())


@given(length=st.integers(1, 900), room=st.integers(1, 400), stride=st.integers(1, 500))
def test_windows_are_googles_and_lose_no_token(length, room, stride):
    spans = window_spans(length, room, stride)
    assert spans == google_spans(length, room, stride)
    assert set().union(*(range(*span) for span in spans)) == set(range(length))


def test_a_long_windows_bonus_moves_the_seam(tokenizer):
    options = SpanOptions(max_seq_len=324, doc_stride=300)
    passage = passages([("cat", "dog " * 420)], tokenizer, options)[0]
    expected = [
        [google_is_best(passage.spans, number, k) for k in range(*span)]
        for number, span in enumerate(passage.spans)
    ]
    assert [window.best.tolist() for window in passage.windows] == expected
    assert len(passage.spans) == 2


def test_an_answer_is_the_texts_own_characters(tokenizer):
    context = "The  Cat,\nit sat (one-two) on The mat."
    options = SpanOptions(n_best=1)
    passage = passages([("?", context)], tokenizer, options)[0]
    for text in ("Cat,\nit sat", "one-two", "one", "The mat"):
        at = context.rindex(text)
        first, last = passage.tokens_of(at, at + len(text))
        logits = np.zeros((len(passage.windows[0]), 2), np.float32)
        shift = passage.windows[0].first
        logits[first + shift, 0] = logits[last + shift, 1] = 5
        best = answers_of(passage, [logits], options).best
        assert (best.text, best.start, best.end) == (text, at, at + len(text))
    assert passage.tokens_of(3, 5) is None


def test_without_any_candidate_nothing_is_made_up(tokenizer):
    for has_null in (True, False):
        options = SpanOptions(has_null=has_null, n_best=1)
        passage = passages([("cat", "dog")], tokenizer, options)[0]
        logits = np.zeros((len(passage.windows[0]), 2), np.float32)
        logits[0] = 3
        found = answers_of(passage, [logits], options)
        assert (found.best.text, found.null_odds) == ("", 6.0)
        assert [c.text for c in found.candidates] == ([""] if has_null else [])


def test_what_cannot_be_windowed_is_refused(tokenizer):
    with pytest.raises(ConfigError, match=r"max_seq_len=0, n_best=-1"):
        SpanOptions(max_seq_len=0, n_best=-1)
    narrow = passages([("cat dog", "mat")], tokenizer, SpanOptions(max_seq_len=5))[0]
    with pytest.raises(ConfigError, match="leave 0; choose a larger max_seq_len"):
        narrow.windows  # noqa: B018
    bad = passages([("cat", "mat"), ("cat", None)], tokenizer, SpanOptions())[1]
    assert isinstance(bad, InputError)
    empty = passages([("cat", "\x01")], tokenizer, SpanOptions())[0]
    assert [len(window) for window in empty.windows] == [4]
