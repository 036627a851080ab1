"""The index behind the server: its handler alone, then real processes around a fake encoder."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from fake_encoder import DIM, vector_of

from bertfeat.errors import IndexStoreError, InputError
from bertfeat.index import VectorIndex
from bertfeat.index.description import IndexDescription
from bertfeat.index.folder import create_folder
from bertfeat_client import Client, EncodeInfo
from bertfeat_client import errors as wire
from bertfeat_client.protocol import Message
from bertfeat_server.index_encoder import BrokerEncoder
from bertfeat_server.index_service import IndexHandler

TEXTS = ["one", "two three", "four five six", "日本語", "a much longer text than the others"]
DESCRIPTION = IndexDescription(dim=DIM, metric="l2", model="fake", model_hash="0" * 64)


class DirectEncoder:
    """Encodes in this process; ``SECRET`` is refused."""

    def __init__(self):
        self.prompts = []

    def encode(self, items, prompt, end):
        self.prompts.append(prompt)
        errors = {
            row: wire.InvalidRequest(f"texts[{row}]: expected a string")
            for row, item in enumerate(items)
            if item is None or item == "SECRET"
        }
        vectors = np.stack([vector_of(item or "") for item in items] or [np.zeros(DIM)])
        vectors[list(errors)] = 0
        truncated = np.array([len(item or "") > 30 for item in items], bool)
        counts = np.ones(len(items), np.int32)
        return vectors[: len(items)], EncodeInfo(
            counts, truncated, errors, "float32", "0" * 64, "fake"
        )


def make_index(folder, **changes):
    create_folder(folder, IndexDescription(**vars(DESCRIPTION) | changes))
    return folder


@pytest.fixture
def folder(tmp_path):
    return make_index(tmp_path / "index")


@pytest.fixture
def index(folder):
    with VectorIndex.open(folder) as opened:
        yield opened


@pytest.fixture
def ask(index):
    handler = IndexHandler(index, DirectEncoder())

    def ask(op, items=None, timeout_ms=60_000, **options):
        header = {"request_op": op, "options": options, "timeout_ms": timeout_ms}
        return handler(Message(header, items))

    return ask


def nearest(query, texts=TEXTS, k=3):
    """Ids and scores by brute force."""
    distances = [float(np.linalg.norm(vector_of(query) - vector_of(text))) for text in texts]
    best = sorted(range(len(texts)), key=lambda n: (distances[n], n))[:k]
    return best, [-distances[n] for n in best]


def test_what_was_added_is_found_with_text_and_metadata(ask):
    added = ask("index_add", TEXTS, metadata=[{"n": n} for n in range(5)])
    assert added.arrays["ids"].tolist() == [0, 1, 2, 3, 4]
    found = ask("search", ["one", ("two")], k=3)
    for row, query in enumerate(["one", "two"]):
        ids, scores = nearest(query)
        assert found.arrays["ids"][row].tolist() == ids
        np.testing.assert_allclose(found.arrays["scores"][row], scores, atol=1e-5)
        assert found.items[row] == [{"text": TEXTS[n], "metadata": {"n": n}} for n in ids]
    assert found.header["info"] == {
        "model": "fake", "model_hash": "0" * 64, "precision": "float32"
    }  # fmt: skip


def test_truncation_is_told(ask):
    assert ask("index_add", TEXTS).arrays["truncated"].tolist() == [False] * 4 + [True]
    assert ask("search", TEXTS, k=1).arrays["truncated"].tolist() == [False] * 4 + [True]


def test_the_prompts_of_the_index_are_used(tmp_path):
    prompts = {"query_prompt": "find ", "document_prompt": "read "}
    encoder = DirectEncoder()
    with VectorIndex.open(make_index(tmp_path / "index", **prompts)) as index:
        handler = IndexHandler(index, encoder)
        for op in ("index_add", "search"):
            handler(Message({"request_op": op, "timeout_ms": 1000}, ["a"]))
    assert encoder.prompts == ["read ", "find "]


def test_rows_that_fail_leave_the_others_added_and_found(ask, index):
    items = ["one", None, "SECRET", {"text": "a", "pair": "b"}, "\ud800", "two three"]
    added = ask("index_add", items, ids=[10, 11, 12, 13, 14, 15], metadata=[{"n": 0}] + [None] * 5)
    assert added.arrays["ids"].tolist() == [10, -1, -1, -1, -1, 15]
    errors = added.header["row_errors"]
    assert set(errors) == {"1", "2", "3", "4"}
    assert errors["3"]["message"] == "texts[3]: expected a string, got dict"
    assert errors["4"]["message"].startswith("texts[4]: not a text")
    assert index.get([10, 15]) == {10: ("one", {"n": 0}), 15: ("two three", None)}
    found = ask("search", ["SECRET", "one"], k=1)
    assert found.arrays["ids"].tolist() == [[-1], [10]] and found.items[0] == []
    assert set(found.header["row_errors"]) == {"0"}


def test_nothing_at_all_is_answered(ask):
    assert ask("index_add", []).arrays["ids"].shape == (0,)
    assert ask("search", [], k=4).arrays["ids"].shape == (0, 4)
    assert ask("index_add", ["SECRET"]).arrays["ids"].tolist() == [-1]


def test_deletion_says_how_many_there_were(ask, index):
    ask("index_add", TEXTS)
    assert ask("index_delete", ids=[1, 3, 99]).header["info"] == {"deleted": 2}
    assert index.ntotal == 3


def test_an_addition_sent_again_under_its_request_id_is_made_once(ask, index):
    first = ask("index_add", TEXTS, request_id="a").arrays["ids"].tolist()
    assert ask("index_add", TEXTS, request_id="a").arrays["ids"].tolist() == first
    assert index.ntotal == 5
    with pytest.raises(InputError, match="give each change a name of its own"):
        ask("index_add", TEXTS[:2], request_id="a")


def test_an_addition_with_ids_sent_again_is_refused_or_replaced(ask, index):
    ask("index_add", ["one"], ids=[4])
    with pytest.raises(InputError, match="in use: 4"):
        ask("index_add", ["two"], ids=[4])
    ask("index_add", ["two"], ids=[4], replace=True)
    assert index.get([4])[4].text == "two"


def test_what_comes_too_late_is_not_added(index):
    class Slow(DirectEncoder):
        def encode(self, items, prompt, end):
            while time.monotonic() < end:
                time.sleep(0.001)
            return super().encode(items, prompt, end)

    handler = IndexHandler(index, Slow())
    with pytest.raises(wire.DeadlineExceeded, match="nothing was added"):
        handler(Message({"request_op": "index_add", "timeout_ms": 1}, ["one"]))
    assert index.ntotal == 0


@pytest.mark.parametrize(
    ("op", "options", "says"),
    [
        ("search", {"n": 3}, r"unknown option\(s\) n; search has index, k"),
        ("search", {"k": "3"}, "k: expected int, got '3'"),
        ("search", {"k": True}, "k: expected int, got True"),
        ("search", {"k": 0}, "k: expected 1 to 10000, got 0"),
        ("search", {"k": 10**9}, "k: expected 1 to 10000"),
        ("search", {"index": "other"}, "no index 'other' here; this server has 'index'"),
        ("index_add", {"ids": 3}, "ids: expected list, got 3"),
        ("index_add", {"ids": [1]}, "1 ids came with 2 documents"),
        ("index_add", {"metadata": [1, 2]}, r"metadata\[0\]: expected a mapping, got int"),
        ("index_add", {"replace": 1}, "replace: expected bool, got 1"),
        ("index_delete", {}, "needs the option ids"),
        ("index_delete", {"ids": ["a"]}, r"ids\[0\]: expected a whole number, got 'a'"),
    ],
)
def test_wrong_options_are_refused(ask, index, op, options, says):
    with pytest.raises((InputError, wire.InvalidRequest, wire.NotFound), match=says):
        ask(op, ["a", "b"], **options)
    assert index.ntotal == 0


def test_a_change_is_announced_before_it_is_answered(index):
    told = []
    handler = IndexHandler(index, DirectEncoder(), lambda: told.append(handler.describe()))
    handler(Message({"request_op": "index_add", "timeout_ms": 1000}, TEXTS))
    handler(
        Message({"request_op": "index_delete", "timeout_ms": 1000, "options": {"ids": [0]}}, None)
    )
    assert [one["documents"] for one in told] == [5, 4]
    assert told[0] == {
        "name": "index", "documents": 5, "next_id": 5, "dim": DIM, "metric": "l2", "kind": "flat",
        "model": "fake", "model_hash": "0" * 64,
    }  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with an index, for the tests that do it no harm."""
    from conftest import Server

    folder = tmp_path_factory.mktemp("served")
    make_index(folder / "index")
    made = Server(
        folder, "--endpoint", f"ipc://{folder}/front.ipc", "--index", str(folder / "index"),
        "--max-request-texts", "50",
    )  # fmt: skip
    yield made.wait_ready()
    assert made.end() == 0


