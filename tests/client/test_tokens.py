"""``tokens``: ragged vectors with tokens, offsets and word numbers."""

import numpy as np
import pytest

from bertfeat_client import RowErrors, TokenFeatures, TruncationWarning


def test_tokens_come_with_vectors_offsets_and_word_numbers(client, fake):
    texts = ["one two", "three", "four", "five", "six seven"]
    features = client.tokens(texts, layers=[0, 3])
    assert [one.tokens for one in features] == [["[CLS]", *t.split(), "[SEP]"] for t in texts]
    last = features[4]
    assert isinstance(last, TokenFeatures)
    assert last.offsets == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert last.word_ids == [None, 0, 1, None]
    assert (last.num_tokens, last.truncated, last.error) == (4, False, None)
    assert last.vectors.shape == (2, 4, 8) and last.vectors.dtype == np.float32
    np.testing.assert_array_equal(last.vectors[1, 2], fake.vector_of("3:seven"))
    np.testing.assert_array_equal(last.vectors[0, 0], fake.vector_of("0:[CLS]"))


@pytest.mark.parametrize("layers", [[-1], [0, 1]])
def test_token_vectors_are_contiguous_and_writable(client, layers):
    vectors = client.tokens("one two", layers=layers).vectors
    assert vectors.flags.c_contiguous and vectors.flags.writeable
    vectors[:] = 0


def test_failed_rows_are_empty_and_the_others_are_served(client):
    with pytest.raises(RowErrors) as caught:
        client.tokens(["one", None, "no!", "two"])
    features = caught.value.vectors
    assert [len(one.tokens) for one in features] == [3, 0, 0, 3]
    assert [one.error is None for one in features] == [True, False, False, True]
    assert features[1].vectors.shape == (1, 0, 8)
    assert str(features[2].error) == "texts[2]: it shouts"


def test_no_texts_give_no_features(client):
    assert client.tokens([]) == []


def test_requests_for_tokens_are_small(client, fake):
    fake.info["limits"]["max_request_texts"] = 1000
    assert len(client.tokens(["a"] * 70)) == 70
    assert [len(request.items) for request in fake.requests[1:]] == [32, 32, 6]


def test_cut_texts_are_told(client):
    with pytest.warns(TruncationWarning, match=r"texts\[1\]"):
        features = client.tokens(["a", "a b c d e f g"])
    assert features[1].truncated
