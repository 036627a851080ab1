"""What an index finds, compared with brute force in NumPy; vectors come from elsewhere."""

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertfeat.errors import IndexStoreError, InputError
from bertfeat.index import Hit, VectorIndex

DIM = 12
METRICS = ("cosine", "inner_product", "l2")


def brute_force(stored: dict[int, np.ndarray], queries: np.ndarray, k: int, metric: str):
    """Ids and float32 scores of the k best, equal scores by ascending id; -1 and -inf beyond."""
    ids = np.full((len(queries), k), -1)
    scores = np.full((len(queries), k), -np.inf, np.float32)
    names = np.array(sorted(stored), np.int64)
    matrix = np.array([stored[name] for name in names], np.float64).reshape(-1, queries.shape[1])
    for row, query in enumerate(queries.astype(np.float64)):
        if metric == "l2":
            values = -np.linalg.norm(matrix - query, axis=1)
        elif metric == "inner_product":
            values = matrix @ query
        else:
            values = matrix @ query / np.linalg.norm(query) / np.linalg.norm(matrix, axis=1)
        values = values.astype(np.float32)
        best = np.lexsort((names, -values))[:k]
        ids[row, : len(best)], scores[row, : len(best)] = names[best], values[best]
    return ids, scores


def check(index: VectorIndex, stored: dict[int, np.ndarray], queries: np.ndarray, k: int):
    """Compare a search with brute force: scores, and ids wherever scores are not nearly equal."""
    ids, scores = brute_force(stored, queries, k + 1, index.description.metric)
    found = index.search(queries, k)
    assert found.ids.dtype == np.int64 and found.scores.dtype == np.float32
    scale = max(1.0, *(float(np.abs(row[np.isfinite(row)]).max(initial=0)) for row in scores))
    np.testing.assert_allclose(found.scores, scores[:, :k], rtol=0, atol=1e-5 * scale)
    apart = np.abs(np.diff(np.where(np.isfinite(scores), scores, -9e9), axis=1)) > 1e-5 * scale
    clear = apart & np.column_stack([np.ones(len(ids), bool), apart[:, :-1]])
    np.testing.assert_array_equal(found.ids[clear], ids[:, :k][clear])
    for row, hits in zip(found.ids, found, strict=True):
        assert [hit.id for hit in hits] == [number for number in row.tolist() if number >= 0]
    assert index.ntotal == len(stored)


def random(rows: int, seed: int = 0, dim: int = DIM) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)


@pytest.fixture(params=METRICS)
def metric(request):
    return request.param


@pytest.fixture
def index(tmp_path, metric):
    with VectorIndex.create(tmp_path / "index", dim=DIM, metric=metric) as made:
        yield made


def test_search_equals_brute_force(index):
    vectors = random(3000) * np.linspace(0.1, 10, 3000)[:, None].astype(np.float32)
    ids = index.add(vectors)
    stored = dict(zip(ids.tolist(), vectors, strict=True))
    for k in (1, 10, 100):
        check(index, stored, random(300, seed=1), k)


def test_more_neighbours_than_documents_leave_minus_one_behind(index):
    vectors = random(5)
    index.add(vectors)
    found = index.search(random(2, seed=1), 9)
    assert (found.ids[:, 5:] == -1).all() and np.isneginf(found.scores[:, 5:]).all()
    check(index, dict(enumerate(vectors)), random(2, seed=1), 9)


def test_an_empty_index_and_no_query_are_answered(index):
    found = index.search(random(2), 3)
    assert found.ids.tolist() == [[-1] * 3] * 2 and found.hits == [[], []]
    index.add(random(4))
    none = index.search(np.empty((0, DIM), np.float32), 3)
    assert none.ids.shape == none.scores.shape == (0, 3) and len(none) == 0


