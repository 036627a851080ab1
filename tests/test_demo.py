"""The demo: what it leaves behind, and that it leaves no process, however it ends."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from source_tree import ROOT

pytestmark = [pytest.mark.model, pytest.mark.slow]
END_S = 90


@contextlib.contextmanager
def demo(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the demo in an empty folder, in a process group of its own, as a terminal would."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "XDG_RUNTIME_DIR": str(folder),
    }
    process = subprocess.Popen(
        [sys.executable, ROOT / "examples" / "demo.py"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def output_until(process: subprocess.Popen[str], word: str) -> str:
    """Read a demo's output up to a line that begins with this word."""
    text = ""
    for line in process.stdout:
        text += line
        if line.startswith(word):
            return text
    pytest.fail(f"the demo ended early:\n{text}")


def remaining(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that live on; one that ended and waits for init to notice does not."""
    _, alive = psutil.wait_procs(processes, timeout=5)
    return [process for process in alive if not is_zombie(process)]


def is_zombie(process: psutil.Process) -> bool:
    """Whether a process has ended and only its number is left."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_the_whole_demo_leaves_its_results_and_nothing_running(default_model, tmp_path):
    with demo(tmp_path) as process:
        text = output_until(process, "ready ")
        family = psutil.Process(process.pid).children(recursive=True)
        text += process.communicate(timeout=300)[0]
        assert process.returncode == 0, text
        assert remaining(family) == []
    vectors = np.load(tmp_path / "demo-output" / "vectors.npy")
    assert vectors.shape == (64, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    features = (tmp_path / "demo-output" / "features.jsonl").read_text("utf-8")
    assert len(features.splitlines()) == 64
    assert "A world with a double sunrise has been discovered by telescope." in text
    assert {path.name for path in tmp_path.iterdir()} <= {"demo-output", "bertfeat"}


@pytest.mark.parametrize(
    ("number", "code", "moment"),
    [
        (signal.SIGINT, 130, "$ bertfeat-serve"),
        (signal.SIGINT, 130, "ready "),
        (signal.SIGINT, 130, "$ extract_features"),
        (signal.SIGTERM, 143, "ready "),
        (signal.SIGHUP, 129, "ready "),
    ],
)
def test_an_interrupted_demo_leaves_no_process(default_model, tmp_path, number, code, moment):
    with demo(tmp_path) as process:
        text = output_until(process, moment)
        family = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, number)
        text += process.communicate(timeout=END_S)[0]
        assert process.returncode == code, text
        assert remaining(family) == []
        assert "Traceback" not in text
