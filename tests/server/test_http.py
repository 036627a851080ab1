"""The routes of the HTTP side: their shapes, and that their numbers are the library's."""

import base64
import json

import numpy as np
import pytest
from http_served import REAL, http_server

from bertfeat import Encoder
from source_tree import ROOT

pytest.importorskip("starlette")
pytestmark = pytest.mark.filterwarnings("ignore::bertfeat.errors.NotTrainedForSimilarity")
TEXTS = ["the cat sat on the mat", "hello world", "red rain"]


@pytest.fixture(scope="module")
def models(tiny_bert):
    return tiny_bert(seed=5), tiny_bert(seed=6, heads=("pooler", "classifier"), num_labels=1)


@pytest.fixture(scope="module")
def http(models, tmp_path_factory):
    options = [f"--model=tiny={models[0]}", f"--model=cross={models[1]}", "--precision", "float32"]
    with http_server(tmp_path_factory.mktemp("http"), *options, **REAL) as (_, client):
        yield client


@pytest.fixture(scope="module")
def encoder(models):
    return Encoder.load(models[0])


@pytest.fixture(scope="module")
def expected(encoder):
    return encoder.encode(TEXTS, pooling="mean")


def ids(encoder, text):
    return encoder.tokenizer.encode(text).input_ids


def close(found, expected):
    np.testing.assert_allclose(np.array(found, np.float32), expected, atol=1e-5)


def test_encode_gives_a_vector_and_an_outcome_for_each_text(http, encoder, expected):
    body = {"texts": [*TEXTS, "cat " * 99], "pooling": "mean", "truncate": "error"}
    reply = http.post("/encode", json=body)
    found = reply.json()
    assert reply.status_code == 200
    close(found["vectors"][:3], expected)
    assert found["vectors"][3] is None
    assert "at most" in found["errors"]["3"]["message"]
    assert found["num_tokens"][0] == len(ids(encoder, TEXTS[0]))
    assert (found["model"], found["precision"]) == ("tiny", "float32")
    assert found["model_hash"] == encoder.model_hash


def test_encode_takes_pairs_words_ids_and_options(http, encoder):
    items = [("hello", "the cat"), ["red", "rain"], TEXTS[0]]
    options = {"layers": [0, -1], "combine": "concat", "pooling": "max", "normalize": True}
    wire = [
        {"text": "hello", "pair": "the cat"}, {"words": ["red", "rain"]},
        {"ids": ids(encoder, TEXTS[0])},
    ]  # fmt: skip
    found = http.post("/encode", json={"texts": wire} | options).json()
    close(found["vectors"], encoder.encode(items, **options))


def test_encode_in_base64_is_the_arrays_bytes(http, expected):
    body = {"texts": TEXTS, "encoding_format": "base64", "dtype": "float16"}
    rows = http.post("/encode", json=body).json()["vectors"]
    found = np.stack([np.frombuffer(base64.b64decode(row), "<f2") for row in rows])
    np.testing.assert_allclose(found, expected, atol=1e-2)


