"""The benchmark for GPUs runs to its end without one, and then says that it measured nothing."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from gpu import draw_texts
from source_tree import ROOT


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_it_runs_on_a_cpu_under_each_back_end(backend, tmp_path):
    pytest.importorskip(backend)
    output = tmp_path / "gpu.json"
    command = [sys.executable, "benchmarks/gpu.py", "--device", "cpu", "--rounds", "1"]
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [*command, "--lengths", "128", "mixed", "--output", str(output)],
        cwd=ROOT, env=environment, check=True, timeout=300, capture_output=True,
    )  # fmt: skip
    found = json.loads(output.read_text("utf-8"))
    assert found["backend"] == backend
    assert found["measured"] is False
    assert [row["texts"] for row in found["rows"]] == ["128", "mixed"]
    assert all(row["tokens_per_s"] > 0 and row["tflops"] >= 0 for row in found["rows"])


def test_texts_are_drawn_to_the_number_of_tokens_that_was_asked_for():
    assert {len(text.input_ids) for text in draw_texts("128", 1000)} == {128}
    sizes = np.array([len(text.input_ids) for text in draw_texts("mixed", 20_000)])
    assert 20_000 <= sizes.sum() < 20_257
    assert ((sizes < 33) | (sizes >= 150)).all()
    assert 0.05 < (sizes >= 150).mean() < 0.25