@pytest.fixture
def client(server):
    with Client(server.endpoint, timeout_s=60) as made:
        yield made


def test_a_client_adds_searches_and_deletes(client):
    ids = client.index_add(TEXTS, metadata=[{"n": n} for n in range(5)])
    try:
        before = client.info()["index"]
        assert before["documents"] == 5 and before["model_hash"] == "0" * 64
        for query, hits in zip(TEXTS, client.search(TEXTS, k=3), strict=True):
            best, scores = nearest(query)
            assert [hit.id for hit in hits] == ids[best].tolist()
            np.testing.assert_allclose([hit.score for hit in hits], scores, atol=1e-5)
            assert [(hit.text, hit.metadata["n"]) for hit in hits] == [(TEXTS[n], n) for n in best]
        assert [hit.text for hit in client.search("one", k=9)][0] == "one"
        with pytest.raises(wire.InvalidRequest, match="in use"):
            client.index_add(["again"], ids=[int(ids[0])])
    finally:
        assert client.index_delete(ids.tolist()) == 5
    assert client.search("one") == [] and client.info()["index"]["documents"] == 0


def test_more_texts_than_one_request_holds(client):
    texts = [f"text number {number}" for number in range(180)]
    ids = client.index_add(texts)
    try:
        assert len(set(ids.tolist())) == 180
        found = client.search(texts, k=1)
        assert [hits[0].score for hits in found] == [0.0] * 180
        assert all(
            np.array_equal(vector_of(hits[0].text), vector_of(text))
            for hits, text in zip(found, texts, strict=True)
        )
    finally:
        client.index_delete(ids.tolist())


