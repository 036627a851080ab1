"""What a request must look like, and what is said of one that does not."""

import pytest

from bertfeat_client.errors import InvalidRequest, NotFound
from bertfeat_client.protocol import Message
from bertfeat_server.config import ServerConfig
from bertfeat_server.requests import parse

CONFIG = ServerConfig(model=("m=/m", "n=/n"), max_request_texts=4, max_text_chars=20)


def request(items=("a text",), op="encode", config=CONFIG, **header):
    items = None if items is None else list(items)
    return parse(Message({"id": "1", "op": op} | header, items), config, {"m": 8}, {})


def test_a_plain_request_gets_the_defaults():
    found = request()
    assert (found.model, found.options, found.key) == ("m", {}, ("m", "encode", "{}"))
    assert (found.timeout_s, found.row_errors, found.whole) == (60.0, {}, False)


def test_tokens_are_estimated_from_utf8_bytes_and_capped_at_what_the_model_reads():
    assert request(["", "abcdef", "日本", "x" * 20]).costs == [2, 4, 4, 8]
    assert request(["x" * 20], op="tokens", options={"long": "window"}).costs == [8]
    assert request(["x" * 20], model="n").costs == [8]


def test_windows_of_a_long_text_all_cost():
    config = ServerConfig(model=("m=/m",))
    long = ["x" * 3000]
    assert request(long, op="tokens", config=config).costs == [8]
    assert request(long, op="tokens", config=config, options={"long": "window"}).costs == [1002]


def test_pairs_and_word_lists_are_texts():
    found = request([{"text": "abc", "pair": "def"}, {"words": ["abc", "def"]}])
    assert (found.costs, found.row_errors) == ([4, 4], {})


def test_options_in_another_order_or_with_none_share_one_key():
    one = request(options={"layers": [-2], "pooling": "cls"})
    other = request(options={"pooling": "cls", "layers": [-2], "dimensions": None})
    assert one.key == other.key


def test_the_servers_defaults_fill_in_and_a_request_may_choose_otherwise():
    config = ServerConfig(model=("m=/m",), layers="-2", pooling="max", normalize=False)
    assert request(config=config, options={"pooling": "cls"}).options == {
        "layers": "-2", "pooling": "cls", "normalize": False
    }  # fmt: skip
    assert request(op="tokens", config=config).options == {}


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (None, "got NoneType"),
        (7, "got int"),
        (["a", "b"], "got list"),
        ({"text": "a"}, "{'text': 'a'}"),
        ({"text": "a", "pair": 3}, "'pair': 3"),
        ({"words": ["a", None]}, "None"),
        ({"words": "a"}, "'words': 'a'"),
        ("\ud83d", "surrogates not allowed"),
        ("y" * 21, "21 characters, this server takes 20"),
    ],
)
def test_one_bad_item_is_refused_alone_and_named(item, said):
    found = request(["good", item, "good"])
    assert list(found.row_errors) == [1]
    error = found.row_errors[1]
    assert error["code"] == "invalid_request"
    assert error["message"].startswith("texts[1]: ")
    assert said in error["message"]
    assert found.items == ["good", None, "good"]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"op": "explode"}, "op='explode' is none of encode, tokens, score, tokenize, predict"),
        ({"op": None}, "op=None"),
        ({"op": ["encode"]}, "op="),
        ({"items": None}, "encode needs items"),
        ({"items": ["a"] * 5}, "5 texts in one request, this server takes 4"),
        ({"model": 3}, "model: expected a name, got 3"),
        ({"options": [1]}, "options: expected an object, got"),
        ({"options": {"prompt": "x" * 70_000}}, "at most 65536"),
        ({"timeout_ms": 0}, "timeout_ms: expected a number"),
        ({"timeout_ms": True}, "got True"),
        ({"timeout_ms": "5"}, "got '5'"),
        ({"timeout_ms": float("nan")}, "got nan"),
        ({"timeout_ms": 10**400}, "timeout_ms"),
        ({"id": ""}, "id: expected 1 to 200 characters"),
        ({"id": 5}, "got 5"),
        ({"id": "x" * 201}, "id: expected"),
    ],
)
def test_a_bad_request_is_told_what_was_expected_and_what_came(header, said):
    with pytest.raises(InvalidRequest) as error:
        request(**header)
    assert said in str(error.value)


def test_an_unknown_model_is_not_found_and_the_known_ones_are_named():
    with pytest.raises(NotFound, match="no model 'x' here; this server has m, n"):
        request(model="x")


def test_requests_of_the_index_are_whole_and_changes_are_not_repeated():
    search, change = request(op="search"), request(op="index_add", options={"ids": [1]})
    delete = request(None, op="index_delete", options={"ids": [1]})
    assert [r.whole for r in (search, change, delete)] == [True] * 3
    assert [r.retry for r in (search, change, delete)] == [True, False, False]
    assert change.options == {"ids": [1]}
    assert delete.items is None


def test_an_empty_list_of_texts_is_one_whole_request():
    assert request([]).whole
