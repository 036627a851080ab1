"""Texts in, neighbours out, with a real encoder of random weights."""

import json
import warnings

import numpy as np
import pytest

from bertfeat.errors import IndexStoreError, InputError, RowErrors
from bertfeat.index import VectorIndex
from bertfeat.index.description import IndexDescription, describe

TEXTS = ["the cat sat on the mat", "hello world", "one two three", "rain and sun", "the big dog"]
QUERIES = ["a cat on a mat", "sun"]
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]


def write_sentence_transformer(folder, **config):
    """Make a plain BERT folder one of sentence-transformers."""
    (folder / "modules.json").write_text(json.dumps(MODULES))
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "config_sentence_transformers.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def load(tiny_bert):
    """A factory of encoders: ``load(seed=…, **config_sentence_transformers)``."""
    from bertfeat import Encoder

    def make(seed=0, **config):
        return Encoder.load(write_sentence_transformer(tiny_bert(seed=seed), **config))

    return make


@pytest.fixture(scope="module")
def encoder(load):
    prompts = {"query": "find the ", "passage": "read the "}
    return load(similarity_fn_name="dot", prompts=prompts)


@pytest.fixture
def index(encoder, tmp_path):
    with VectorIndex.create(tmp_path / "index", encoder) as made:
        yield made


def test_the_model_folder_says_metric_and_prompts(index, encoder):
    assert index.description == IndexDescription(
        dim=16, metric="inner_product", model=str(encoder.folder.absolute()),
        model_hash=encoder.model_hash, query_prompt="find the ", document_prompt="read the ",
    )  # fmt: skip


def test_texts_are_found_as_by_brute_force_over_the_encoder(index, encoder):
    assert index.add(TEXTS).tolist() == [0, 1, 2, 3, 4]
    scores = encoder.encode_query(QUERIES) @ encoder.encode_document(TEXTS).T
    found = index.search(QUERIES, 5)
    np.testing.assert_allclose(found.scores, -np.sort(-scores, axis=1), atol=1e-5)
    assert found.ids.tolist() == np.argsort(-scores, axis=1).tolist()
    assert [hit.text for hit in found.hits[1]] == [TEXTS[n] for n in found.ids[1]]


def test_prompts_make_a_difference(index, encoder):
    index.add(TEXTS)
    bare = encoder.encode(QUERIES) @ encoder.encode(TEXTS).T
    assert np.abs(index.search(QUERIES, 5).scores + np.sort(-bare, axis=1)).max() > 0.01


def test_one_bare_text_is_one_document_and_one_query(index):
    assert index.add("hello world").tolist() == [0]
    assert index.search("hello world", 2).ids.tolist() == [[0, -1]]


def test_no_texts_are_no_documents(index):
    assert index.add([]).tolist() == []
    assert index.search([], 3).ids.shape == (0, 3)


def test_features_are_recorded_and_used_again(encoder, tmp_path):
    features = {"layers": [0, 1], "combine": "concat", "pooling": "max", "dimensions": 20}
    index = VectorIndex.create(tmp_path / "index", encoder, metric="l2", features=features)
    index.close()
    with VectorIndex.open(tmp_path / "index", encoder) as again:
        assert again.description.dim == 20 and again.description.features == features
        again.add(TEXTS)
        documents = encoder.encode_document(TEXTS, **features)
        queries = encoder.encode_query(QUERIES, **features)
        distances = np.linalg.norm(queries[:, None] - documents[None], axis=2)
        np.testing.assert_allclose(
            again.search(QUERIES, 5).scores, -np.sort(distances, axis=1), atol=1e-5
        )


def test_an_encoder_of_another_model_is_refused_naming_both(index, load):
    other = load(seed=1)
    assert other.model_hash != index.description.model_hash
    with pytest.raises(IndexStoreError) as refusal:
        VectorIndex.open(index.folder, other)
    for part in (
        index.description.model, index.description.model_hash, str(other.folder), other.model_hash
    ):  # fmt: skip
        assert part in str(refusal.value)


