"""The encoder's outputs against the plain NumPy BERT, through the Encoder's public door."""

import json

import keras
import numpy as np
import pytest

from bertfeat import Encoder
from bertfeat.config import EncoderConfig
from bertfeat.encoder.bert import Bert
from bertfeat.encoder.names import depth, output_names
from bertfeat.errors import InputError, MissingHead
from reference import ReferenceBert, softmax

TEXTS = ["the cat sat on the mat.", ("hello world", "the dog ran in the rain"), "", "cat"]
ALL_HEADS = ("pooler", "masked_lm", "next_sentence")


@pytest.fixture(scope="module")
def folder(tiny_bert):
    return tiny_bert(heads=ALL_HEADS, seed=3)


@pytest.fixture(scope="module", params=["auto", "keras"])
def encoder(request, folder):
    return Encoder.load(folder, engine=request.param)


@pytest.mark.parametrize("text", TEXTS)
def test_every_output_equals_the_reference(encoder, folder, text):
    encoding = encoder.tokenizer.encode(text)
    expected = ReferenceBert(folder).forward(encoding.input_ids, encoding.token_type_ids)
    names = [
        name
        for name in output_names(encoder.config, encoder.runtime.heads)
        if name not in ("classifier_logits", "token_logits", "span_logits")
    ]
    found = encoder.outputs(text, names)
    assert set(names) == set(expected)
    for name in names:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize("act", ["gelu", "gelu_new"])
def test_the_activation_is_the_one_that_the_config_names(tiny_bert, act):
    folder = tiny_bert(hidden_act=act, initializer_range=1.0, seed=5)
    encoder = Encoder.load(folder)
    encoding = encoder.tokenizer.encode("the cat")
    expected = ReferenceBert(folder).forward(encoding.input_ids, encoding.token_type_ids)
    found = encoder.outputs("the cat", ["hidden_states.2"])["hidden_states.2"]
    np.testing.assert_allclose(found, expected["hidden_states.2"], atol=1e-5)


def test_layer_norm_epsilon_is_read_from_the_config(tiny_bert):
    folder = tiny_bert(layer_norm_eps=0.5, seed=5)
    encoder = Encoder.load(folder)
    encoding = encoder.tokenizer.encode("the cat")
    expected = ReferenceBert(folder).forward(encoding.input_ids, encoding.token_type_ids)
    found = encoder.outputs("the cat", ["hidden_states.1"])["hidden_states.1"]
    np.testing.assert_allclose(found, expected["hidden_states.1"], atol=1e-5)


def test_attentions_are_stacked_and_sum_to_one(encoder):
    attentions = encoder.attentions("the cat sat")
    assert attentions.shape == (2, 2, 5, 5)
    np.testing.assert_allclose(attentions.sum(-1), 1, atol=1e-6)


def test_only_the_layers_that_an_output_needs_are_run():
    assert depth(["embeddings_sum"], 6) == 0
    assert depth(["hidden_states.2", "attentions.3"], 6) == 4
    assert depth(["pooled"], 6) == 6


def test_an_unknown_output_lists_the_known_ones(encoder):
    with pytest.raises(InputError, match=r"hidden_states\.9.*it has word_embeddings"):
        encoder.outputs("cat", ["hidden_states.9"])


def test_a_missing_head_says_what_the_checkpoint_has(tiny_bert):
    encoder = Encoder.load(tiny_bert(heads=()))
    with pytest.raises(MissingHead, match="masked_lm"):
        encoder.fill_mask("the [MASK]")
    with pytest.raises(MissingHead, match="next_sentence"):
        encoder.next_sentence("a", "b")


def test_fill_mask_ranks_the_reference_probabilities(encoder, folder):
    text = "the [MASK] sat on the [MASK]"
    encoding = encoder.tokenizer.encode(text)
    expected = ReferenceBert(folder).forward(encoding.input_ids, encoding.token_type_ids)
    found = encoder.fill_mask(text, k=4)
    assert len(found) == 2
    for place, candidates in zip((2, 6), found, strict=True):
        probabilities = softmax(expected["masked_lm_logits"][place])
        best = np.argsort(-probabilities)[:4]
        assert [encoder.tokenizer.token_to_id(c.token) for c in candidates] == best.tolist()
        np.testing.assert_allclose([c.probability for c in candidates], probabilities[best], 1e-4)


def test_fill_mask_wants_a_mask(encoder):
    with pytest.raises(InputError, match=r"no \[MASK\] to fill"):
        encoder.fill_mask("nothing is missing")


def test_next_sentence_is_the_probability_of_is_next(encoder, folder):
    encoding = encoder.tokenizer.encode(("the cat", "it sat"))
    expected = ReferenceBert(folder).forward(encoding.input_ids, encoding.token_type_ids)
    probability = softmax(expected["next_sentence_logits"])[0]
    assert encoder.next_sentence("the cat", "it sat") == pytest.approx(probability, abs=1e-6)


def test_pseudo_log_likelihood_masks_each_token_in_turn(encoder, folder):
    encoding = encoder.tokenizer.encode("the cat sat")
    reference, total = ReferenceBert(folder), 0.0
    for place in range(1, len(encoding.input_ids) - 1):
        ids = list(encoding.input_ids)
        ids[place] = encoder.tokenizer.mask_id
        logits = reference.forward(ids, encoding.token_type_ids)["masked_lm_logits"][place]
        total += np.log(softmax(logits)[encoding.input_ids[place]])
    assert encoder.pseudo_log_likelihood("the cat sat") == pytest.approx(total, abs=1e-4)


def test_an_untrained_architecture_round_trips_through_its_config():
    config = EncoderConfig(
        vocab_size=11, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=12,
    )  # fmt: skip
    bert = Bert(config, heads=("pooler", "classifier"), num_labels=3, dtype="mixed_bfloat16")
    again = Bert.from_config(json.loads(json.dumps(bert.get_config())))
    assert again.get_config() == bert.get_config()
    assert [w.shape for w in again.weights] == [w.shape for w in bert.weights]
    assert list(again.named_weights()) == list(bert.named_weights())


def test_dropout_acts_in_training_only():
    config = EncoderConfig(
        vocab_size=11, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=12, hidden_dropout_prob=0.5,
    )  # fmt: skip
    keras.utils.set_random_seed(0)
    bert = Bert(config)
    ones = np.ones((1, 6), np.int32)
    inputs = {"input_ids": ones, "attention_mask": ones, "token_type_ids": 0 * ones}
    name = ("hidden_states.1",)
    plain = np.array(bert(inputs, outputs=name)[name[0]])
    np.testing.assert_array_equal(plain, np.array(bert(inputs, outputs=name)[name[0]]))
    assert np.abs(plain - np.array(bert(inputs, outputs=name, training=True)[name[0]])).max() > 0.1
