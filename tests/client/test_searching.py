"""``similarity``, ``rerank``, ``search`` and the index calls."""

import numpy as np
import pytest

from bertfeat_client import Hit, Ranked, RowErrors, TruncationWarning
from bertfeat_client.errors import InvalidRequest
from bertfeat_client.similarity import similarity

WORDS = ["tree", "house", "river", "stone", "cloud", "field"]


def vectors(fake, texts=WORDS):
    return np.stack([fake.vector_of(text) for text in texts])


def test_similarity_is_the_cosine_of_each_with_each(client, fake):
    found = client.similarity(WORDS[:2], WORDS)
    oracle = [
        [float(np.dot(a.astype(float), b.astype(float))) for b in vectors(fake)]
        for a in vectors(fake, WORDS[:2])
    ]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, oracle, atol=1e-6)


def test_a_bare_string_or_vector_has_no_axis(client, fake):
    oracle = vectors(fake) @ fake.vector_of("tree")
    np.testing.assert_allclose(client.similarity("tree", WORDS), oracle, atol=1e-6)
    np.testing.assert_allclose(client.similarity(WORDS, "tree"), oracle, atol=1e-6)
    np.testing.assert_allclose(client.similarity(WORDS, vectors(fake)[0]), oracle, atol=1e-6)
    assert client.similarity("tree", "tree") == pytest.approx(1)


def test_the_measure_is_the_one_that_the_model_names(client, fake):
    fake.info["models"][0]["similarity"] = "dot"
    found = client.similarity(2 * vectors(fake), vectors(fake))
    np.testing.assert_allclose(found, 2 * vectors(fake) @ vectors(fake).T, atol=1e-6)


@pytest.mark.parametrize("measure", ["cosine", "dot", "euclidean", "manhattan"])
def test_measures_equal_a_plain_computation(measure):
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((4, 5)), rng.standard_normal((6, 5))
    oracle = {
        "cosine": lambda x, y: x @ y / np.sqrt(x @ x) / np.sqrt(y @ y),
        "dot": lambda x, y: x @ y,
        "euclidean": lambda x, y: -np.sqrt(((x - y) ** 2).sum()),
        "manhattan": lambda x, y: -np.abs(x - y).sum(),
    }[measure]
    plain = [[oracle(x, y) for y in b] for x in a]
    np.testing.assert_allclose(similarity(a, b, measure), plain, rtol=1e-5, atol=1e-6)
    assert similarity(a[:0], b, measure).shape == (0, 6)
    assert similarity(a, b[:0], measure).shape == (4, 0)


def test_the_cosine_with_a_zero_vector_is_zero():
    np.testing.assert_array_equal(similarity(np.zeros((1, 3)), np.ones((2, 3))), [[0, 0]])


def test_vectors_that_do_not_fit_and_unknown_measures_are_refused():
    with pytest.raises(InvalidRequest, match=r"\(1, 3\) and \(1, 4\)"):
        similarity(np.zeros((1, 3)), np.zeros((1, 4)))
    with pytest.raises(InvalidRequest, match="unknown similarity 'jaccard'; known: cosine"):
        similarity(np.zeros((1, 3)), np.zeros((1, 3)), "jaccard")


def test_without_a_cross_encoder_documents_are_ordered_by_cosine(client, fake):
    ranking = client.rerank("tree", WORDS[1:])
    cosines = vectors(fake, WORDS[1:]) @ fake.vector_of("tree")
    assert ranking.method == "cosine"
    assert [one.document for one in ranking] == np.argsort(-cosines).tolist()
    np.testing.assert_allclose([one.score for one in ranking], np.sort(cosines)[::-1], atol=1e-6)
    assert isinstance(ranking[0], Ranked) and isinstance(ranking, list)


def test_the_cosine_uses_the_models_prompts(client, fake):
    fake.info["models"][0]["prompts"] = ["document", "query"]
    [(_, score), *_] = client.rerank("tree", ["house"])
    assert score == pytest.approx(
        float(fake.vector_of("querytree") @ fake.vector_of("documenthouse")), abs=1e-6
    )


def test_a_cross_encoder_on_the_server_orders_documents(client, fake):
    fake.info["models"].append({"name": "cross", "cross_encoder": True, "model_hash": "c"})
    documents = ["four", "a", "seven...", "to", "nine letters"]
    ranking = client.rerank("query", documents, 3)
    assert ranking.method == "cross-encoder"
    assert ranking == [(1, 4.0), (3, 3.0), (0, 1.0)]
    assert fake.requests[-1].header["model"] == "cross"
    assert fake.requests[-2].items[0] == {"text": "query", "pair": "four"}


def test_a_model_that_is_named_decides_how_documents_are_ordered(client, fake):
    fake.info["models"].append({"name": "cross", "cross_encoder": True, "model_hash": "c"})
    assert client.rerank("q", ["a"], model="fake").method == "cosine"
    assert client.rerank("q", ["a"], model="cross").method == "cross-encoder"


def test_a_model_that_is_still_loading_is_waited_for(client, fake):
    loaded = dict(fake.info["models"][0], prompts=["query"], cross_encoder=True)
    fake.info["models"][0] = {"name": "fake"}

    def load(request):
        if request.header["op"] == "encode":
            fake.info["models"][0] = loaded
        return None

    fake.instead = load
    assert client.rerank("q", ["a"]).method == "cross-encoder"
    np.testing.assert_array_equal(client.encode_query("a"), fake.vector_of("querya"))
    assert fake.ops() == ["info", "encode", "info", "score", "encode"]


