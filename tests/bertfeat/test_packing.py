"""Texts laid out in shared rows: every text once, nothing too long, nothing moved."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertfeat import Encoder
from bertfeat.engine.packing import DOUBLED_AT, pack, plan_batches

LENGTHS = st.lists(st.integers(1, 60), max_size=80)
WORDS = ["the", "cat", "sat", "on", "red", "mat", "rain", "hello", "world", "dog", "ran"]


@dataclass
class Sequence:
    """Token ids that tell where they come from: text number × 100 + place."""

    input_ids: list[int]
    token_type_ids: list[int]

    @classmethod
    def make(cls, number: int, length: int) -> "Sequence":
        return cls([number * 100 + i for i in range(length)], [i % 2 for i in range(length)])


@given(lengths=LENGTHS, max_tokens=st.integers(1, 300), overhead=st.integers(0, 300))
def test_every_text_is_in_one_row_and_no_batch_passes_its_budget(lengths, max_tokens, overhead):
    batches = list(plan_batches(lengths, max_tokens, overhead=overhead))
    assert Counter(t for rows in batches for row in rows for t in row) == Counter(
        range(len(lengths))
    )
    left = sum(lengths)
    for rows in batches:
        longest = max(lengths[text] for row in rows for text in row)
        assert len(rows) == 1 or len(rows) * longest <= max_tokens
        for row in rows:
            own = lengths[row[0]]
            cost = left * (longest - own) / DOUBLED_AT + -left % longest
            assert 2 * own >= longest or cost <= overhead
            size = sum(lengths[text] for text in row)
            assert size <= longest
            left -= size


def test_gaps_are_filled_and_short_texts_get_short_rows():
    assert list(plan_batches([10, 6, 4, 3, 9], 20)) == [[[0], [4]], [[1], [2], [3]]]
    long, short = [200, 150], [20] * 40
    batches = list(plan_batches([*long, *short], 2000))
    assert [len(rows) for rows in batches] == [2, 38]
    assert batches[0] == [[0], [1, 2, 3]]


def test_the_last_short_texts_get_no_batch_of_their_own_if_that_is_cheaper():
    few, alone = [200, *[20] * 8], [[[0]], [[n] for n in range(1, 9)]]
    assert list(plan_batches(few, 2000)) == alone
    attention, left = 160 * 180 / DOUBLED_AT, 200 - 160
    assert list(plan_batches(few, 2000, overhead=int(attention + left))) == alone
    assert list(plan_batches(few, 2000, overhead=int(attention + left) + 1)) == [
        [[0], list(range(1, 9))]
    ]
    many = [200, *[20] * 400]  # whose attention costs more than a batch
    assert [len(rows) for rows in plan_batches(many, 10**6, overhead=256)] == [1, 400]


def test_similar_lengths_leave_little_padding():
    lengths = np.random.default_rng(0).integers(4, 60, 2000).tolist()
    batches = list(plan_batches(lengths, 512))
    computed = sum(
        len(rows) * max(sum(lengths[text] for text in row) for row in rows) for rows in batches
    )
    assert sum(lengths) / computed > 0.99
    assert np.mean([len(rows[0]) for rows in batches]) < 1.5


@given(lengths=LENGTHS.filter(len), spare=st.tuples(*[st.integers(0, 3)] * 3), data=st.data())
def test_each_text_is_found_where_the_inputs_say(lengths, spare, data):
    texts = [Sequence.make(number, length) for number, length in enumerate(lengths)]
    rows = data.draw(st.sampled_from(list(plan_batches(lengths, 100))))
    order = [text for row in rows for text in row]
    longest = max(sum(lengths[text] for text in row) for row in rows)
    shape = np.array([len(rows), longest, len(order)]) + spare
    found = pack(texts, rows, -1, tuple(shape))
    assert {array.dtype for array in found.values()} == {np.dtype(np.int32)}
    assert found["token_places"].shape == (shape[2], shape[1])
    assert found["lengths"].tolist() == [lengths[text] for text in order] + [0] * spare[2]
    for text, places, length in zip(order, found["token_places"], found["lengths"], strict=False):
        inside = places[:length]
        flat = {name: found[name].reshape(-1) for name in list(found)[:4]}
        assert flat["input_ids"][inside].tolist() == texts[text].input_ids
        assert flat["token_type_ids"][inside].tolist() == texts[text].token_type_ids
        assert flat["position_ids"][inside].tolist() == list(range(length))
        row = places[0] // shape[1]
        mask = found["attention_mask"][row]
        assert (mask == flat["attention_mask"][places[0]]).sum() == length
    assert (found["attention_mask"] > 0).sum() == found["lengths"].sum()
    assert (found["input_ids"] >= 0).sum() == found["lengths"].sum()
    assert found["token_places"].min() >= 0
    assert found["token_places"].max() < shape[0] * shape[1]


def test_a_text_gives_the_same_vector_alone_and_among_others(tiny_bert):
    encoder = Encoder.load(tiny_bert(seed=8), batch_tokens=64)
    poolings = ("mean", "max", "cls", "sep", "first", "last", "pooler")
    alone: dict[tuple[str, str], np.ndarray] = {}

    @settings(max_examples=25, deadline=None)
    @given(
        texts=st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=14), min_size=1),
        pooling=st.sampled_from(poolings),
    )
    def check(texts, pooling):
        sentences = [" ".join(words) for words in texts]
        together = encoder.encode(sentences, pooling=pooling)
        for sentence, vector in zip(sentences, together, strict=True):
            key = (sentence, pooling)
            if key not in alone:
                alone[key] = encoder.encode(sentence, pooling=pooling)
            np.testing.assert_allclose(vector, alone[key], rtol=0, atol=1e-5)

    check()


@given(lengths=LENGTHS, max_tokens=st.integers(1, 300))
def test_rows_of_a_ladder_are_filled_beyond_their_longest_text(lengths, max_tokens):
    ladder = [16, 64]
    batches = list(plan_batches(lengths, max_tokens, lambda n: next(x for x in ladder if x >= n)))
    assert Counter(t for rows in batches for row in rows for t in row) == Counter(
        range(len(lengths))
    )
    for rows in batches:
        longest = max(lengths[text] for row in rows for text in row)
        length = 16 if longest <= 16 else 64
        assert all(sum(lengths[text] for text in row) <= length for row in rows)
        assert len(rows) == 1 or len(rows) * length <= max_tokens


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_open_graph_is_compiled_once(tiny_bert, precision):
    encoder = Encoder.load(tiny_bert(seed=8), engine="keras", precision=precision)
    encoder.warm_up()
    before = encoder.runtime.engine.compilations
    assert before > 0
    for count in (1, 2, 3, 7, 20):
        encoder.encode([" ".join(WORDS[: 1 + i % 11]) for i in range(count)], pooling="mean")
    assert encoder.runtime.engine.compilations == before
