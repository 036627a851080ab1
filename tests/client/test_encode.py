"""``encode`` and its kin, against a server that is a function: numbers, rows, errors, options."""

import warnings

import numpy as np
import pytest

from bertfeat_client import Client, EncodeInfo, RowErrors, TruncationWarning
from bertfeat_client.errors import (
    InternalError,
    InvalidRequest,
    MalformedMessage,
)
from bertfeat_client.in_process import Later

TEXTS = [f"text number {n}" for n in range(11)]


def expected(fake, texts):
    return np.stack([fake.vector_of(text) for text in texts])


def test_rows_come_in_order_whatever_the_number_of_requests(client, fake):
    vectors = client.encode(TEXTS)
    np.testing.assert_array_equal(vectors, expected(fake, TEXTS))
    sizes = [len(request.items) for request in fake.requests if request.items]
    assert sizes == [4, 4, 3]


def test_vectors_are_float32_contiguous_and_writable(client):
    for vectors in (client.encode(TEXTS), client.encode("one"), client.encode(TEXTS[:1])):
        assert vectors.dtype == np.float32
        assert vectors.flags.c_contiguous and vectors.flags.writeable
        vectors += 1


def test_one_bare_string_gives_one_vector(client, fake):
    np.testing.assert_array_equal(client.encode("alone"), fake.vector_of("alone"))


def test_no_texts_give_no_vectors_of_the_right_width(client):
    assert client.encode([]).shape == (0, 8)
    assert client.encode([], dimensions=3).shape == (0, 3)
    assert client.encode([], dtype="int8").dtype == np.int8
    assert client.encode([], pooling="none") == []


@pytest.mark.parametrize(
    "make",
    [list, tuple, iter, np.array, lambda texts: (text for text in texts), dict.fromkeys],
    ids=["list", "tuple", "iterator", "array", "generator", "dict"],
)
def test_any_iterable_of_texts_will_do_but_a_mapping(client, fake, make):
    texts = make(TEXTS)
    if isinstance(texts, dict):
        with pytest.raises(InvalidRequest, match="got dict"):
            client.encode(texts)
        texts = texts.keys()
    np.testing.assert_array_equal(client.encode(texts), expected(fake, TEXTS))


def test_a_series_of_pandas_is_an_iterable_of_texts(client, fake):
    pandas = pytest.importorskip("pandas")
    np.testing.assert_array_equal(client.encode(pandas.Series(TEXTS)), expected(fake, TEXTS))
    with pytest.raises(InvalidRequest, match=r"got DataFrame of shape \(11, 1\)"):
        client.encode(pandas.DataFrame({"text": TEXTS}))


def test_pairs_and_words_travel_as_json_objects(client, fake):
    client.encode(["plain", ("a", "b"), ["two", "words"]])
    assert fake.requests[-1].items == [
        "plain",
        {"text": "a", "pair": "b"},
        {"words": ["two", "words"]},
    ]


@pytest.mark.parametrize("texts", [None, 7, b"bytes", {"text": "a"}, np.array([["a"]])])
def test_what_holds_no_texts_is_refused_before_anything_is_sent(client, fake, texts):
    with pytest.raises(InvalidRequest, match=f"got {type(texts).__name__}"):
        client.encode(texts)
    assert "encode" not in fake.ops()


@pytest.mark.parametrize(
    ("item", "got"),
    [
        (None, "got NoneType"),
        (float("nan"), "got NaN"),
        (3, "got int"),
        (b"b", "got bytes"),
        (("a", "b", "c"), "got a tuple of 3"),
        (("a", None), "got a tuple whose element 1 is NoneType"),
        (["a", 2], "got a list whose element 1 is int"),
        ({"text": "a"}, "got dict"),
        ("x" * 51, "51 characters, the server takes at most 50"),
        (["x" * 20, "y" * 40], "62 characters, the server takes at most 50"),
    ],
)
def test_a_bad_item_fails_its_own_row_and_names_it(client, fake, item, got):
    texts = [*TEXTS[:5], item, *TEXTS[5:]]
    with pytest.raises(RowErrors) as caught:
        client.encode(texts)
    assert list(caught.value.errors) == [5]
    error = caught.value.errors[5]
    assert isinstance(error, InvalidRequest)
    assert str(error).startswith("texts[5]: ") and got in str(error)
    good = np.insert(expected(fake, TEXTS), 5, 0, axis=0)
    np.testing.assert_array_equal(caught.value.vectors, good)


