"""Layers computed again for the gradient: the same gradients, dropout included."""

import os
import subprocess
import sys

import numpy as np
import pytest

import gradients
from bertfeat_tools.cli.group import bertfeat
from command_line import call


@pytest.fixture(scope="module")
def folder(tiny_bert):
    """A pre-training model with dropout."""
    return tiny_bert(heads=("pooler", "masked_lm", "next_sentence"))


def assert_same(plain, recomputed):
    """The same losses, gradients and, to the last bit, random states."""
    assert plain.keys() == recomputed.keys()
    assert np.array_equal(plain["states"], recomputed["states"])
    scale = max(np.abs(plain[name]).max() for name in plain if name not in ("states", "scalars"))
    for name, value in plain.items():
        np.testing.assert_allclose(recomputed[name], value, atol=1e-6 * scale, err_msg=name)


def test_gradients_with_dropout_equal_those_of_kept_layers(folder):
    plain, recomputed = (gradients.gradients(folder, recompute=kind) for kind in (False, True))
    assert_same(plain, recomputed)
    assert plain["states"][:, 1].max() == 1, "no dropout was drawn"


def test_gradients_under_jax_equal_those_of_kept_layers(folder, tmp_path):
    pytest.importorskip("jax")
    subprocess.run(
        [sys.executable, gradients.__file__, str(folder), str(tmp_path)],
        check=True, timeout=300,
        env=os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert_same(*(dict(np.load(tmp_path / f"{kind}.npz")) for kind in (False, True)))


def test_a_fine_tuning_takes_the_option(tiny_bert, tmp_path):
    rows = "".join(f"the {word} sat\t{label}\n" for word, label in (("cat", 0), ("dog", 1)) * 4)
    (tmp_path / "rows.tsv").write_text("text\tlabel\n" + rows)
    done = call(
        bertfeat, "train", "classify", "--model", tiny_bert(), "--train", tmp_path / "rows.tsv",
        "--dev", tmp_path / "rows.tsv", "--columns", "text,label", "--epochs", 1, "--output",
        tmp_path / "out", "--gradient-checkpointing", "--quiet",
    )  # fmt: skip
    assert done.code == 0, done.err
    manifest = (tmp_path / "out" / "seed-0" / "training" / "manifest.json").read_text()
    assert '"gradient_checkpointing": true' in manifest
