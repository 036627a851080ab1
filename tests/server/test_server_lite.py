"""A lite folder behind the server: int8, and no TensorFlow anywhere."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from bertfeat import Encoder
from bertfeat.lite import make
from bertfeat_client import Client
from installed import installed

REAL = {"BERTFEAT_SERVE_ENCODER_FACTORY": "bertfeat_server.worker:load_encoder"}
TEXTS = ["the cat sat on the mat", ("hello", "the big dog"), ["red", "rain"], ""]


@pytest.fixture(scope="module")
def folder(tiny_bert, tmp_path_factory):
    source = tiny_bert(seed=4, hidden_size=64, intermediate_size=128)
    target = tmp_path_factory.mktemp("lite") / "small"
    make(source, target)
    return target


def test_it_is_served_as_the_library_computes_it(start, folder):
    server = start("--model", str(folder), "--threads", "1", **REAL)
    with Client(server.endpoint, timeout_s=60) as client:
        vectors, info = client.encode(TEXTS, return_info=True, pooling="mean")
        layers = client.encode(TEXTS, layers="all", combine="none", pooling="cls")
        [worker] = client.status()["workers"]
    encoder = Encoder.load(folder)
    np.testing.assert_allclose(vectors, encoder.encode(TEXTS, pooling="mean"), atol=1e-5)
    expected = encoder.encode(TEXTS, layers="all", combine="none", pooling="cls")
    np.testing.assert_allclose(layers, expected, atol=1e-5)
    assert (info.precision, info.model_hash) == ("int8", encoder.model_hash)
    assert "precision  int8 (the folder is a lite one; cosine" in server.errors.read_text()
    maps = Path(f"/proc/{worker['pid']}/maps")
    if maps.exists():
        assert "litert" in maps.read_text()
        assert "tensorflow_framework" not in maps.read_text()


@pytest.mark.slow
def test_the_extra_lite_is_enough_to_serve_it(folder, tmp_path):
    programs = installed(tmp_path, "[lite]")
    command = [programs / "bertfeat-serve", "start", "--model", folder, "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as server:
        ready = server.stdout.readline()
        assert ready.startswith("ready "), server.stderr.read()
        with Client(ready.split()[1], timeout_s=60) as client:
            found = client.encode(TEXTS, pooling="mean")
        server.terminate()
        _, errors = server.communicate(timeout=30)
    assert (server.returncode, "Traceback" in errors) == (0, False)
    np.testing.assert_allclose(found, Encoder.load(folder).encode(TEXTS, pooling="mean"), atol=1e-3)
    missing = [programs / "python", "-c", "import tensorflow"]
    assert subprocess.run(missing, capture_output=True).returncode == 1
