"""Sub-token vectors pooled into word vectors, and where the words stand."""

import numpy as np
import pytest

from bertfeat.features.words import Word, model_words, pool_words, whitespace_words

#        [CLS]   play    ##ing   ball    .        [SEP]
OFFSETS = [(0, 0), (1, 5), (5, 8), (9, 13), (13, 14), (0, 0)]
WORD_IDS = [None, 0, 0, 1, 2, None]
TEXT = " playing ball."
WORDS = [Word(1, 3, 1, 8), Word(3, 4, 9, 13), Word(4, 5, 13, 14)]


def test_the_models_words_leave_punctuation_alone():
    assert model_words(OFFSETS, WORD_IDS) == WORDS


def test_blanks_divide_words_as_their_author_did():
    assert whitespace_words(OFFSETS, WORD_IDS, TEXT) == [Word(1, 3, 1, 8), Word(3, 5, 9, 14)]


def test_a_word_without_a_token_is_left_out():
    words = whitespace_words([(0, 0), (0, 3), (6, 9), (0, 0)], [None, 0, 1, None], "one \u200b two")
    assert [(word.start, word.end) for word in words] == [(0, 3), (6, 9)]


def test_a_token_that_begins_with_the_blank_before_it_belongs_to_its_word():
    words = whitespace_words([(0, 3), (3, 7), (7, 8)], [0, 1, 1], "one two!")
    assert words == [Word(0, 1, 0, 3), Word(1, 3, 4, 8)]


def test_words_of_a_pairs_members_stay_apart():
    words = model_words([(0, 0), (0, 3), (0, 0), (4, 7), (0, 0)], [None, 0, None, 0, None])
    assert words == [Word(1, 2, 0, 3), Word(3, 4, 4, 7)]


def test_no_words_at_all():
    assert model_words([(0, 0), (0, 0)], [None, None]) == []
    assert pool_words(np.ones((2, 2, 3), np.float32), [], "mean").shape == (2, 0, 3)


@pytest.mark.parametrize(
    ("how", "oracle"),
    [
        ("mean", lambda part: part.mean(axis=1)),
        ("max", lambda part: part.max(axis=1)),
        ("first", lambda part: part[:, 0]),
        ("last", lambda part: part[:, -1]),
    ],
)
def test_pooling_equals_plain_numpy_word_by_word(how, oracle):
    vectors = np.random.default_rng(0).standard_normal((3, 6, 4)).astype(np.float32)
    expected = np.stack([oracle(vectors[:, w.first : w.stop]) for w in WORDS], axis=1)
    pooled = pool_words(vectors, WORDS, how)
    assert pooled.dtype == np.float32
    np.testing.assert_allclose(pooled, expected, rtol=1e-6)


def test_tokens_between_words_count_for_none():
    vectors = np.arange(4, dtype=np.float32).reshape(1, 4, 1)
    pooled = pool_words(vectors, [Word(0, 1, 0, 1), Word(2, 4, 2, 4)], "mean")
    assert pooled.ravel().tolist() == [0.0, 2.5]
