"""The largest batch that fits: found once, noted, and taken up again."""

import json
from pathlib import Path

import pytest

from bertfeat.errors import InputError
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.pretraining import fitting
from bertfeat_tools.pretraining.corpus import Corpus
from bertfeat_tools.pretraining.options import PretrainOptions
from command_line import call
from small_corpus import write_examples

MIB = 1 << 20


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A few examples."""
    return write_examples(tmp_path_factory.mktemp("fitting"), 8, "--held-out-every", 0)


def auto(data, output, *options):
    """Run two updates of batches whose size is found."""
    return call(
        bertfeat, "pretrain", "run", "--data", data, "--output", output, "--steps", 2,
        "--batch-size", "auto", "--num-layers", 1, "--hidden-size", 16, "--num-heads", 2,
        "--max-positions", 64, "--log-every", 1, "--quiet", *options,
    )  # fmt: skip


def test_a_run_finds_its_batch_notes_it_and_goes_on_with_it(data, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "free_memory", lambda: 65_536 * MIB)
    examples = len(Corpus(data).part("train"))
    done = auto(data, tmp_path, "--update-examples", 2 * examples)
    assert done.code == 0, done.err
    manifest = json.loads((tmp_path / "training" / "manifest.json").read_text())
    assert manifest["facts"]["options"]["batch_sizes"] == f"({examples},)"
    assert manifest["settings"]["accumulation"] == 2
    monkeypatch.setattr(fitting, "largest_batch", None)
    again = auto(data, tmp_path, "--update-examples", 2 * examples)
    assert again.code == 0, again.err
    other = auto(data, tmp_path)
    assert "accumulation: was 2, is 1" in other.err


@pytest.mark.slow
def test_a_memory_that_is_too_small_for_one_example_is_told(data, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "free_memory", lambda: 100 * MIB)
    done = auto(data, tmp_path)
    assert (done.code, "not even one example of" in done.err) == (1, True)


def test_examples_of_an_update_need_batches_that_are_found():
    with pytest.raises(InputError, match=r"update_examples=8 with batches of \(4,\).*leave out"):
        PretrainOptions(data=(Path("d"),), steps=(1,), batch_sizes=(4,), update_examples=8)


@pytest.mark.parametrize("each", [1, 40, 700])
def test_the_line_through_small_batches_ends_below_the_limit(each):
    tried = []

    def peak(size):
        tried.append(size)
        return (600 + each * size) * MIB

    found = fitting.followed(peak, 10_000, 16_000 * MIB)
    assert peak(found) <= 16_000 * MIB
    assert found == 10_000 or peak(found + 8) > 16_000 * MIB
    assert max(tried[:-2]) * each < 1600, "a trial took much of the memory"
    assert fitting.followed(peak, 10_000, 100 * MIB) == 0
    assert fitting.followed(peak, 3, 16_000 * MIB) == 3


def test_batches_are_halved_until_one_fits_with_an_eighth_to_spare():
    import tensorflow as tf

    tried = []

    def attempt(size):
        tried.append(size)
        if size > 70:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    assert fitting.halved(attempt, 1000) == 62
    assert tried == [1125, 562, 281, 140, 69]
    with pytest.raises(ZeroDivisionError):
        fitting.halved(lambda size: 1 // 0, 8)
    assert fitting.is_out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying"))


def test_an_update_is_made_of_the_fewest_batches_that_fit():
    assert fitting.fewest_pieces(256, 100) == 4
    assert fitting.fewest_pieces(256, 256) == 1
    assert fitting.fewest_pieces(7, 4) == 7


def test_the_limit_of_a_container_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "CGROUP", tmp_path)
    assert fitting.free_memory() > MIB
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 200000\n")
    assert fitting.free_memory() == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert fitting.free_memory() > MIB
