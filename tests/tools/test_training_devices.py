"""Training on several devices and for other platforms, under JAX, in processes of its own."""

import json
import os
import re
import socket
import subprocess
import sys

import numpy as np
import pytest

import lower_pretraining
from bertfeat.errors import ConfigError
from bertfeat_tools.training.devices import even_rows, use_devices
from bertfeat_tools.training.hosts import Hosts
from command_line import program, run_program
from small_corpus import write_examples

DEVICES = 8
JAX = os.environ | {
    "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(sys.path),
    "XLA_FLAGS": f"--xla_force_host_platform_device_count={DEVICES}",
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Examples whose number no batch size divides."""
    return write_examples(tmp_path_factory.mktemp("devices"), 11, "--held-out-every", 4)


def arguments(data, output, *options):
    """The command line of a run with dropout."""
    return (
        "main", "pretrain", "run", "--data", data, "--output", output, "--steps", 12,
        "--batch-size", 12, "--num-layers", 1, "--hidden-size", 16, "--num-heads", 2,
        "--max-positions", 64, "--save-every", 4, "--evaluate-every", 6, "--log-every", 1,
        "--learning-rate", 0.01, "--quiet", *options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def one(data, tmp_path_factory):
    """The curve of one device."""
    pytest.importorskip("jax")
    return curve(data, tmp_path_factory.mktemp("one"))


def curve(data, output, *options):
    """Run and return the lines of the curves."""
    done = run_program(*arguments(data, output, *options), env=JAX)
    assert done.code == 0, done.err
    return lines_of(output)


def together(data, outputs, *options):
    """Run one process for each output, two devices each; return what they printed (not Gloo)."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    several = ("--hosts", address, "--host-count", len(outputs), "--devices", 2, *options)
    started = [
        subprocess.Popen(
            program(*arguments(data, output, *several, "--host-number", number)), env=JAX,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number, output in enumerate(outputs)
    ]  # fmt: skip
    try:
        ended = [process.communicate(timeout=240) for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0] * len(outputs), ended
    return [out for out, _ in ended]


def lines_of(output):
    """The lines of a run's curves."""
    lines = (output / "training" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def assert_same(one, several):
    """The same curves, to rounding."""
    for left, right in zip(one, several, strict=True):
        assert left.keys() == right.keys()
        for name in left.keys() - {"kind", "step_s"}:
            assert right[name] == pytest.approx(left[name], abs=1e-5, rel=1e-5), (name, left)


def test_eight_devices_have_the_curve_of_one(data, one, tmp_path):
    assert_same(one, curve(data, tmp_path / "several", "--devices", DEVICES))
    assert {line["kind"] for line in one} == {"train", "evaluate"}
    assert len({line["tokens"] for line in one if line["kind"] == "train"}) > 1
    assert one[-1]["masked_lm_loss"] < one[0]["masked_lm_loss"]


@pytest.mark.slow
def test_fine_tuning_on_several_devices_has_the_curve_of_one(tiny_bert, tmp_path):
    pytest.importorskip("jax")
    texts = tmp_path / "texts.tsv"
    texts.write_text("".join(f"the cat sat on {n}\t{n % 3}\n" for n in range(21)))
    model, curves = tiny_bert(num_hidden_layers=1), []
    for devices in (1, 4):
        output = tmp_path / str(devices)
        done = run_program(
            "main", "train", "classify", "--train", texts, "--dev", texts, "--columns", "1,2",
            "--model", model, "--epochs", 1, "--batch-size", 8, "--learning-rate", 0.01,
            "--devices", devices, "--output", output, "--quiet", env=JAX,
        )  # fmt: skip
        assert done.code == 0, done.err
        curves.append(lines_of(output / "seed-0"))
    assert_same(*curves)


@pytest.mark.slow
def test_packed_rows_on_eight_devices_have_the_curve_of_a_row_for_each(data, tiny_bert, tmp_path):
    pytest.importorskip("jax")
    start = tiny_bert(
        heads=("pooler", "masked_lm", "next_sentence"), num_hidden_layers=1,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    alone = curve(data, tmp_path / "alone", "--init", start)
    packed = curve(data, tmp_path / "packed", "--init", start, "--packed", "--devices", DEVICES)
    assert_same(alone, packed)


@pytest.mark.slow
def test_two_hosts_have_the_curve_of_one_device_and_the_first_alone_writes(data, one, tmp_path):
    outputs = (tmp_path / "first", tmp_path / "second")
    printed = together(data, outputs)
    assert_same(one, lines_of(outputs[0]))
    assert "perplexity" in json.loads(printed[0])
    assert (printed[1], outputs[1].exists()) == ("", False)
    assert (outputs[0] / "model" / "model.safetensors").is_file()


@pytest.mark.slow
def test_hosts_go_on_from_the_firsts_checkpoint_with_the_same_bits(data, tmp_path):
    pytest.importorskip("jax")
    weights = tmp_path / "first" / "model" / "model.safetensors"
    outputs = (tmp_path / "first", tmp_path / "second")
    together(data, outputs, "--packed")
    whole = weights.read_bytes()
    (tmp_path / "first" / "training" / "checkpoints" / "0000012.safetensors").unlink()
    weights.unlink()
    weights.parent.rename(tmp_path / "away")
    together(data, outputs, "--packed")
    assert weights.read_bytes() == whole


@pytest.mark.parametrize(
    ("hosts", "message"),
    [(("here",), "neither HOST:PORT"), (("a:1", 2, 2), "host number 2 of 2: numbers are 0 to 1")],
)
def test_hosts_that_cannot_meet_are_refused(hosts, message):
    with pytest.raises(ConfigError, match=message):
        Hosts(*hosts)


@pytest.mark.slow
def test_a_run_on_eight_devices_goes_on_with_the_same_bits(data, tmp_path):
    pytest.importorskip("jax")
    curve(data, tmp_path / "whole", "--devices", DEVICES)
    curve(data, tmp_path / "cut", "--devices", DEVICES)
    first = tmp_path / "cut" / "training" / "checkpoints"
    weights = [tmp_path / name / "model" / "model.safetensors" for name in ("whole", "cut")]
    assert sorted(path.name for path in first.iterdir())[0] == "0000008.safetensors"
    (first / "0000012.safetensors").unlink()  # as after a kill between the two
    weights[1].unlink()
    weights[1].parent.rename(tmp_path / "away")
    curve(data, tmp_path / "cut", "--devices", DEVICES)
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_step_is_lowered_for_other_platforms(tiny_bert, tmp_path):
    pytest.importorskip("jax")
    folder = tiny_bert(heads=("pooler", "masked_lm", "next_sentence"), num_hidden_layers=1)
    command = [sys.executable, lower_pretraining.__file__, str(folder), str(tmp_path / "step")]
    subprocess.run(command, check=True, timeout=300, env=JAX)
    platforms, sizes, program = (tmp_path / "step").read_text().split("\n", 2)
    assert platforms == "('tpu', 'cuda')"
    assert all(isinstance(size, int) for size in json.loads(sizes))
    assert "tensor<?" not in program
    assert "x?x" not in program
    assert re.findall(r"custom_call @([\w.]+)", program) == [], "the host would be called"
    assert "stablehlo.optimization_barrier" in program, "no layer is computed again"
    assert "bf16" in program


def test_rows_are_filled_up_for_every_device():
    found = even_rows({"a": np.ones((5, 2), np.int32), "b": np.ones(5, np.float32)}, 4)
    assert {name: array.shape for name, array in found.items()} == {"a": (8, 2), "b": (8,)}
    assert (found["a"].sum(), found["b"].sum(), found["b"].dtype) == (10, 5, np.float32)


def test_devices_under_tensorflow_are_refused():
    with pytest.raises(ConfigError, match=r"devices=2 needs the back end jax, got tensorflow"):
        use_devices(2)
