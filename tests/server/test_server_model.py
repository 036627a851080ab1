"""The server with real encoders: what it sends is what the library gives."""

import os

import numpy as np
import pytest

from bertfeat_client import Client
from bertfeat_client.errors import InvalidRequest, NotFound, RowErrors

REAL = {"BERTFEAT_SERVE_ENCODER_FACTORY": "bertfeat_server.worker:load_encoder"}
TEXTS = [
    "The cat sat on the mat.",
    "A stock market rallied after the announcement.",
    ("a question?", "and its answer"),
    ["already", "split", "words"],
    "naïve café — 日本語 🎉",
    "",
    "word " * 400,
]
CHOICES = [
    {"layers": [-4, -3, -2, -1], "combine": "concat", "pooling": "mean", "normalize": False},
    {"layers": "all", "combine": "none"},
    {"layers": "-4:", "combine": "weighted", "layer_weights": [0.1, 0.2, 0.3, 0.4]},
    {"pooling": "REDUCE_MAX"},
    {"pooling": "cls", "dimensions": 100},
    {"max_seq_len": 16, "truncate": "middle"},
    {"prompt": "query: "},
    {"dtype": "float16"},
    {"dtype": "bfloat16"},
]


def slow(options):
    """Mark a case as slow: each compiles a graph of its own, here and in the server."""
    return pytest.param(options, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def served(default_model, tmp_path_factory):
    """A server of the default model and the same model in this process."""
    from bertfeat import Encoder
    from conftest import Server

    folder = tmp_path_factory.mktemp("served")
    server = Server(
        folder, "--port", "0", "--model", f"mini={default_model}", "--precision", "float32",
        "--offline", **REAL,
    ).wait_ready()  # fmt: skip
    with Client(server.endpoint, timeout_s=60) as client:
        yield client, Encoder.load(default_model), server
    assert server.end() == 0


@pytest.mark.model
@pytest.mark.filterwarnings("ignore:.*longer than:UserWarning")
@pytest.mark.parametrize("options", [{}, *map(slow, CHOICES)], ids=str)
def test_vectors_are_those_of_the_library(served, options):
    client, encoder, _ = served
    vectors, info = client.encode(TEXTS, return_info=True, **options)
    expected, expected_info = encoder.encode(TEXTS, return_info=True, **options)
    assert vectors.dtype == expected.dtype
    tolerance = {"bfloat16": 1e-2, "float16": 1e-3}.get(options.get("dtype"), 1e-5)
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(info.num_tokens, expected_info.num_tokens)
    np.testing.assert_array_equal(info.truncated, expected_info.truncated)
    assert (info.precision, info.model_hash) == ("float32", encoder.model_hash)


@pytest.mark.model
@pytest.mark.parametrize("dtype", ["int8", "uint8", "binary", "ubinary"])
def test_vectors_in_few_bits_are_those_of_the_library(served, dtype):
    client, encoder, _ = served
    vectors, expected = (e.encode(TEXTS[:3], dtype=dtype) for e in (client, encoder))
    assert vectors.dtype == expected.dtype
    distance = np.abs(vectors.astype(int) - expected.astype(int)).max()
    assert distance <= 1 if "int8" in dtype else np.mean(vectors != expected) < 0.01


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.filterwarnings("ignore:.*longer than:UserWarning")
def test_unpooled_vectors_are_those_of_the_library(served):
    client, encoder, _ = served
    for ours, theirs in zip(
        client.encode(TEXTS, pooling="none"), encoder.encode(TEXTS, pooling="none"), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.model
@pytest.mark.filterwarnings("ignore:.*longer than:UserWarning")
@pytest.mark.parametrize("options", [slow({}), {"layers": [0, -1]}], ids=str)
def test_token_vectors_are_those_of_the_library(served, options):
    client, encoder, _ = served
    for ours, theirs in zip(
        client.tokens(TEXTS, **options), encoder.extract(TEXTS, **options), strict=True
    ):
        assert list(ours.tokens) == theirs.tokens
        assert list(ours.word_ids) == theirs.word_ids
        assert [tuple(pair) for pair in ours.offsets] == theirs.offsets
        np.testing.assert_allclose(ours.vectors, theirs.vectors, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.model
def test_long_texts_are_read_in_windows_if_asked(served, client):
    _, encoder, server = served
    options = {"long": "window", "stride": 32}
    reply = client(server.endpoint).ask("tokens", TEXTS[-1:], options=options)
    [expected] = encoder.extract(TEXTS[-1:], **options)
    assert reply.arrays["lengths"].tolist() == [402]
    vectors = reply.arrays["vectors"].swapaxes(0, 1)
    np.testing.assert_allclose(vectors, expected.vectors, rtol=0, atol=1e-5)


@pytest.mark.model
def test_bad_rows_fail_alone_with_the_row_of_the_request(served):
    client, encoder, _ = served
    with pytest.raises(RowErrors) as error:
        client.encode(["fine", "word " * 400, "good"], truncate="error")
    assert list(error.value.errors) == [1]
    assert "texts[1]" in str(error.value.errors[1])
    np.testing.assert_allclose(
        error.value.vectors[[0, 2]], encoder.encode(["fine", "good"]), atol=1e-5
    )


@pytest.mark.model
def test_what_the_model_cannot_do_is_said(served):
    client, _, _ = served
    with pytest.raises(InvalidRequest, match="layer 99 does not exist"):
        client.encode(["a"], layers=99)
    with pytest.raises(NotFound):
        client.encode(["a"], model="other")


@pytest.mark.model
def test_an_empty_list_has_the_right_width(served):
    client, _, _ = served
    assert client.encode([]).shape == (0, 384)


@pytest.mark.model
def test_info_describes_the_model(served):
    client, encoder, _ = served
    [model] = client.info()["models"]
    assert model["name"] == "mini"
    assert (model["dim"], model["max_seq_len"], model["layers"]) == (384, 256, 6)
    assert model["model_hash"] == encoder.model_hash
    assert model["cross_encoder"] is False


@pytest.mark.model
def test_nothing_but_the_summary_is_printed(served):
    _, _, server = served
    assert server.errors.read_text() == (
        f"bertfeat 0.1.0 at {server.endpoint}\n"
        "  model      mini: 384 dimensions, 256 tokens\n"
        "  precision  float32 (asked for)\n"
        f"  workers    1 for each model, {len(os.sched_getaffinity(0))} thread(s) each\n"
    )


@pytest.mark.slow
@pytest.mark.model
def test_start_status_encode_stop_as_in_the_readme(start, default_model):
    server = start("--model", str(default_model), "--offline", **REAL)
    assert server.command("status").stdout.startswith(f"{server.endpoint}  ready")
    with Client(server.endpoint) as client:
        a, b, c = client.encode(["A man plays a guitar.", "Someone makes music.", "Rain in Spain."])
    assert a @ b > a @ c
    assert server.command("stop").returncode == 0
    assert server.end(0) == 0


@pytest.mark.slow
def test_several_models_and_a_cross_encoder_in_one_server(start, client, tiny_bert):
    from bertfeat import Encoder

    plain, judge = (
        tiny_bert(seed=1),
        tiny_bert(seed=2, heads=("pooler", "classifier"), num_labels=3),
    )
    server = start("--model", f"plain={plain}", "--model", f"judge={judge}", "--pooling", "cls",
                   "--precision", "float32", **REAL)  # fmt: skip
    pairs = [("the cat", "a dog"), ("one", "two three")]
    items = [{"text": text, "pair": pair} for text, pair in pairs]
    scores = client(server.endpoint).ask("score", items, model="judge").arrays["scores"]
    np.testing.assert_allclose(scores, Encoder.load(judge).score(pairs), atol=1e-5)
    with Client(server.endpoint, timeout_s=60) as asking:
        for name, folder in (("plain", plain), ("judge", judge)):
            expected = Encoder.load(folder).encode(["the cat sat"], pooling="cls")
            np.testing.assert_allclose(
                asking.encode(["the cat sat"], model=name), expected, atol=1e-5
            )
        models = {model["name"]: model["cross_encoder"] for model in asking.info()["models"]}
    assert models == {"plain": False, "judge": True}


def test_a_folder_that_is_no_model_ends_the_start(start, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    server = start("--model", str(tmp_path), ready=False, **REAL)
    assert server.end(0) == 1
    last = server.errors.read_text().splitlines()[-1]
    assert last.startswith("bertfeat-serve: ")
    assert str(tmp_path) in server.errors.read_text()


@pytest.mark.slow
@pytest.mark.model
def test_a_real_model_is_checked_and_swapped(served):
    client, encoder, server = served
    vectors = client.encode(TEXTS[:4])
    swapped = server.command("models", "swap", f"mini={encoder.folder}")
    assert swapped.stdout == "swap mini: done\n", swapped.stderr
    np.testing.assert_array_equal(client.encode(TEXTS[:4]), vectors)