@pytest.mark.parametrize("given", ["text", "texts", "ids", "lists"])
def test_embeddings_have_openais_shape(http, encoder, expected, given):
    value = {
        "text": TEXTS[0], "texts": TEXTS, "ids": ids(encoder, TEXTS[0]),
        "lists": [ids(encoder, text) for text in TEXTS],
    }[given]  # fmt: skip
    found = http.post("/v1/embeddings", json={"input": value, "model": "tiny"}).json()
    rows = [one["embedding"] for one in found["data"]]
    close(rows, expected[: len(rows)])
    assert [one["index"] for one in found["data"]] == list(range(len(rows)))
    assert (found["object"], found["model"]) == ("list", "tiny")
    tokens = sum(len(ids(encoder, text)) for text in TEXTS[: len(rows)])
    assert found["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}


def test_embed_has_the_shape_of_text_embeddings_inference(http, encoder):
    close(http.post("/embed", json={"inputs": TEXTS}).json(), encoder.encode(TEXTS, normalize=True))
    close(
        http.post("/embed", json={"inputs": TEXTS[0], "normalize": False, "dimensions": 4}).json(),
        encoder.encode([TEXTS[0]], normalize=False, dimensions=4),
    )
    tokens = http.post("/embed_all", json={"inputs": TEXTS}).json()
    for row, item in zip(tokens, encoder.extract(TEXTS), strict=True):
        close(row, item.vectors[0])


def test_similarity_is_the_cosine(http, encoder):
    inputs = {"source_sentence": TEXTS[0], "sentences": TEXTS[1:]}
    vectors = encoder.encode(TEXTS, normalize=True)
    for path in ("/similarity", "/"):
        close(http.post(path, json={"inputs": inputs}).json(), vectors[1:] @ vectors[0])
    close(http.post("/", json={"inputs": TEXTS}).json(), vectors)


def test_tokens_have_ids_and_places(http, encoder):
    [row] = http.post("/tokenize", json={"inputs": "hello red rain"}).json()
    told = encoder.tokenizer.encode("hello red rain")
    assert [token["id"] for token in row] == told.input_ids
    assert [token["text"] for token in row] == told.tokens
    assert row[0]["special"] is True
    assert (row[1]["start"], row[1]["stop"]) == told.offsets[1]
    plain = http.post("/tokenize", json={"inputs": ["cat"], "add_special_tokens": False}).json()
    assert [len(row) for row in plain] == [1]


def test_reranking_goes_by_the_cross_encoder(http, models):
    scorer = Encoder.load(models[1])
    raw = scorer.score([("red", text) for text in TEXTS], raw=True)[:, 0]
    order = np.argsort(-raw)
    body = {"query": "red", "texts": TEXTS, "raw_scores": True, "return_text": True}
    found = http.post("/rerank", json=body).json()
    assert [one["index"] for one in found] == order.tolist()
    close([one["score"] for one in found], raw[order])
    assert [one["text"] for one in found] == [TEXTS[i] for i in order]
    found = http.post("/rerank", json={"query": "red", "texts": TEXTS}).json()
    close([one["score"] for one in found], 1 / (1 + np.exp(-raw[order])))
    body = {"query": "red", "documents": [*TEXTS[:2], {"text": TEXTS[2]}], "top_n": 2}
    found = http.post("/v1/rerank", json=body | {"return_documents": True}).json()
    assert [one["index"] for one in found["results"]] == order[:2].tolist()
    assert found["results"][0]["document"]["text"] == TEXTS[order[0]]


def test_predictions_are_the_heads_scores(http, models):
    score = Encoder.load(models[1]).score([TEXTS[0], ("red", "rain")])[:, 0]
    found = http.post("/predict", json={"inputs": [[TEXTS[0]], ["red", "rain"]]}).json()
    assert [row[0]["label"] for row in found] == ["LABEL_0"] * 2
    close([row[0]["score"] for row in found], score)
    close(http.post("/predict", json={"inputs": ["red", "rain"]}).json()[0]["score"], score[1])


def test_headers_tell_the_request_the_cut_texts_and_the_time(http):
    body = {"texts": ["cat " * 99, "cat"]}
    reply = http.post("/encode", json=body, headers={"X-Request-Id": "mine-1"})
    assert reply.headers["X-Request-Id"] == "mine-1"
    assert reply.headers["X-Bertfeat-Truncated-Rows"] == "1"
    assert reply.json()["truncated"] == [True, False]
    times = [float(reply.headers[f"X-{name}-Time"]) for name in ("Queue", "Inference", "Total")]
    assert times[2] == pytest.approx(times[0] + times[1], abs=0.01)
    assert len(http.get("/ready").headers["X-Request-Id"]) == 32


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/encode", {"text": "a"}, 400, "unknown field `text`"),
        ("/encode", {"texts": [1]}, 400, "$.texts[0]"),
        ("/encode", {"texts": [{"pair": "a"}]}, 400, "an object with pair"),
        ("/encode", {"texts": ["a"], "pooling": "median"}, 400, "median"),
        ("/encode", {"texts": ["a"], "model": "other"}, 404, "this server has tiny, cross"),
        ("/v1/embeddings", {"input": []}, 400, "an empty list"),
        ("/v1/embeddings", {"input": ["a", 1]}, 400, "a mixture"),
        ("/v1/embeddings", {"input": "a", "model": "ada"}, 404, "no model 'ada'"),
        ("/v1/embeddings", {"input": [99999999]}, 400, "token id 99999999"),
        ("/embed", {"inputs": "cat " * 99, "truncate": False}, 422, "at most"),
        ("/embed", {"inputs": None}, 422, "$.inputs"),
        ("/v1/rerank", {"query": "a", "documents": []}, 400, "at least one"),
        ("/search", {"texts": "a"}, 404, "no index"),
        ("/tag", {"texts": "a"}, 404, "no task for tag here"),
    ],
)
def test_a_bad_request_is_told_in_the_shape_of_its_route(http, path, body, status, says):
    reply = http.post(path, json=body)
    assert reply.status_code == status, reply.text
    found = reply.json()
    if path.startswith("/v1/embeddings"):
        assert set(found["error"]) == {"message", "type", "param", "code"}
        assert says in found["error"]["message"]
    elif path == "/embed":
        assert found["error_type"] == "Validation"
        assert says in found["error"]
    elif path == "/v1/rerank":
        assert says in found["message"]
    else:
        assert found["error"]["request_id"] == reply.headers["X-Request-Id"]
        assert says in found["error"]["message"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b'{"texts": "\\ud800"}'])
