"""The README: every marked example is run, every path in its tree exists, no figure is open."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from source_tree import ROOT

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"<!-- test: (\w+) -->\n```\w+\n(.*?)```", README, re.DOTALL))
PRINTED = re.compile(r"^\s*print\(.*\)\s+# (.*)$", re.MULTILINE)
TREE = re.search(r"## What is where\n\n```\n(.*?)```", README, re.DOTALL)[1]
START_S, RUN_S, STOP_S = 240, 400, 60


def environment(folder: Path) -> dict[str, str]:
    """The commands of this interpreter come first, and a server here is found by nobody else."""
    scripts = str(Path(sys.executable).parent)
    paths = os.pathsep.join(path for path in sys.path if path)
    return os.environ | {
        "PATH": scripts + os.pathsep + os.environ["PATH"],
        "PYTHONPATH": paths,
        "XDG_RUNTIME_DIR": str(folder),
    }


def run(command: list[str], folder: Path) -> str:
    """Run a program in a folder and return what it prints."""
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=RUN_S
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def run_python(name: str, folder: Path, **replaced: str) -> None:
    """Run an example and compare each line that it prints with the comment beside the print."""
    code = BLOCKS[name]
    for old, new in replaced.items():
        assert old in code
        code = code.replace(old, new)
    printed = run([sys.executable, "-c", code], folder)
    assert printed.splitlines() == PRINTED.findall(code)


@pytest.fixture(scope="module")
def server(default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple]:
    """The README's server on a free port, with the folder where it is found."""
    folder = tmp_path_factory.mktemp("run")
    assert "--port 5557" in BLOCKS["server"]
    command = BLOCKS["server"].replace("--port 5557", "--port 0").split()
    process = subprocess.Popen(
        command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline()
        assert line.startswith("ready tcp://")
        yield line.split()[1], folder
    finally:
        process.terminate()
        process.wait(STOP_S)
        process.stdout.close()


def test_it_is_short():
    assert len(README.splitlines()) <= 250


def test_every_marked_example_is_run_here():
    assert set(BLOCKS) == {"library", "server", "status", "client", "commands", "lite"}
    unmarked = re.sub(r"<!-- test: \w+ -->\n```\w+\n.*?```", "", README, flags=re.DOTALL)
    assert "```python" not in unmarked


@pytest.mark.slow
@pytest.mark.model
def test_the_librarys_example_prints_what_it_says(default_model, tmp_path):
    run_python("library", tmp_path)


@pytest.mark.slow
@pytest.mark.model
def test_the_clients_example_prints_what_it_says(server, tmp_path):
    endpoint, _ = server
    run_python("client", tmp_path, **{"tcp://127.0.0.1:5557": endpoint})


@pytest.mark.slow
@pytest.mark.model
def test_the_servers_status_needs_no_arguments(server):
    endpoint, folder = server
    printed = run(["bash", "-euo", "pipefail", "-c", BLOCKS["status"]], folder)
    assert endpoint in printed
    assert '"ready": true' in printed


@pytest.mark.slow
@pytest.mark.model
def test_the_commands_run(default_model, tmp_path):
    printed = run(["bash", "-euo", "pipefail", "-c", BLOCKS["commands"]], tmp_path)
    assert "all-MiniLM-L6-v2" in printed
    assert "Bees dance." in printed
    assert (tmp_path / "vectors.npy").stat().st_size == 128 + 2 * 384 * 4
    assert len((tmp_path / "features.jsonl").read_text("utf-8").splitlines()) == 2


@pytest.mark.slow
@pytest.mark.model
def test_the_lite_folder_is_made_and_read(default_model, tmp_path):
    (tmp_path / "texts.txt").write_text("The train was late.\nBees dance.\n")
    printed = run(["bash", "-euo", "pipefail", "-c", BLOCKS["lite"]], tmp_path)
    assert printed == "mini-lite\n"
    assert (tmp_path / "small.npy").stat().st_size == 128 + 2 * 384 * 4


def tree_paths() -> Iterator[Path]:
    """Paths drawn in the file tree."""
    parent = ROOT
    for line in TREE.splitlines():
        path = line.strip().split()[0]
        if not line.startswith(" "):
            parent = ROOT / path
            yield parent
        else:
            yield parent / path


def test_the_file_tree_is_the_repositorys():
    assert [path for path in tree_paths() if not path.exists()] == []
    drawn = {path.relative_to(ROOT).parts[0] for path in tree_paths()}
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    folders = {name.split("/")[0] for name in listed.stdout.splitlines() if "/" in name}
    assert folders - drawn == set()


def test_every_command_and_make_target_that_it_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z-]+)`?", README)) - targets == set()


def test_no_figure_is_left_open():
    assert "⟨open⟩" not in README
