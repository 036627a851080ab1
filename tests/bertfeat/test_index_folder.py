"""The folder of an index: what is refused, what is repaired, what verify sees."""

import json
import shutil
import sqlite3

import numpy as np
import pytest

from bertfeat.errors import IndexStoreError, InputError
from bertfeat.index import VectorIndex

VECTORS = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    """A closed index of forty documents with a FAISS file."""
    with VectorIndex.create(tmp_path / "index", dim=6) as index:
        index.add(VECTORS[:30], texts=[str(n) for n in range(30)])
        index.rebuild()
        index.add(VECTORS[30:], texts=[str(n) for n in range(30, 40)])
    return tmp_path / "index"


def problems(folder):
    with VectorIndex.open(folder) as index:
        return index.verify().problems


def answer(folder):
    with VectorIndex.open(folder) as index:
        return index.search(VECTORS, 3).ids.tolist()


def change(folder, sql, *values):
    db = sqlite3.connect(folder / "documents.sqlite")
    with db:
        db.execute(sql, values)
    db.close()


def edit(folder, **keys):
    path = folder / "index.json"
    content = json.loads(path.read_text()) | keys
    path.write_text(json.dumps({n: v for n, v in content.items() if v != "REMOVE"}))


def snapshot(folder):
    (file,) = folder.glob("vectors-*.faiss")
    return file


def test_a_sound_index_has_no_problems(folder):
    with VectorIndex.open(folder) as index:
        report = index.verify()
    assert report.documents == 40 and report.problems == []


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(IndexStoreError, match="is not an empty folder; choose another"):
        VectorIndex.create(tmp_path, dim=2)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_index_is_not_made_over_another(folder):
    with pytest.raises(IndexStoreError, match="is not an empty folder"):
        VectorIndex.create(folder, dim=2)
    assert problems(folder) == []


def test_an_empty_folder_and_missing_parents_will_do(tmp_path):
    (tmp_path / "empty").mkdir()
    VectorIndex.create(tmp_path / "empty", dim=2).close()
    VectorIndex.create(tmp_path / "a" / "b", dim=2).close()
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "a"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "either for an encoder or for vectors of a given dim"),
        ({"dim": 0}, "dim=0 is not a positive whole number"),
        ({"dim": 2, "metric": "manhattan"}, "metric='manhattan' is none of cosine"),
    ],
)
def test_wrong_arguments_make_no_index(tmp_path, arguments, says):
    with pytest.raises(InputError, match=says):
        VectorIndex.create(tmp_path / "index", **arguments)
    assert not (tmp_path / "index").exists()


def test_a_folder_without_index_json_is_no_index(tmp_path):
    with pytest.raises(IndexStoreError, match=r"is not an index.*bertfeat index create"):
        VectorIndex.open(tmp_path)
    with pytest.raises(IndexStoreError, match="is not an index"):
        VectorIndex.open(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"format": "other"}, "does not describe a bertfeat-index"),
        ({"version": 2}, "has version 2, this program reads 1"),
        ({"colour": "red"}, "has unknown keys: colour"),
        ({"dim": "six"}, "dim='six' is not a positive whole number; restore"),
        ({"dim": "REMOVE"}, "dim.*restore it from a copy"),
        ({"kind": "hnsw"}, "kind='hnsw' is none of flat"),
    ],
)
def test_an_index_json_that_is_not_ours_is_refused(folder, keys, says):
    edit(folder, **keys)
    with pytest.raises(IndexStoreError, match=says):
        VectorIndex.open(folder)


def test_a_cut_off_index_json_is_refused(folder):
    (folder / "index.json").write_text('{"format": "bert')
    with pytest.raises(IndexStoreError, match=r"index.json cannot be read"):
        VectorIndex.open(folder)