def test_a_bad_row_fails_alone(client):
    with pytest.raises(wire.RowErrors) as refusal:
        client.index_add(["fine", "SECRET 1", ("a", "pair")])
    ids = refusal.value.vectors.tolist()
    assert sorted(refusal.value.errors) == [1, 2] and ids[1:] == [-1, -1]
    assert client.search("fine", k=1)[0].id == ids[0]
    client.index_delete(ids[:1])


def test_encoding_goes_on_while_the_index_waits(server, client):
    slow = threading.Thread(target=client.search, args=("SLEEP 1",))
    slow.start()
    for number in range(5):
        text = f"text {number}"
        np.testing.assert_array_equal(client.encode([text])[0], vector_of(text))
    slow.join()


def test_a_killed_index_process_comes_back_with_all_that_was_acknowledged(start, tmp_path):
    folder = make_index(tmp_path / "index")
    running = start("--index", str(folder))
    with Client(running.endpoint, timeout_s=60) as client:
        ids = client.index_add(TEXTS)
        (pid,) = {w["pid"] for w in client.status()["workers"] if w["model"] is None}
        os.kill(pid, signal.SIGKILL)
        found = client.search(TEXTS, k=1)
        assert [hits[0].id for hits in found] == ids.tolist()
        assert client.index_add(["another"]).tolist() == [5]
    assert running.end() == 0
    with VectorIndex.open(folder) as index:
        assert index.verify().problems == [] and index.ntotal == 6


