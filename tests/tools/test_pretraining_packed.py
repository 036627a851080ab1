"""Several examples in a row of a batch: losses and gradients of a row for each."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradients
from bertfeat_tools.pretraining.sharing import few_values, filled_rows, share_rows

PROGRAM = """
import sys, numpy, gradients
numpy.savez(sys.argv[2], **gradients.gradients(sys.argv[1], packed=True))
"""


@pytest.fixture(scope="module")
def folder(tiny_bert):
    """A pre-training model without dropout."""
    return tiny_bert(
        heads=("pooler", "masked_lm", "next_sentence"), hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def alone(folder):
    """Scalars and gradients with a row for each example."""
    return gradients.gradients(folder)


def assert_same(alone, packed):
    """The same losses, accuracies, counts of tokens and gradients."""
    assert alone.keys() == packed.keys()
    for name in alone.keys() - {"states"}:
        np.testing.assert_allclose(packed[name], alone[name], atol=1e-5, err_msg=name)


def test_losses_and_gradients_equal_those_of_a_row_for_each_example(folder, alone):
    assert_same(alone, gradients.gradients(folder, packed=True))
    assert np.abs(alone["embeddings/position_embeddings"][6:12]).max() > 1e-3


def test_losses_and_gradients_under_jax_equal_those_of_a_row_for_each(folder, alone, tmp_path):
    pytest.importorskip("jax")
    subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(tmp_path / "packed.npz")],
        check=True, timeout=300,
        env=os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert_same(alone, dict(np.load(tmp_path / "packed.npz")))


def test_labels_go_with_their_examples_and_missing_ones_weigh_nothing():
    batch = gradients.masked()
    found = share_rows(batch, 10)
    assert len(found["input_ids"]) < 4
    assert found["attention_mask"].max() > 2
    lengths = batch["attention_mask"].sum(axis=1)
    flat, places = found["input_ids"].reshape(-1), found["token_places"]
    texts = {tuple(ids[:length]): n for n, (ids, length) in
             enumerate(zip(batch["input_ids"], lengths, strict=True))}  # fmt: skip
    for place in range(8):
        first = places[place, 0]
        number = texts.pop(tuple(flat[first : first + found["lengths"][place]]))
        for name in ("masked_ids", "masked_weights", "next_sentence_labels"):
            assert np.array_equal(found[name][place], batch[name][number])
        assert np.array_equal(places[place, 1:] - first, batch["masked_positions"][number])
    assert not texts
    assert found["lengths"][8:].tolist() == [0, 0]
    assert not found["masked_weights"][8:].any()


@given(st.lists(st.integers(1, 40), max_size=60))
def test_every_example_stands_in_one_row_and_no_row_overflows(lengths):
    rows = filled_rows(lengths, 40)
    assert sorted(n for row in rows for n in row) == list(range(len(lengths)))
    sums = [sum(lengths[n] for n in row) for row in rows]
    assert max(sums, default=0) <= 40
    assert not any(a + b <= 40 for i, a in enumerate(sums) for b in sums[:i]), "two could be one"


def test_numbers_of_rows_are_few():
    found = {few_values(count) for count in range(1, 257)}
    assert len(found) == 48
    assert all(count <= few_values(count) <= 1.125 * count for count in range(1, 257))