def test_rows_that_the_server_refuses_are_numbered_as_the_caller_counts(client, fake):
    texts = [*TEXTS[:6], "this shouts!", None, "so does this!", "fine"]
    vectors, info = client.encode(texts, return_info=True)
    assert list(info.errors) == [6, 7, 8]
    assert str(info.errors[6]) == "texts[6]: it shouts"
    assert str(info.errors[8]) == "texts[8]: it shouts"
    assert info.errors[8].request_id in {request.header["id"] for request in fake.requests}
    assert not vectors[6:9].any()
    np.testing.assert_array_equal(vectors[9], fake.vector_of("fine"))


def test_row_errors_say_how_many_and_which_first(client):
    with pytest.raises(RowErrors, match=r"2 row\(s\) failed, the first is row 1: texts\[1\]"):
        client.encode(["ok", None, "no!"])


def test_rows_that_are_all_bad_give_zeros_of_the_right_shape(client):
    vectors, info = client.encode([None, 1], return_info=True)
    np.testing.assert_array_equal(vectors, np.zeros((2, 8), np.float32))
    assert list(info.errors) == [0, 1]


def test_a_bare_string_that_fails_raises_row_errors_too(client):
    with pytest.raises(RowErrors) as caught:
        client.encode("no!")
    assert caught.value.vectors.shape == (8,)


def test_info_tells_of_each_row_and_of_the_model(client):
    texts = ["one", "one two three four five six", "one two"]
    with pytest.warns(TruncationWarning):
        vectors, info = client.encode(texts, return_info=True)
    assert isinstance(info, EncodeInfo)
    np.testing.assert_array_equal(info.num_tokens, [3, 8, 4])
    assert info.num_tokens.dtype == np.int32
    np.testing.assert_array_equal(info.truncated, [False, True, False])
    assert (info.precision, info.model_hash, info.model) == ("float32", "abc", "fake")
    assert info.errors == {}


def test_truncation_is_told_once_for_each_call_at_the_callers_line(client):
    long = "a b c d e f g h"
    texts = [*TEXTS[:5], long, *TEXTS[5:], long]
    with pytest.warns(TruncationWarning, match=r"2 text\(s\).*texts\[5\]") as caught:
        client.encode(texts)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_nothing_is_told_where_nothing_was_cut(client):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.encode(TEXTS)


def test_options_travel_and_those_that_say_nothing_do_not(client, fake):
    client.encode(
        "a", layers=np.array([-2, -1]), combine="weighted", layer_weights=(0.25, 0.75),
        pooling="mean", normalize=False, dimensions=np.int64(4), truncate="left", prompt=None,
        prompt_name="query", max_seq_len=16, model="fake",
    )  # fmt: skip
    header = fake.requests[-1].header
    assert header["model"] == "fake"
    assert header["options"] == {
        "layers": [-2, -1], "combine": "weighted", "layer_weights": [0.25, 0.75],
        "pooling": "mean", "normalize": False, "dimensions": 4, "truncate": "left",
        "prompt_name": "query", "max_seq_len": 16,
    }  # fmt: skip


def test_a_range_of_layers_is_a_list(client, fake):
    client.encode("a", layers=range(3))
    assert fake.requests[-1].header["options"] == {"layers": [0, 1, 2]}


def test_a_misspelt_option_is_a_type_error_that_names_the_known_ones(client):
    with pytest.raises(TypeError, match="poling; known: model, layers"):
        client.encode("a", poling="mean")


@pytest.mark.parametrize("value", [object(), float("nan"), b"x"])
def test_an_option_that_cannot_travel_is_refused(client, value):
    with pytest.raises(InvalidRequest, match="dimensions: expected"):
        client.encode("a", dimensions=value)


def test_bfloat16_is_widened_exactly(client, fake):
    vectors = client.encode(TEXTS, dtype="bfloat16")
    assert vectors.dtype == np.float32
    full = expected(fake, TEXTS)
    np.testing.assert_allclose(vectors, full, rtol=2**-8)
    assert not (vectors.view(np.uint32) & 0xFFFF).any()


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_other_dtypes_come_as_they_are(client, fake, dtype):
    full = expected(fake, TEXTS)
    full = np.round(full * 127) if dtype == "int8" else full
    vectors = client.encode(TEXTS, dtype=dtype)
    assert vectors.dtype == np.dtype(dtype) and vectors.flags.writeable
    np.testing.assert_array_equal(vectors, full.astype(dtype))


def test_without_pooling_each_row_has_its_own_length(client, fake):
    texts = ["one two", None, "three", "no!", "four five six", "seven"]
    rows, info = client.encode(texts, pooling="none", return_info=True)
    assert [len(row) for row in rows] == [4, 0, 3, 0, 5, 3]
    assert list(info.errors) == [1, 3]
    words = ["[CLS]", "four", "five", "six", "[SEP]"]
    np.testing.assert_array_equal(rows[4], expected(fake, words))
    assert all(row.flags.writeable and row.dtype == np.float32 for row in rows)


