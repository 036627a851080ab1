"""Word vectors: right words, windows and context without a loss, a cache that survives."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertfeat import Encoder
from bertfeat.errors import InputError
from bertfeat.ner.sentences import Sentence
from bertfeat.ner.vector_store import VectorStore
from bertfeat.ner.word_vectors import FeatureOptions, WordVectors, surroundings

WORDS = ["the", "cat", "sat", "xyzzy", "hello", "quux", "one", "!"]


@pytest.fixture(scope="module")
def encoder(tiny_bert):
    """A tiny encoder that reads 64 tokens at once."""
    return Encoder.load(tiny_bert())


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own."""
    monkeypatch.setenv("BERTFEAT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


def sentence(length, document=0, seed=0):
    """Words of one to five tokens."""
    rng = np.random.default_rng(seed)
    return Sentence(tuple(rng.choice(WORDS, length)), document=document)


def vectors(encoder, **options):
    """What computes all layers of the encoder, in float32."""
    chosen = replace(FeatureOptions.of(encoder, "all"), **options)
    return WordVectors(encoder, chosen, "float32")


@pytest.mark.parametrize("pooling", ["first", "last", "mean", "max"])
def test_a_word_has_its_sub_tokens_vector(encoder, pooling):
    given_words = Sentence(("hello", "xyzzy", "cat"))
    found = vectors(encoder, pooling=pooling)([given_words])[0]
    [features] = encoder.extract([list(given_words.words)], layers="all")
    tokens = [n for n, word in enumerate(features.word_ids) if word == 1]
    assert len(tokens) > 2
    own = features.vectors[:, tokens]  # (layers, tokens, hidden)
    expected = {"first": own[:, 0], "last": own[:, -1], "mean": own.mean(1), "max": own.max(1)}
    np.testing.assert_allclose(found[1], expected[pooling], atol=1e-6)


def test_a_word_without_tokens_has_zeros(encoder):
    found = vectors(encoder)([Sentence(("cat", "\u200d", "dog"))])[0]
    assert (found[1] == 0).all()
    assert (found[[0, 2]] != 0).any(axis=(1, 2)).all()


@pytest.mark.parametrize("context", ["none", "document"])
@pytest.mark.parametrize("length", [1, 62, 63, 200, pytest.param(5000, marks=pytest.mark.slow)])
def test_no_word_is_lost_at_any_length(encoder, context, length):
    sentences = [sentence(3), sentence(length, seed=1), sentence(2, seed=2)]
    found = vectors(encoder, context=context)(sentences)
    assert [len(rows) for rows in found] == [3, length, 2]
    assert all((rows != 0).any(axis=(1, 2)).all() for rows in found)


def test_context_is_what_stands_around_in_the_document(encoder):
    sentences = [sentence(4, 0, 1), sentence(5, 0, 2), sentence(3, 1, 3)]
    found = vectors(encoder, context="document")(sentences)
    both = [*sentences[0].words, *sentences[1].words]
    whole = vectors(encoder)([Sentence(tuple(both))])[0]
    np.testing.assert_allclose(found[0], whole[:4], atol=1e-5)
    np.testing.assert_allclose(found[1], whole[4:], atol=1e-5)
    alone = vectors(encoder)(sentences)
    np.testing.assert_allclose(found[2], alone[2], atol=1e-5)
    assert np.abs(found[0] - alone[0]).max() > 1e-3


@settings(max_examples=200, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=40), data=st.data(),
    room=st.integers(1, 60),
)  # fmt: skip
def test_surroundings_fill_the_room_and_keep_the_sentence(lengths, data, room):
    sizes = np.array(lengths)
    start = data.draw(st.integers(0, len(lengths) - 1))
    stop = data.draw(st.integers(start + 1, len(lengths)))
    first, last = surroundings(sizes, start, stop, room)
    assert 0 <= first <= start < stop <= last <= len(lengths)
    read = sizes[first:last].sum()
    if sizes[start:stop].sum() <= room:
        assert read <= room
        assert first == 0 or read + sizes[first - 1] > room
        assert last == len(lengths) or read + sizes[last] > room
    else:
        assert read == sizes[start:stop].sum()


def test_a_second_run_computes_nothing(encoder):
    sentences = [sentence(n + 1, seed=n) for n in range(20)]
    first, second, other = vectors(encoder), vectors(encoder), vectors(encoder, pooling="max")
    once = first([*sentences, sentences[0]])
    again = second(sentences)
    assert (first.computed, second.computed, second.hits) == (20, 0, 20)
    assert all(np.array_equal(a, b) for a, b in zip(once[:20], again, strict=True))
    assert isinstance(again[0], np.memmap)
    other(sentences[:1])
    assert other.computed == 1


def test_a_cache_survives_what_a_kill_leaves(encoder, cache):
    sentences = [sentence(n + 1, seed=n) for n in range(5)]
    expected = vectors(encoder)(sentences)
    [index] = cache.rglob("*.json")
    (index.parent / "half.bin.partial").write_bytes(b"1")
    (index.parent / "cut.bin").write_bytes(b"1")
    (index.parent / "cut.json").write_text(json.dumps({"key": [0, 100]}))
    (index.parent / "torn.json").write_text("{")
    second = vectors(encoder)
    found = second(sentences)
    assert second.computed == 0
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))


def test_the_oldest_segments_go_when_the_limit_is_reached(tmp_path):
    store = VectorStore(tmp_path, (2, 3), "float32", limit_bytes=500)
    for number in range(10):
        store.put({f"k{number}": np.full((4, 2, 3), number, np.float32)})
    fresh = VectorStore(tmp_path, (2, 3), "float32", limit_bytes=500)
    found = fresh.get(["k0", "k9"])
    assert (list(found), (found["k9"] == 9).all()) == (["k9"], True)
    assert sum(path.stat().st_size for path in tmp_path.glob("*.bin")) <= 500


def test_two_writers_see_each_others_vectors(tmp_path):
    left, right = (VectorStore(tmp_path, (2,), "float16") for _ in range(2))
    left.put({"a": np.ones((3, 2))})
    right.put({"b": np.zeros((0, 2))})
    for store in (left, right):
        found = store.get(["a", "b", "c"])
        assert {key: rows.shape for key, rows in found.items()} == {"a": (3, 2), "b": (0, 2)}


def test_unknown_options_are_errors(encoder):
    with pytest.raises(InputError, match="pooling='middle' is none of"):
        FeatureOptions((1,), pooling="middle")
    with pytest.raises(InputError, match="context='page' is none of"):
        FeatureOptions((1,), context="page")