def test_equal_vectors_come_by_ascending_id_whatever_the_batch(index):
    twin, others = random(1) * 10, random(200, seed=1)
    index.add(others[:100], ids=range(1000, 1100))
    index.add(np.repeat(twin, 70, axis=0), ids=range(500, 430, -1))
    index.add(others[100:], ids=range(2000, 2100))
    alone = index.search(twin, 10)
    assert alone.ids[0].tolist() == list(range(431, 441))
    assert len(set(alone.scores[0].tolist())) == 1
    batch = index.search(np.concatenate([others[:99], twin, others[99:]]), 10)
    assert batch.ids[99].tolist() == alone.ids[0].tolist()
    assert batch.scores[99].tobytes() == alone.scores[0].tobytes()


def test_a_query_has_the_same_answer_alone_and_among_many(index):
    index.add(random(2000))
    queries = random(64, seed=1)
    together = index.search(queries, 20)
    for row, query in enumerate(queries):
        alone = index.search(query[None], 20)
        assert alone.ids.tobytes() == together.ids[row].tobytes()
        assert alone.scores.tobytes() == together.scores[row].tobytes()


def test_a_stored_vector_finds_itself_exactly(tmp_path):
    vectors = random(500, dim=384) * 30
    with VectorIndex.create(tmp_path / "l2", dim=384, metric="l2") as index:
        index.add(vectors)
        assert index.search(vectors[:100], 1).scores.tolist() == [[0.0]] * 100
    with VectorIndex.create(tmp_path / "cosine", dim=384) as index:
        index.add(vectors)
        np.testing.assert_allclose(index.search(vectors[:100], 1).scores, 1, atol=1e-6)


def test_deleted_documents_are_not_found_and_the_others_are(index):
    vectors, queries = random(400), random(20, seed=1)
    stored = dict(enumerate(vectors))
    index.add(vectors)
    check(index, stored, queries, 10)
    assert index.delete([3, 5, 399, 1234]) == 3
    for number in (3, 5, 399):
        del stored[number]
    check(index, stored, queries, 10)
    assert index.delete([3]) == 0
    assert index.delete(np.arange(300)) == 298
    check(index, {n: v for n, v in stored.items() if n >= 300}, queries, 10)


def test_replacing_changes_vector_text_and_metadata(index):
    vectors = random(20)
    index.add(vectors, texts=[f"old {n}" for n in range(20)])
    index.search(vectors[:1], 1)
    fresh = random(2, seed=1)
    index.add(fresh, [7, 30], texts=["new 7", "new 30"], metadata=[{"a": 1}, None], replace=True)
    stored = dict(enumerate(vectors)) | {7: fresh[0], 30: fresh[1]}
    check(index, stored, random(10, seed=2), 21)
    hits = {hit.id: hit for hit in index.search(vectors[:1], 21).hits[0]}
    assert hits[7].text == "new 7" and hits[7].metadata == {"a": 1}
    assert hits[30].metadata is None and hits[8].text == "old 8"


def test_hits_bring_rank_score_text_and_metadata(index):
    index.add(random(2), texts=["été\t\n\0", ""], metadata=[{"k": [1, None, "ü"]}, None])
    found = index.search(random(1), 2)
    assert {(hit.id, hit.text) for hit in found.hits[0]} == {(0, "été\t\n\0"), (1, "")}
    assert [hit.rank for hit in found.hits[0]] == [1, 2]
    assert [hit.score for hit in found.hits[0]] == found.scores[0].tolist()
    by_id = {hit.id: hit for hit in found.hits[0]}
    assert by_id[0].metadata == {"k": [1, None, "ü"]} and by_id[1].metadata is None
    assert isinstance(by_id[0], Hit)


def test_the_state_is_the_same_after_opening_anew(index):
    vectors, queries = random(300), random(10, seed=1)
    index.add(vectors, texts=[str(n) for n in range(300)])
    index.delete([1, 2])
    before = index.search(queries, 5)
    index.close()
    with VectorIndex.open(index.folder) as again:
        after = again.search(queries, 5)
        assert after.ids.tobytes() == before.ids.tobytes()
        assert after.scores.tobytes() == before.scores.tobytes()
        assert after.hits == before.hits and again.ntotal == 298


