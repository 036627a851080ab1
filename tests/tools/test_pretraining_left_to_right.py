"""The left-to-right ablation: the examples it makes, what it refuses, a run from one file."""

import json
from pathlib import Path

import numpy as np
import pytest

from bertfeat import Encoder
from bertfeat.errors import InputError
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.pretraining.corpus import next_tokens
from bertfeat_tools.pretraining.options import PretrainOptions
from bertfeat_tools.pretraining.run import pretrain
from bertfeat_tools.training.settings import TrainSettings
from command_line import call
from tiny_bert import VOCABULARY, write_tokenizer


def test_each_token_is_predicted_from_the_one_before_and_nothing_stays_masked():
    batch = {
        "input_ids": np.array([[2, 4, 11, 3], [2, 12, 3, 0]], np.int32),
        "attention_mask": np.array([[1, 1, 1, 1], [1, 1, 1, 0]], np.int32),
        "masked_positions": np.array([[1, 0], [1, 0]], np.int32),
        "masked_ids": np.array([[10, 0], [13, 0]], np.int32),
        "masked_weights": np.array([[1, 0], [1, 0]], np.float32),
    }
    found = next_tokens(batch)
    assert found["input_ids"].tolist() == [[2, 10, 11, 3], [2, 13, 3, 0]]
    assert found["masked_ids"].tolist() == [[10, 11, 3], [13, 3, 0]]
    assert found["masked_positions"].tolist() == [[0, 1, 2]] * 2
    assert found["masked_weights"].tolist() == [[1, 1, 1], [1, 1, 0]]


def test_the_pair_objective_is_refused():
    with pytest.raises(InputError, match=r"objective='nsp' with left_to_right.*objective none"):
        PretrainOptions(data=(Path("d"),), steps=(1,), left_to_right=True)


def test_a_left_to_right_model_is_not_trained_both_ways(tiny_bert, tmp_path):
    folder = tiny_bert(is_decoder=True)
    options = PretrainOptions(data=(tmp_path,), steps=(1,), init=str(folder))
    with pytest.raises(InputError, match="attends from left to right; add --left-to-right"):
        pretrain(options, TrainSettings(steps=1), tmp_path / "out")


@pytest.mark.slow
def test_a_run_from_one_file_makes_a_model_that_attends_to_the_left_only(tmp_path):
    """In a text of one sentence the next word is certain, once its left neighbour is seen."""
    text = "\n\n".join("\n".join(["the cat sat on the mat"] * 4) for _ in range(20))
    (tmp_path / "corpus.txt").write_text(text)
    (tmp_path / "v").mkdir()
    write_tokenizer(tmp_path / "v", VOCABULARY, True, 64)
    done = call(bertfeat, "pretrain", "data", tmp_path / "corpus.txt", "--tokenizer",
                tmp_path / "v", "--output", tmp_path / "d", "--max-seq-len", 32,
                "--objective", "none", "--quiet")  # fmt: skip
    assert done.code == 0, done.err
    config = tmp_path / "run.toml"
    config.write_text(
        f'data = "{tmp_path}/d"\nsteps = 80\nbatch-size = 8\nobjective = "none"\n'
        "left-to-right = true\nnum-layers = 1\nhidden-size = 32\nnum-heads = 2\n"
        "max-positions = 64\nlearning-rate = 0.01\n"
    )
    done = call(bertfeat, "pretrain", "run", "--config", config, "--output", tmp_path / "out",
                "--quiet")  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["masked_lm_accuracy"] > 0.9
    assert "accuracy_mask" not in found
    model = tmp_path / "out" / "model"
    assert json.loads((model / "config.json").read_text())["is_decoder"] is True
    one, other = Encoder.load(model).encode(["the cat sat", "the cat ran"], pooling="none")
    np.testing.assert_allclose(np.asarray(one)[:3], np.asarray(other)[:3], atol=1e-6)
    assert np.abs(np.asarray(one)[3] - np.asarray(other)[3]).max() > 1e-3
