"""Texts that come as token ids."""

import numpy as np
import pytest

from bertfeat import Encoder
from bertfeat.errors import InputError, TextTooLong
from bertfeat.tokenization import TokenIds


@pytest.fixture(scope="module")
def encoder(tiny_bert):
    return Encoder.load(tiny_bert(seed=41))


def test_ids_give_the_vector_of_their_text(encoder):
    texts = ["the cat sat on the mat", "hello world", ""]
    ids = [TokenIds(encoder.tokenizer.encode(text).input_ids) for text in texts]
    expected, told = encoder.encode(texts, pooling="mean", return_info=True)
    found, info = encoder.encode(ids, pooling="mean", return_info=True)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert info.num_tokens.tolist() == told.num_tokens.tolist()


def test_ids_are_cut_as_texts_are_and_keep_their_special_tokens(encoder):
    whole = encoder.tokenizer.encode("the cat sat on the red mat")
    cut = encoder.tokenizer.encode(TokenIds(whole.input_ids), max_length=5)
    assert cut.truncated
    assert cut.num_tokens == len(whole.input_ids)
    assert cut.input_ids == [*whole.input_ids[:4], whole.input_ids[-1]]
    assert cut.tokens == [*whole.tokens[:4], whole.tokens[-1]]
    with pytest.raises(TextTooLong, match="at most 5 tokens"):
        encoder.tokenizer.encode(TokenIds(whole.input_ids), max_length=5, truncate="error")


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        ((), "got none"),
        ((2, -1), "got -1"),
        ((2, True), "got True"),
        ((2, "cat"), "got 'cat'"),
        ((2, 999_999), "token id 999999, the last is"),
    ],
)
def test_what_is_no_token_id_fails_alone(encoder, ids, says):
    good = encoder.tokenizer.encode("cat").input_ids
    vectors, info = encoder.encode(
        [TokenIds(ids), TokenIds(good)], pooling="mean", return_info=True
    )
    assert list(info.errors) == [0]
    assert says in str(info.errors[0])
    assert str(info.errors[0]).startswith("texts[0]")
    assert np.abs(vectors[1]).sum() > 0


def test_a_prompt_has_no_text_to_stand_before(encoder):
    with pytest.raises(InputError, match="a prompt needs a text"):
        encoder.tokenizer.encode(TokenIds([2, 3]), prompt="query: ")