def test_equal_scores_keep_the_documents_order(client, fake):
    fake.info["models"][0]["cross_encoder"] = True
    assert [one.document for one in client.rerank("q", ["bb", "aa", "c", "dd"])] == [2, 0, 1, 3]


@pytest.mark.parametrize("is_cross", [True, False])
def test_no_documents_give_an_empty_ranking(client, fake, is_cross):
    fake.info["models"][0]["cross_encoder"] = is_cross
    assert client.rerank("q", []) == []


def test_a_classifier_of_several_labels_cannot_order(client, fake):
    fake.info["models"][0]["cross_encoder"] = True
    fake.instead = lambda request: (
        [fake.reply(request, arrays={"scores": np.zeros((1, 3), np.float32)})]
        if request.header["op"] == "score"
        else None
    )
    with pytest.raises(InvalidRequest, match="'fake' gives 3 scores for a pair"):
        client.rerank("q", ["a"])


@pytest.mark.parametrize("is_cross", [True, False])
def test_a_document_that_is_no_text_is_a_row_error(client, fake, is_cross):
    fake.info["models"][0]["cross_encoder"] = is_cross
    with pytest.raises(RowErrors) as caught:
        client.rerank("q", ["a", None])
    assert list(caught.value.errors) == [1]


def test_the_query_is_one_string_and_k_is_positive(client):
    with pytest.raises(InvalidRequest, match="query: expected a string, got list"):
        client.rerank(["q"], ["a"])
    for k in (0, -1, 1.5):
        with pytest.raises(InvalidRequest, match="k: expected a positive whole number"):
            client.rerank("q", ["a"], k)
        with pytest.raises(InvalidRequest, match="k: expected a positive whole number"):
            client.search("q", k)


def test_what_was_added_is_found_with_its_id_text_and_metadata(client, fake):
    ids = client.index_add(
        WORDS, ids=range(100, 106), metadata=[{"n": n} for n in range(len(WORDS))]
    )
    np.testing.assert_array_equal(ids, np.arange(100, 106))
    assert ids.dtype == np.int64
    cosines = vectors(fake) @ fake.vector_of("river")
    hits = client.search("river", k=3)
    assert [hit.id for hit in hits] == (100 + np.argsort(-cosines)[:3]).tolist()
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(cosines)[::-1][:3], atol=1e-6)
    assert (hits[0].text, hits[0].metadata) == ("river", {"n": 2})
    assert isinstance(hits[0], Hit)


def test_many_texts_are_searched_in_order(client):
    client.index_add(WORDS)
    found = client.search([*WORDS, *WORDS], k=1)
    assert [hits[0].text for hits in found] == [*WORDS, *WORDS]


def test_an_index_that_holds_fewer_gives_fewer(client):
    client.index_add(WORDS[:2])
    assert [len(hits) for hits in client.search(["tree", "cloud"], k=5)] == [2, 2]


def test_no_texts_find_nothing_and_add_nothing(client, fake):
    assert client.search([]) == []
    assert client.index_add([]).shape == (0,)
    assert "search" not in fake.ops() and "index_add" not in fake.ops()


def test_ids_and_metadata_stay_with_their_texts_across_bad_rows(client, fake):
    texts = [*WORDS, None, "last"]
    with pytest.raises(RowErrors) as caught:
        client.index_add(texts, ids=np.arange(8) * 10, metadata=[{"n": n} for n in range(8)])
    np.testing.assert_array_equal(caught.value.vectors, [0, 10, 20, 30, 40, 50, -1, 70])
    assert fake.index[70] == ("last", {"n": 7})
    assert 60 not in fake.index


def test_additions_go_one_request_after_the_other(client, fake):
    order = []
    fake.instead = lambda request: order.append(request.header["op"]) or None
    ids = client.index_add([f"text {n}" for n in range(20)])
    np.testing.assert_array_equal(ids, np.arange(20))
    assert order == ["info", *["index_add"] * 5]


def test_cut_texts_are_told_when_they_are_added(client):
    with pytest.warns(TruncationWarning, match=r"1 text\(s\).*texts\[1\]"):
        client.index_add(["a", "a b c d e f g"])


def test_texts_may_take_the_place_of_others(client, fake):
    client.index_add(["a"], ids=[5], replace=True)
    assert fake.requests[-1].header["options"]["replace"] is True


def test_one_bare_string_is_added_as_one(client):
    assert client.index_add("tree", ids=[7]) == 7


@pytest.mark.parametrize(
    ("column", "value"), [("ids", [1]), ("metadata", [{}, {}, {}]), ("ids", 5)]
)
def test_ids_and_metadata_must_be_one_for_each_text(client, fake, column, value):
    with pytest.raises(InvalidRequest, match=f"{column}: expected a list of 2"):
        client.index_add(["a", "b"], **{column: value})
    assert fake.index == {}


def test_deleting_tells_how_many_there_were(client, fake):
    client.index_add(WORDS)
    assert client.index_delete(np.array([0, 1, 77])) == 2
    assert sorted(fake.index) == [2, 3, 4, 5]