def test_the_same_weights_elsewhere_are_the_same_model(index, load):
    VectorIndex.open(index.folder, load()).close()


def test_texts_without_an_encoder_are_refused(index):
    index.add(TEXTS)
    with VectorIndex.open(index.folder) as bare:
        with pytest.raises(IndexStoreError, match="texts need an encoder; open the index with"):
            bare.search("hello")
        with pytest.raises(IndexStoreError, match="texts need an encoder"):
            bare.add(["hello"])
        assert bare.ntotal == 5


def test_an_index_of_vectors_refuses_an_encoder(encoder, tmp_path):
    VectorIndex.create(tmp_path / "index", dim=16).close()
    with pytest.raises(IndexStoreError, match="was made without a model, so it takes vectors"):
        VectorIndex.open(tmp_path / "index", encoder)


@pytest.mark.parametrize("bad", [None, 3, ("a", "b"), ["a"], b"a"])
def test_a_document_that_is_no_string_is_named(index, bad):
    with pytest.raises(
        InputError, match=rf"texts\[1\]: expected a string, got {type(bad).__name__}"
    ):
        index.add(["fine", bad])
    assert index.ntotal == 0


def test_texts_that_the_encoder_refuses_are_not_added(encoder, tmp_path):
    features = {"truncate": "error"}
    with VectorIndex.create(tmp_path / "index", encoder, features=features) as index:
        with pytest.raises(RowErrors) as refusal:
            index.add(["fine", "the cat " * 60])
        assert list(refusal.value.errors) == [1] and index.ntotal == 0


def test_refused_documents_of_a_stream_are_counted_from_its_start(encoder, tmp_path):
    from bertfeat.index import Document

    texts = ["one", "two", "three", "the cat " * 60]
    with VectorIndex.create(tmp_path / "index", encoder, features={"truncate": "error"}) as index:
        stream = index.add_documents(map(Document, texts), batch_documents=2)
        assert next(stream).tolist() == [0, 1]
        with pytest.raises(RowErrors) as refusal:
            next(stream)
        assert list(refusal.value.errors) == [3] and index.ntotal == 2


def test_too_long_texts_are_told(index):
    with pytest.warns(UserWarning, match="cut"):
        index.add(["the cat " * 60])


@pytest.mark.parametrize(
    ("features", "says"),
    [
        ({"pooling": "none"}, "do not give one vector a text"),
        ({"combine": "none", "layers": [0, 1]}, "do not give one vector a text"),
        ({"dtype": "int8"}, "an index chooses dtype itself"),
        ({"prompt": "a", "prompt_name": "query"}, "chooses prompt, prompt_name itself"),
        ({"poling": "mean"}, "unknown option"),
    ],
)
def test_features_that_make_no_index_are_refused(encoder, tmp_path, features, says):
    with pytest.raises(InputError, match=says):
        VectorIndex.create(tmp_path / "index", encoder, features=features)
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize(
    ("similarity", "metric"), [("cosine", "cosine"), ("euclidean", "l2"), (None, "cosine")]
)
def test_similarities_are_metrics(load, similarity, metric):
    config = {} if similarity is None else {"similarity_fn_name": similarity}
    assert describe(load(**config)).metric == metric


def test_a_similarity_that_faiss_has_not_asks_for_a_metric(load):
    encoder = load(similarity_fn_name="manhattan")
    with pytest.raises(InputError, match="similarity 'manhattan'.*choose a metric of cosine"):
        describe(encoder)
    assert describe(encoder, metric="l2").metric == "l2"


def test_a_plain_bert_compares_by_cosine(tiny_bert, tmp_path):
    from bertfeat import Encoder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoder = Encoder.load(tiny_bert())
        with VectorIndex.create(tmp_path / "index", encoder) as index:
            index.add(TEXTS)
            found = index.search(TEXTS[2], 1)
    assert found.ids.tolist() == [[2]]
    np.testing.assert_allclose(found.scores, [[1]], atol=1e-6)