def test_a_missing_store_is_told(folder):
    (folder / "documents.sqlite").unlink()
    with pytest.raises(IndexStoreError, match=r"documents.sqlite is missing"):
        VectorIndex.open(folder)
    assert not (folder / "documents.sqlite").exists()


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_cut_off_store_is_told(folder, size):
    with (folder / "documents.sqlite").open("rb+") as file:
        file.truncate(size)
    with pytest.raises(IndexStoreError, match=r"documents.sqlite: .*restore"):
        VectorIndex.open(folder).search(VECTORS, 1)


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_a_damaged_faiss_file_is_found_and_not_used(folder, damage, caplog):
    before, file = answer(folder), snapshot(folder)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.unlink()
    if damage != "missing":
        file.write_bytes(content[: len(content) // 2] if damage == "cut" else content)
    (problem,) = problems(folder)
    assert problem.startswith(file.name) and problem.endswith("run rebuild")
    assert answer(folder) == before
    assert "the vectors are read from the documents instead" in caplog.text
    with VectorIndex.open(folder) as index:
        assert index.rebuild() == 40
    assert problems(folder) == [] and answer(folder) == before


def test_an_older_store_put_back_does_not_use_the_newer_faiss_file(folder, tmp_path):
    copy = tmp_path / "copy.sqlite"
    shutil.copy(folder / "documents.sqlite", copy)
    with VectorIndex.open(folder) as index:
        index.delete(range(20))
        index.add(VECTORS[:20] * -1, range(20))
        index.rebuild()
    shutil.copy(copy, folder / "documents.sqlite")
    assert answer(folder)[0][0] == 0
    assert "run rebuild" in problems(folder)[0]
    with VectorIndex.open(folder) as index:
        index.rebuild()
    assert problems(folder) == []


@pytest.mark.parametrize(
    ("sql", "value", "says"),
    [
        ("UPDATE documents SET vector = ? WHERE id = 3", b"abc", "3: its vector has not 6"),
        ("UPDATE documents SET vector = ? WHERE id = 3", VECTORS[3].tobytes(), "instead of 1"),
        ("UPDATE documents SET vector = ? WHERE id = 3", b"\xff" * 24, "3: its vector has NaN"),
        ("UPDATE documents SET metadata = ? WHERE id = 3", "[1", "3: its metadata are no JSON"),
        ("UPDATE state SET next_id = ?", 5, "5 is newer than the store says"),
        ("UPDATE documents SET id = ? WHERE id = 3", -3, "-3: its id is negative"),
    ],
)
def test_verify_sees_what_is_wrong_with_a_document(folder, sql, value, says):
    change(folder, sql, value)
    assert says in problems(folder)[0]


def test_verify_sees_vectors_that_faiss_has_otherwise(folder):
    swapped = -VECTORS[3] / np.linalg.norm(VECTORS[3])
    change(folder, "UPDATE documents SET vector = ? WHERE id = 3", swapped.tobytes())
    change(folder, "DELETE FROM documents WHERE id = 4")
    found = " ".join(problems(folder))
    assert "other vectors than the documents for ids 3" in found
    assert "FAISS has 40 vectors for 39 documents" in found
    with VectorIndex.open(folder) as index:
        index.rebuild()
    assert problems(folder) == []


def test_many_problems_are_not_all_told(folder):
    change(folder, "UPDATE documents SET metadata = '[]'")
    found = problems(folder)
    assert len(found) == 21 and found[-1] == "… and more"


def test_a_search_that_read_much_leaves_a_faiss_file_for_the_next(folder, monkeypatch):
    before, expected = snapshot(folder).name, answer(folder)
    assert snapshot(folder).name == before
    monkeypatch.setattr("bertfeat.index.searcher.DUE_ROWS", 5)
    assert answer(folder) == expected
    assert snapshot(folder).name != before
    monkeypatch.setattr(
        "bertfeat.index.store.DocumentStore.written_since", lambda *_: pytest.fail("read anew")
    )
    assert answer(folder) == expected


def test_a_reader_leaves_no_faiss_file_while_another_writes(folder, monkeypatch):
    monkeypatch.setattr("bertfeat.index.searcher.DUE_ROWS", 5)
    with VectorIndex.open(folder) as writer:
        writer.lock()
        before = snapshot(folder).name
        answer(folder)
        assert snapshot(folder).name == before
        writer.search(VECTORS, 1)
        assert snapshot(folder).name != before
        with pytest.raises(IndexStoreError, match="one writer"):
            VectorIndex.open(folder).lock()


def test_info_tells_what_the_index_holds(folder):
    with VectorIndex.open(folder) as index:
        info = index.info()
    assert info.pop("bytes") > 40 * 6 * 4
    assert json.loads(json.dumps(info)) == {
        "folder": str(folder), "version": 1, "dim": 6, "metric": "cosine", "kind": "flat",
        "model": None, "model_hash": None, "features": {}, "query_prompt": None,
        "document_prompt": None, "documents": 40, "next_id": 40, "revision": 2,
        "snapshot_revision": 1,
    }  # fmt: skip