def test_a_body_that_is_no_json_is_an_error_of_the_caller(http, content):
    reply = http.post("/encode", content=content, headers={"Content-Type": "application/json"})
    assert reply.status_code in (400, 200), reply.text
    if reply.status_code == 200:
        assert reply.json()["errors"]


def test_what_is_no_route_is_said(http):
    assert http.get("/nothing").status_code == 404
    assert http.get("/encode").status_code == 405


def test_the_server_tells_of_itself(http, encoder):
    assert http.get("/ready").json() == {"ready": True}
    assert http.get("/health").json() == {"healthy": True}
    told = http.get("/info").json()
    assert [one["name"] for one in told["models"]] == ["tiny", "cross"]
    assert (told["model_id"], told["max_input_length"]) == ("tiny", encoder.max_seq_len)
    assert {one["state"] for one in http.get("/status").json()["workers"]} <= {"ready", "busy"}
    assert [one["id"] for one in http.get("/v1/models").json()["data"]] == ["tiny", "cross"]
    for path in ("/", "/docs"):
        page = http.get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert "http://" not in page.text.replace("http://www.w3.org", "")
        assert "https://" not in page.text


def test_metrics_are_prometheus(http):
    from prometheus_client.parser import text_string_to_metric_families

    http.post("/encode", json={"texts": TEXTS})
    families = {one.name: one for one in text_string_to_metric_families(http.get("/metrics").text)}
    assert families["bertfeat_ready"].samples[0].value == 1
    assert families["bertfeat_texts"].samples[0].value >= len(TEXTS)
    counted = families["bertfeat_http_requests"].samples
    assert any(one.labels["path"] == "/encode" and one.value >= 1 for one in counted)


def settled(value):
    """A description without the order of its alternatives, which differs between msgspec's."""
    if isinstance(value, list):
        return sorted((settled(one) for one in value), key=json.dumps)
    if isinstance(value, dict):
        return {name: settled(one) for name, one in value.items()}
    return value


def test_the_description_is_the_committed_one(http):
    served = http.get("/openapi.json").json()
    committed = json.loads((ROOT / "docs" / "openapi.json").read_text("utf-8"))
    served["info"].pop("version"), committed["info"].pop("version")
    assert settled(served) == settled(committed), (
        "run: python -m bertfeat_server.http.describe > docs/openapi.json"
    )
    assert {"/encode", "/v1/embeddings", "/embed", "/rerank", "/"} <= set(served["paths"])
