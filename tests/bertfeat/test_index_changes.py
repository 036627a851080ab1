"""Adding and deleting: ids, refusals, several processes, requests that come twice."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from bertfeat.errors import IndexStoreError, InputError
from bertfeat.index import Document, VectorIndex

ONE = np.array([[1.0, 0.0]])
TWO = np.array([[1.0, 0.0], [0.0, 1.0]])


@pytest.fixture
def index(tmp_path):
    with VectorIndex.create(tmp_path / "index", dim=2) as made:
        yield made


def test_numbered_ids_go_on_after_the_highest_ever_used(index):
    assert index.add(TWO).tolist() == [0, 1]
    assert index.add(ONE, [40]).tolist() == [40]
    index.delete([40])
    assert index.add(ONE).tolist() == [41]
    index.close()
    with VectorIndex.open(index.folder) as again:
        assert again.add(ONE).tolist() == [42]


def test_an_id_in_use_is_refused_by_name_and_nothing_is_added(index):
    index.add(TWO, [5, 6])
    with pytest.raises(InputError, match=r"1 id\(s\) are in use: 6; choose others"):
        index.add(TWO, [7, 6])
    assert index.ntotal == 2
    assert index.add(TWO, [7, 6], replace=True).tolist() == [7, 6]
    assert index.ntotal == 3


def test_many_ids_in_use_are_not_all_named(index):
    vectors = np.ones((30, 2))
    index.add(vectors)
    with pytest.raises(InputError, match="30 id.* 8, 9 and 20 more"):
        index.add(vectors, range(30))


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        ([1], "1 ids came with 2 documents"),
        ([1, 1], "ids come twice in one call: 1"),
        ([1, -1], r"ids\[1\]: -1 is not from 0"),
        ([1, 2**63 - 1], r"ids\[1\]: 9223372036854775807 is not from 0"),
        ([1, 2.0], r"ids\[1\]: expected a whole number, got 2.0"),
        ([True, 2], r"ids\[0\]: expected a whole number, got True"),
        (["a", 2], r"ids\[0\]: expected a whole number, got 'a'"),
        ("ab", "ids: expected a list, got str"),
        (2.5, "ids: expected a list, got float"),
    ],
)
def test_ids_that_are_none_are_refused(index, ids, says):
    with pytest.raises(InputError, match=says):
        index.add(TWO, ids)
    assert index.ntotal == 0


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ([None], "1 metadata came with 2 documents"),
        ([None, "a"], r"metadata\[1\]: expected a mapping, got str"),
        ([{"a": {1}}, None], r"metadata\[0\]: JSON cannot hold it"),
        ([{"a": float("nan")}, None], r"metadata\[0\]: JSON cannot hold it"),
        ([{"a": "\ud800"}, None], r"metadata\[0\]: JSON cannot hold it"),
        ({"a": 1}, "metadata: expected a list, got dict"),
    ],
)
def test_metadata_that_json_cannot_hold_are_refused(index, metadata, says):
    with pytest.raises(InputError, match=says):
        index.add(TWO, metadata=metadata)
    assert index.ntotal == 0


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["a"], "1 texts came with 2 vectors"),
        (["a", None], r"texts\[1\]: expected a string, got NoneType"),
        (["a", "\udfff"], r"texts\[1\]: not a text"),
    ],
)
def test_texts_that_cannot_be_kept_are_refused(index, texts, says):
    with pytest.raises(InputError, match=says):
        index.add(TWO, texts=texts)
    assert index.ntotal == 0


def test_the_highest_id_leaves_no_number_behind_it(index):
    index.add(ONE, [2**63 - 2])
    with pytest.raises(InputError, match="no 1 ids are left"):
        index.add(ONE)
    assert index.search(ONE, 1).ids.tolist() == [[2**63 - 2]]


def test_a_request_that_comes_twice_is_made_once(index):
    first = index.add(TWO, request_id="a")
    assert index.add(TWO, request_id="a").tolist() == first.tolist() == [0, 1]
    assert index.add(TWO, request_id="b").tolist() == [2, 3]
    index.close()
    with VectorIndex.open(index.folder) as again:
        assert again.add(TWO, request_id="b").tolist() == [2, 3]
        assert again.ntotal == 4
        with pytest.raises(InputError, match="'b' stands for a change of 2 documents, now 1"):
            again.add(ONE, request_id="b")


def test_a_refused_request_may_be_tried_again_under_its_name(index):
    index.add(ONE, [3])
    with pytest.raises(InputError):
        index.add(ONE, [3], request_id="a")
    assert index.add(ONE, [4], request_id="a").tolist() == [4]


def test_only_the_latest_requests_are_remembered(index, monkeypatch):
    monkeypatch.setattr("bertfeat.index.store.REMEMBERED_REQUESTS", 3)
    for name in "abcd":
        index.add(ONE, request_id=name)
    assert index.add(ONE, request_id="d").tolist() == [3]
    assert index.add(ONE, request_id="a").tolist() == [4]


def test_nothing_may_be_added_or_deleted(index):
    assert index.add(np.empty((0, 2))).tolist() == []
    assert index.delete([]) == 0


def test_documents_stream_in_batches(index, monkeypatch):
    monkeypatch.setattr(index, "_encode", lambda texts, prompt: np.ones((len(texts), 2)))
    read = []

    def documents():
        for number in range(7):
            read.append(number)
            yield Document(f"text {number}", metadata={"n": number})

    batches = index.add_documents(documents(), batch_documents=3)
    assert next(batches).tolist() == [0, 1, 2]
    assert read == [0, 1, 2] and index.ntotal == 3
    assert [ids.tolist() for ids in batches] == [[3, 4, 5], [6]]
    assert index.get([6]) == {6: ("text 6", {"n": 6})}


def test_documents_have_ids_all_or_none(index):
    documents = [Document("a", 1), Document("b")]
    with pytest.raises(InputError, match="1 of 2 documents have an id"):
        list(index.add_documents(documents))


def test_a_second_writer_is_told_who_the_first_is(index):
    index.add(ONE)
    with VectorIndex.open(index.folder) as second:
        assert second.ntotal == 1
        for change in (lambda: second.add(ONE), lambda: second.delete([0]), second.rebuild):
            with pytest.raises(IndexStoreError, match=r"written by process \d+; one writer"):
                change()
        index.close()
        assert second.add(ONE).tolist() == [1]


def test_the_lock_of_a_process_that_ended_is_free(index):
    index.close()
    code = (
        "import os, sys; from bertfeat.index import VectorIndex\n"
        "VectorIndex.open(sys.argv[1]).lock(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(index.folder)], check=True)
    with VectorIndex.open(index.folder) as again:
        assert again.add(ONE).tolist() == [0]


def test_a_reader_sees_what_a_writer_has_done_since(index):
    with VectorIndex.open(index.folder) as reader:
        assert reader.search(ONE, 2).ids.tolist() == [[-1, -1]]
        index.add(TWO, texts=["a", "b"])
        assert [hit.text for hit in reader.search(ONE, 2).hits[0]] == ["a", "b"]
        index.add(TWO[::-1], [0, 1], texts=["A", "B"], replace=True)
        assert [hit.text for hit in reader.search(ONE, 2).hits[0]] == ["B", "A"]
        index.delete([1])
        assert reader.search(ONE, 2).ids.tolist() == [[0, -1]]


def test_threads_may_share_an_index(index):
    seen = []

    def work(number: int) -> None:
        for step in range(20):
            (added,) = index.add(ONE, texts=[f"{number}.{step}"])
            assert index.search(ONE, 1).ids.shape == (1, 1)
            seen.append((int(added), f"{number}.{step}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for number, _ in seen) == list(range(80))
    assert {n: s.text for n, s in index.get(range(80)).items()} == dict(seen)


def test_a_closed_index_says_so(index):
    index.close()
    index.close()
    with pytest.raises(IndexStoreError, match="was closed; open it again"):
        index.add(ONE)
