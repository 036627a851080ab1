"""Conversions to int8 that others make at the same time, or that the disk has no room for."""

import os
import subprocess
import sys

import pytest

from bertfeat.checkpoints import lite

ENCODE = """
import sys, warnings
from bertfeat import Encoder
warnings.simplefilter("ignore")
print(Encoder.load(sys.argv[1], precision="int8").encode("the cat sat").tobytes().hex())
"""
ROOM_BYTES = 4096
"""Less than any graph takes."""


def start(model, cache, **more):
    return subprocess.Popen(
        [sys.executable, "-c", ENCODE, str(model)], env=os.environ | {"BERTFEAT_CACHE": str(cache)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more,
    )  # fmt: skip


def test_two_processes_convert_a_model_once_between_them(tiny_bert, tmp_path):
    model = tiny_bert(seed=22)
    both = [start(model, tmp_path) for _ in range(2)]
    found = [process.communicate(timeout=200) for process in both]
    assert [process.returncode for process in both] == [0, 0], found
    assert found[0][0] == found[1][0] != ""
    made = list((tmp_path / "lite").iterdir())
    assert len(made) == 1
    assert lite.holds_model(made[0])


def test_a_full_disk_is_said_and_leaves_nothing_behind(tiny_bert, tmp_path):
    resource = pytest.importorskip("resource", reason="no limits on files here")
    model = tiny_bert(seed=23)
    limit = (ROOM_BYTES, ROOM_BYTES)
    full = start(
        model, tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    )
    _, errors = full.communicate(timeout=200)
    assert full.returncode == 1
    assert "cannot be converted to int8" in errors
    assert "File too large" in errors
    assert list((tmp_path / "lite").iterdir()) == []
    again = start(model, tmp_path)
    assert again.communicate(timeout=200)[0]
    assert again.returncode == 0
