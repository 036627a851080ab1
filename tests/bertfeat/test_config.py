import pytest

from bertfeat.config import EncoderConfig
from bertfeat.errors import ConfigError

GOOD = {
    "vocab_size": 30,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 32,
}


def test_reads_sizes_and_fills_what_hugging_face_leaves_out():
    config = EncoderConfig.from_dict(GOOD | {"architectures": ["BertModel"], "unknown": 1})
    assert config.head_size == 4
    assert (config.type_vocab_size, config.layer_norm_eps, config.hidden_act) == (2, 1e-12, "gelu")


def test_a_google_file_without_type_vocab_size_means_sixteen():
    assert EncoderConfig.from_dict(GOOD, google=True).type_vocab_size == 16
    assert EncoderConfig.from_dict(GOOD | {"type_vocab_size": 2}, google=True).type_vocab_size == 2


def test_every_problem_is_in_one_error():
    raw = GOOD | {
        "hidden_size": 10,
        "num_attention_heads": 3,
        "hidden_act": "mish",
        "position_embedding_type": "relative_key",
        "is_decoder": 1,
        "add_cross_attention": True,
        "layer_norm_eps": "small",
    }
    del raw["vocab_size"]
    with pytest.raises(ConfigError) as caught:
        EncoderConfig.from_dict(raw, "model/config.json")
    message = str(caught.value)
    for part in (
        "model/config.json", "vocab_size is missing",
        "num_attention_heads=3 does not divide hidden_size=10",
        "hidden_act='mish'", "relative_key", "is_decoder=1",
        "add_cross_attention=True", "layer_norm_eps='small'",
    ):  # fmt: skip
        assert part in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "roberta"),
        ("hidden_size", 0),
        ("hidden_size", "8"),
        ("num_hidden_layers", True),
        ("hidden_dropout_prob", 1.5),
        ("pad_token_id", -1),
        ("embedding_size", 4),
    ],
)
def test_a_wrong_value_is_named(key, value):
    with pytest.raises(ConfigError, match=key):
        EncoderConfig.from_dict(GOOD | {key: value})


def test_round_trips_through_its_dictionary():
    config = EncoderConfig.from_dict(GOOD | {"layer_norm_eps": 1e-5})
    assert EncoderConfig.from_dict(config.to_dict()) == config
