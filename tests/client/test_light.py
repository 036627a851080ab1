"""The client needs NumPy and pyzmq and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from installed import installed

ROOT = Path(__file__).resolve().parents[2]
FOREIGN = ("bertfeat", "bertfeat_server", "bertfeat_tools", "click", "faiss", "keras", "tensorflow")
ENCODE = """
import sys
from bertfeat_client import Client
with Client(sys.argv[1], timeout_s=20) as client:
    print(client.encode(["first text", "second text"]).shape)
"""


def test_a_call_loads_nothing_but_numpy_and_zmq(router):
    script = f"import sys\nsys.path.insert(0, {str(ROOT / 'client')!r})\n{ENCODE}\n"
    script += f"print([name for name in {FOREIGN!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, router.endpoint],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout.splitlines(), done.stderr) == (["(2, 8)", "[]"], "")


@pytest.mark.slow
def test_a_bare_install_encodes(router, tmp_path):
    programs = installed(tmp_path)
    python = programs / "python"
    freeze = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True)
    names = {line.partition("==")[0].partition(" @")[0] for line in freeze.stdout.splitlines()}
    assert names == {"bertfeat", "numpy", "pyzmq"}
    done = subprocess.run(
        [python, "-I", "-W", "error", "-c", ENCODE, router.endpoint],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert (done.stdout, done.stderr) == ("(2, 8)\n", "")
    for command in ("bertfeat", "extract_features", "bertfeat-serve"):
        done = subprocess.run([programs / command, "--help"], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (1, "")
        assert 'pip install "bertfeat[serve]"' in done.stderr
