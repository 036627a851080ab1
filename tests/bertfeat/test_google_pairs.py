"""Pairs cut as google-research/bert cuts them, whatever our tokenizer would do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertfeat.features.google_pairs import GooglePairs, google_share
from bertfeat.features.tokens import TokenFeatures
from bertfeat.tokenization import Tokenizer

WORDS = st.lists(st.sampled_from(["the", "cats", "xyz!", "Dog", "sunny,", "a"]), max_size=12)


def popped(first, second, budget):
    """``_truncate_seq_pair`` itself, on lengths."""
    while first + second > budget:
        if first > second:
            first -= 1
        else:
            second -= 1
    return first, second


@given(st.integers(0, 600), st.integers(0, 600), st.integers(0, 1000))
def test_the_shares_are_those_of_popping_one_by_one(first, second, budget):
    assert google_share(first, second, budget) == popped(first, second, budget)


@pytest.fixture(scope="module")
def tokenizer(tiny_bert):
    return Tokenizer.from_folder(tiny_bert())


def features(tokenizer, item, limit):
    """Token features without a model."""
    encoding = tokenizer.encode(item, max_length=limit)
    return TokenFeatures(
        encoding.tokens, encoding.offsets, encoding.word_ids, np.zeros((1, len(encoding), 1)),
        truncated=encoding.truncated,
    )  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(first=WORDS, second=WORDS, limit=st.integers(5, 30))
def test_tokens_are_googles_and_a_cut_is_told(tokenizer, first, second, limit):
    pair = (" ".join(first), " ".join(second))
    extract = GooglePairs(
        lambda items: [features(tokenizer, item, limit) for item in items], tokenizer, limit
    )
    found, single = extract([pair, "the cat"])
    a, b = (tokenizer.encode(text).tokens[1:-1] for text in pair)
    kept = popped(len(a), len(b), limit - 3)
    assert found.tokens == ["[CLS]", *a[: kept[0]], "[SEP]", *b[: kept[1]], "[SEP]"]
    assert found.truncated == (len(a) + len(b) > limit - 3)
    assert single.tokens == ["[CLS]", "the", "cat", "[SEP]"]
    assert not single.truncated
