"""A pre-training that is killed at any moment, or whose disk is full, loses nothing."""

import hashlib

import numpy as np
import pytest

from command_line import run_program
from killed_run import kill_after
from small_corpus import write_examples

pytestmark = pytest.mark.slow
STEPS, KILLS = 150, 5
SMALL_FILES = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Dynamically masked examples of a small random corpus."""
    return write_examples(tmp_path_factory.mktemp("kill"), 60, "--masking", "dynamic")


def arguments(data, output, *options):
    """The command line of one run, with dropout, evaluations and frequent checkpoints."""
    return ("main", "pretrain", "run", "--data", data, "--output", output, "--steps", STEPS,
            "--batch-size", 8, "--num-layers", 1, "--hidden-size", 16, "--num-heads", 2,
            "--max-positions", 64, "--save-every", 3, "--evaluate-every", 20, "--log-every", 1,
            "--quiet", *options)  # fmt: skip


def digest(output):
    """The hash of the final weights."""
    return hashlib.sha256((output / "model" / "model.safetensors").read_bytes()).hexdigest()


def test_five_kills_leave_the_weights_of_a_run_without_any(data, tmp_path):
    whole = run_program(*arguments(data, tmp_path / "whole", "--packed"))
    assert whole.code == 0, whole.err
    moments = np.random.default_rng().integers(1, 12, KILLS)
    metrics = tmp_path / "cut" / "training" / "metrics.jsonl"
    killed = [
        kill_after(arguments(data, tmp_path / "cut", "--packed"), metrics, n) for n in moments
    ]
    assert killed == [True] * KILLS, moments
    assert not (tmp_path / "cut" / "model").exists()
    last = run_program(*arguments(data, tmp_path / "cut", "--packed"))
    assert last.code == 0, last.err
    assert digest(tmp_path / "cut") == digest(tmp_path / "whole"), moments


def test_a_full_disk_leaves_the_checkpoint_before_and_the_run_goes_on_from_it(data, tmp_path):
    """A limit of the size of a file stands for the full disk."""
    whole = run_program(*arguments(data, tmp_path / "whole"))
    assert whole.code == 0, whole.err
    metrics = tmp_path / "cut" / "training" / "metrics.jsonl"
    assert kill_after(arguments(data, tmp_path / "cut"), metrics, 10)
    checkpoints = tmp_path / "cut" / "training" / "checkpoints"
    before = {path.name: path.read_bytes() for path in checkpoints.glob("0*.safetensors")}
    failed = run_program(*arguments(data, tmp_path / "cut"), before=SMALL_FILES)
    assert failed.code == 1, failed.err
    assert "cannot be written" in failed.err
    assert "make room and start the same command again" in failed.err
    assert max(before) in failed.err
    after = {path.name: path.read_bytes() for path in checkpoints.glob("*.safetensors")}
    assert {name: after[name] for name in before} == before
    assert not list(checkpoints.glob("*.partial"))
    again = run_program(*arguments(data, tmp_path / "cut"))
    assert again.code == 0, again.err
    assert digest(tmp_path / "cut") == digest(tmp_path / "whole")