def test_searches_at_hand_are_answered_when_the_server_stops(start, tmp_path, wait_for):
    running = start("--index", str(make_index(tmp_path / "index")))
    found = []

    def search_once(client):
        try:
            found.append(client.search("SLEEP 0.5", k=1))
        except wire.ClientError as error:
            found.append(error)

    with Client(running.endpoint, timeout_s=15) as client:
        client.index_add(TEXTS)
        searches = [threading.Thread(target=search_once, args=(client,)) for _ in range(3)]
        for search in searches:
            search.start()
        # three searches, one of which has its text encoded: the others are yet to ask
        wait_for(lambda: client.status()["queue"]["requests"] == 4)
        assert running.end() == 0
        for search in searches:
            search.join()
    (best,), _ = nearest("SLEEP 0.5", k=1)
    assert not [answer for answer in found if isinstance(answer, wire.ClientError)]
    assert [hits[0].id for hits in found] == [best] * 3


def test_a_queue_full_of_additions_is_worked_off(start, tmp_path):
    # the queue holds two additions; their texts must be encoded through that same queue
    running = start("--index", str(make_index(tmp_path / "index")), "--max-queue-tokens", "120")
    added = []

    def add(number: int) -> None:
        with Client(running.endpoint, timeout_s=60) as client:
            added.extend(client.index_add([f"{number} {row}" for row in range(20)]).tolist())

    writers = [threading.Thread(target=add, args=(number,)) for number in range(12)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(added) == list(range(240))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_hash": "1" * 64}, "the index was made with fake"),
        ({"model_hash": None, "model": None}, "was made without a model"),
    ],
)
def test_an_index_of_another_model_is_not_served(start, tmp_path, changes, says):
    failed = start("--index", str(make_index(tmp_path / "index", **changes)), ready=False)
    assert failed.process.wait(60) == 1
    assert says in failed.errors.read_text()


def test_an_index_that_another_process_writes_is_not_served(start, folder, index):
    index.lock()
    failed = start("--index", str(folder), ready=False)
    assert failed.process.wait(60) == 1
    assert "one writer at a time" in failed.errors.read_text()


def test_a_folder_that_is_no_index_is_not_served(start, tmp_path):
    failed = start("--index", str(tmp_path), ready=False)
    assert failed.process.wait(60) == 1
    assert "is not an index" in failed.errors.read_text()


def test_a_broker_that_has_not_told_its_models_yet_is_asked_again(monkeypatch):
    monkeypatch.setattr("bertfeat_server.index_encoder.LOOK_AGAIN_S", 0)
    encoder = BrokerEncoder("ipc:///nowhere/front.ipc", DESCRIPTION)
    answers = iter(
        [
            [],
            [{"name": "m"}],
            [{"name": "o", "model_hash": "1" * 64}, {"name": "m"}],
            [{"name": "o", "model_hash": "1" * 64}, {"name": "m", "model_hash": "0" * 64}],
        ]
    )
    monkeypatch.setattr(encoder, "_models", lambda: next(answers))
    encoder.find_model()
    assert encoder.model == "m"
    monkeypatch.setattr(encoder, "_models", lambda: [{"name": "o", "model_hash": "1" * 64}])
    with pytest.raises(IndexStoreError, match="use that model or create another index"):
        encoder.find_model()
    encoder.close()