def test_the_servers_limits_are_asked_for_once(client, fake):
    client.encode("a")
    client.encode("b")
    assert fake.ops() == ["info", "encode", "encode"]


def test_texts_of_a_request_are_bounded_in_characters(client, fake):
    fake.info["limits"] = {"max_request_texts": 1000, "max_text_chars": 400_000}
    client.encode(["x" * 80_000] * 7)
    assert [len(request.items) for request in fake.requests[1:]] == [3, 3, 1]


@pytest.mark.parametrize("method", ["encode_query", "encode_document"])
def test_queries_and_documents_take_the_models_prompts(client, fake, method):
    encode = getattr(client, method)
    np.testing.assert_array_equal(encode("a"), fake.vector_of("a"))
    fake.info["models"][0]["prompts"] = {"passage": "p: ", "query": "q: ", "corpus": "c: "}
    with Client(transport=client._calls._transport) as fresh:
        name = {"encode_query": "query", "encode_document": "passage"}[method]
        encode = getattr(fresh, method)
        np.testing.assert_array_equal(encode("a"), fake.vector_of(name + "a"))
        encode("a", prompt="my own: ")
        assert fake.requests[-1].header["options"] == {"prompt": "my own: "}


def test_an_error_of_the_whole_request_is_raised_with_its_id(client, fake):
    fake.instead = lambda request: (
        [fake.refusal(request, "invalid_request")] if request.header["op"] == "encode" else None
    )
    with pytest.raises(InvalidRequest, match="said the server") as caught:
        client.encode("a")
    assert caught.value.request_id == fake.requests[-1].header["id"]


def test_an_error_in_one_of_many_requests_cancels_the_others(client, fake):
    def fail_second(request):
        if request.items and "text number 4" in request.items:
            return [Later(1.0, fake.refusal(request, "internal_error"))]
        return [] if request.items and "text number 8" in request.items else None

    fake.instead = fail_second
    with pytest.raises(InternalError):
        client.encode(TEXTS)
    assert fake.cancelled == [fake.requests[-1].header["id"]]


def test_vectors_of_two_models_are_never_mixed(client, fake):
    def change(request):
        if request.items and "text number 8" in request.items:
            reply = fake._encode(request)
            reply.header["info"] = reply.header["info"] | {"model_hash": "def"}
            return [reply]
        return None

    fake.instead = change
    with pytest.raises(InternalError, match=r"changed its model.*abc.*def"):
        client.encode(TEXTS)


def test_a_call_that_meets_two_models_is_sent_once_more_to_the_new_one(client, fake):
    def change(request):
        if not request.items or request.header["op"] != "encode":
            return None
        reply = fake._encode(request)
        after = any("text number 8" in one.items for one in fake.requests if one.items)
        reply.header["info"] = reply.header["info"] | {"model_hash": "def" if after else "abc"}
        return [reply]

    fake.instead = change
    vectors, info = client.encode(TEXTS, return_info=True)
    assert (len(vectors), info.model_hash) == (len(TEXTS), "def")
    sent = [text for one in fake.requests for text in one.items or ()]
    assert sent.count(TEXTS[0]) == 2


@pytest.mark.parametrize("flaw", ["missing", "rows", "width", "errors"])
def test_a_reply_that_does_not_fit_the_request_is_malformed(client, fake, flaw):
    def spoil(request):
        if request.header["op"] != "encode":
            return None
        reply = fake._encode(request)
        if flaw == "missing":
            del reply.arrays["truncated"]
        elif flaw == "rows":
            reply.arrays["vectors"] = reply.arrays["vectors"][1:]
        elif flaw == "width" and "text number 4" in request.items:
            reply.arrays["vectors"] = reply.arrays["vectors"][:, 1:]
        elif flaw == "errors":
            reply.header["row_errors"] = {"99": {"code": "invalid_request", "message": "?"}}
        return [reply]

    fake.instead = spoil
    with pytest.raises(MalformedMessage):
        client.encode(TEXTS)


@pytest.mark.parametrize(
    ("options", "sizes"),
    [({}, [100]), ({"pooling": "mean"}, [100]), ({"pooling": "none"}, [32, 32, 32, 4])],
)
def test_only_token_vectors_are_asked_for_in_small_requests(client, fake, options, sizes):
    fake.info["limits"] = {"max_request_texts": 1000, "max_text_chars": 50}
    client.encode(["text"] * 100, **options)
    sent = [r for r in fake.requests if r.header["op"] == "encode"]
    assert [len(request.items) for request in sent] == sizes
