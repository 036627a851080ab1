"""Attention from left to right: equal to transformers' decoders, alone and in shared rows."""

import numpy as np
import pytest

from bertfeat import Encoder
from bertfeat.checkpoints import google, read
from bertfeat.errors import ConfigError
from bertfeat.loading import LoadOptions, load

TEXTS = ["the cat sat on the mat", "she ran", "he is big and it was not"]


@pytest.fixture(scope="module")
def decoder(tiny_bert):
    """A folder whose encoder attends from left to right."""
    return tiny_bert(is_decoder=True)


def test_vectors_equal_those_of_a_decoder_of_transformers(decoder):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    twin = transformers.BertModel.from_pretrained(decoder).eval()
    encoder = Encoder.load(decoder)
    for text, found in zip(TEXTS, encoder.encode(TEXTS, pooling="none"), strict=True):
        ids = encoder.tokenizer.encode(text).input_ids
        with torch.no_grad():
            expected = twin(torch.tensor([ids])).last_hidden_state[0].numpy()
        np.testing.assert_allclose(np.asarray(found)[: len(ids)], expected, atol=1e-5)


def test_what_attends_one_way_only_is_refused_where_both_ways_are_meant(decoder):
    with pytest.raises(ConfigError, match="LiteRT attends both ways only"):
        load(decoder, LoadOptions(engine="litert"))
    assert "is_decoder (Google's code attends both ways)" in google.losses(read(decoder))