def test_the_faiss_file_answers_to_faiss_alone(index, metric):
    vectors = random(50)
    index.add(vectors, ids=range(100, 150))
    index.rebuild()
    (file,) = index.folder.glob("vectors-*.faiss")
    plain = faiss.read_index(str(file))
    stored = vectors
    if metric == "cosine":
        stored = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(plain.reconstruct(120), stored[20], atol=1e-6)
    _, ids = plain.search(stored[:5], 1)
    if metric != "inner_product":
        assert ids[:, 0].tolist() == [100, 101, 102, 103, 104]


OPERATION = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 6)),
    st.tuples(st.just("put"), st.lists(st.integers(0, 12), max_size=4, unique=True)),
    st.tuples(st.just("delete"), st.lists(st.integers(0, 12), max_size=4, unique=True)),
    st.tuples(st.sampled_from(["reopen", "rebuild", "search"]), st.none()),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(OPERATION, max_size=12), st.sampled_from(METRICS), st.integers(0, 9))
def test_any_sequence_of_changes_leaves_what_a_dictionary_would_hold(
    tmp_path_factory, operations, metric, seed
):
    # Small whole numbers make many equal scores.
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("sequence") / "index"
    index, stored, highest = VectorIndex.create(folder, dim=3, metric=metric), {}, -1
    for name, argument in operations:
        if name == "reopen":
            index.close()
            index = VectorIndex.open(folder)
        elif name == "rebuild":
            index.rebuild()
        elif name == "delete":
            there = len(stored.keys() & set(argument))
            assert index.delete(argument) == there
            stored = {n: v for n, v in stored.items() if n not in argument}
        elif name in ("add", "put"):
            rows = argument if name == "add" else len(argument)
            vectors = rng.integers(1, 4, (rows, 3)).astype(np.float32)
            ids = index.add(vectors, None if name == "add" else argument, replace=name == "put")
            if name == "add":
                assert ids.tolist() == list(range(highest + 1, highest + 1 + rows))
            stored |= dict(zip(ids.tolist(), vectors, strict=True))
            highest = max([highest, *ids.tolist()])
        queries = rng.integers(1, 4, (2, 3)).astype(np.float32)
        check(index, stored, queries, 5)
        if metric != "cosine":  # whole numbers: even the order of equal scores is known
            expected, _ = brute_force(stored, queries, 5, metric)
            assert index.search(queries, 5).ids.tolist() == expected.tolist()
    assert index.verify().problems == []
    index.close()


@pytest.mark.parametrize("k", [0, -1, 2.0, True, None])
def test_a_wrong_k_is_refused(index, k):
    with pytest.raises(InputError, match="is not a positive whole number"):
        index.search(random(1), k)


def test_vectors_of_another_dimension_are_refused_naming_both(index):
    with pytest.raises(IndexStoreError, match=r"queries have 5 dimensions.*holds vectors of 12"):
        index.search(random(1, dim=5))
    with pytest.raises(IndexStoreError, match=r"vectors have 5 dimensions.*holds vectors of 12"):
        index.add(random(1, dim=5))
    assert index.ntotal == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_refused_by_row(index, bad):
    vectors = random(3)
    vectors[2, 4] = bad
    with pytest.raises(InputError, match=r"vectors\[2\] has NaN or infinity"):
        index.add(vectors)
    with pytest.raises(InputError, match=r"queries\[2\] has NaN or infinity"):
        index.search(vectors)
    assert index.ntotal == 0


def test_a_zero_vector_has_no_cosine(tmp_path):
    with (
        VectorIndex.create(tmp_path / "index", dim=2) as index,
        pytest.raises(InputError, match=r"vectors\[1\] is zero"),
    ):
        index.add(np.array([[1, 0], [0, 0]]))


def test_vectors_of_any_number_type_are_taken(tmp_path):
    with VectorIndex.create(tmp_path / "index", dim=2, metric="l2") as index:
        index.add(np.array([[1, 2]], np.int8))
        index.add(np.asfortranarray(np.array([[3, 4], [5, 6]], np.float64)))
        found = index.search(np.array([[1, 2]], np.float16), 3)
    assert found.ids.tolist() == [[0, 1, 2]]
    np.testing.assert_allclose(found.scores, [[0, -np.sqrt(8), -np.sqrt(32)]], rtol=1e-6)
