"""Trained heads behind the server answer as they do in process."""

import threading

import numpy as np
import pytest
from http_served import http_server
from random_tagger import write_random_tagger

from bertfeat.tasks import Predictor, Tagger
from bertfeat_client import Client
from bertfeat_client.errors import NotFound, RowErrors
from bertfeat_client.results import Entity, Prediction

TEXTS = ["the cat sat on the mat .", "one red dog ran in rain", "he is big and small " * 300, ""]


@pytest.fixture(scope="module")
def folders(tiny_bert, tmp_path_factory):
    """A tagger with random weights on frozen features, a classifier, and their encoder."""
    encoder = tiny_bert()
    target = write_random_tagger(encoder, tmp_path_factory.mktemp("tasks") / "tagger")
    names = {"id2label": {"0": "bad", "1": "good"}, "label2id": {"bad": 0, "good": 1}}
    return encoder, target, tiny_bert(heads=("pooler", "classifier"), seed=3, **names)


@pytest.fixture(scope="module")
def served(folders, tmp_path_factory):
    """A server of all three, its HTTP side and its ZeroMQ client."""
    encoder, tagger, classifier = folders
    with http_server(
        tmp_path_factory.mktemp("served"), "--model", f"tiny={encoder}", "--task", f"ner={tagger}",
        "--task", f"mood={classifier}",
        BERTFEAT_SERVE_ENCODER_FACTORY="bertfeat_server.worker:load_encoder",
    ) as (server, http), Client(server.endpoint, timeout_s=60) as client:  # fmt: skip
        yield client, http


def test_entities_are_those_of_the_library(served, folders):
    client, http = served
    expected = Tagger.load(folders[1]).tag([*TEXTS, ["the", "cat"]])
    assert sum(map(len, expected)) >= 5
    found = client.tag([*TEXTS, ["the", "cat"]], task="ner")
    for ours, theirs in zip(found, expected, strict=True):
        assert [e[:4] for e in ours] == [(e.start, e.end, e.label, e.text) for e in theirs]
        np.testing.assert_allclose([e.score for e in ours], [e.score for e in theirs], atol=1e-5)
    assert isinstance(client.tag(TEXTS[0])[0], Entity)
    answer = http.post("/tag", json={"texts": TEXTS[:2]}).json()
    assert [[e["text"] for e in row] for row in answer] == [[e.text for e in r] for r in found[:2]]


def test_many_callers_get_each_their_own(served, folders):
    client, _ = served
    texts = [
        f"{a} {b} ." for a in ("the cat", "one dog", "a mat") for b in ("ran", "sat", "is big")
    ]
    expected = [[(e.start, e.label) for e in row] for row in Tagger.load(folders[1]).tag(texts)]
    found = {}

    def ask(number):
        text = texts[number % len(texts)]
        found[number] = [(e.start, e.label) for e in client.tag(text)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: expected[number % len(texts)] for number in range(64)}


def test_predictions_are_those_of_the_library(served, folders):
    client, http = served
    items = [*TEXTS[:2], ("the cat", "a dog")]
    expected = Predictor.load(folders[2]).predict(items)
    found = client.predict(items, task="mood")
    assert [p.label for p in found] == [p.label for p in expected]
    np.testing.assert_allclose([p.score for p in found], [p.score for p in expected], atol=1e-5)
    assert isinstance(client.predict("the cat"), Prediction)
    rows = http.post("/predict", json={"inputs": [[text] for text in TEXTS[:2]]}).json()
    assert [row[0]["label"] for row in rows] == [p.label for p in expected[:2]]
    one = http.post("/predict", json={"inputs": "the cat", "task": "mood"}).json()
    assert {row["label"] for row in one} == {"bad", "good"}


def test_a_bad_text_fails_alone_and_unknown_tasks_are_told(served):
    client, http = served
    with pytest.raises(RowErrors) as caught:
        client.tag(["the cat", ("a", "pair")], task="ner")
    assert list(caught.value.errors) == [1]
    assert caught.value.vectors[0] == client.tag("the cat")
    with pytest.raises(NotFound, match="no task 'mood' for tag here; this server has ner"):
        client.tag(["a"], task="mood")
    assert http.post("/predict", json={"inputs": "a", "task": "x"}).status_code == 404
    told = client.info()
    assert [(t["name"], t["task"]) for t in told["tasks"]] == [("ner", "tag"), ("mood", "predict")]
    assert [model["name"] for model in told["models"]] == ["tiny"]
