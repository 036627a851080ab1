"""What importing costs, and what a bare install says, seen from fresh interpreters."""

import json
import subprocess
import sys

import pytest

from bertfeat_tools.cli.group import COMMANDS

HEAVY = (
    "faiss", "huggingface_hub", "jax", "keras", "pyarrow", "safetensors", "tensorflow", "torch",
    "transformers",
)  # fmt: skip
# A stand-in for an environment that has nothing but numpy and pyzmq.
BARE = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        first = name.partition(".")[0]
        own = ("bertfeat", "bertfeat_client", "bertfeat_server", "bertfeat_tools")
        if first not in (*sys.stdlib_module_names, "numpy", "zmq", *own, "_distutils_hack"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=first)
sys.meta_path.insert(0, Missing())
import importlib.util
find_spec = importlib.util.find_spec
def visible(name, package=None):
    try:
        return find_spec(name, package)
    except ModuleNotFoundError:
        return None
importlib.util.find_spec = visible
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that finds the packages under test."""
    paths = [path for path in sys.path if path]
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {paths!r}\n{code}", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )


def loaded_by(code: str, *arguments: str) -> set[str]:
    """Top-level names of the modules that code leaves loaded."""
    report = "print('\\n' + json.dumps([name for name in sys.modules if '.' not in name]))"
    done = python(f"import sys, json\n{code}\n{report}", *arguments)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


HELP = """
try:
    {entry}()
except SystemExit as end:
    assert not end.code, end.code
"""


def test_the_client_loads_numpy_and_zmq_and_nothing_of_weight():
    loaded = loaded_by("from bertfeat_client import Client, AsyncClient")
    assert {"numpy", "zmq"} <= loaded
    assert (
        loaded & {*HEAVY, "bertfeat", "bertfeat_server", "click", "tokenizers", "orjson"} == set()
    )


def test_the_client_works_where_only_numpy_and_pyzmq_are_installed():
    done = python(f"{BARE}\nimport bertfeat_client\nprint(bertfeat_client.Client.__name__)")
    assert (done.returncode, done.stdout) == (0, "Client\n"), done.stderr


def test_importing_the_library_loads_nothing_heavy():
    assert loaded_by("import bertfeat") & {*HEAVY, "click", "tokenizers", "numpy"} == set()


@pytest.mark.parametrize(
    ("entry", "arguments"),
    [
        ("bertfeat_tools.cli.main", ["--help"]),
        *(("bertfeat_tools.cli.main", [name, "--help"]) for name in COMMANDS),
        ("bertfeat_tools.cli.extract_features", ["--help"]),
        ("bertfeat_server.cli.main", ["--help"]),
        ("bertfeat_server.cli.main", ["start", "--help"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_help_loads_nothing_heavy(entry, arguments):
    module, _, function = entry.rpartition(".")
    code = f"from {module} import {function} as entry\n" + HELP.format(entry="entry")
    assert loaded_by(code, *arguments) & set(HEAVY) == set()


@pytest.mark.parametrize(
    ("command", "entry"),
    [
        ("bertfeat", "bertfeat_tools.cli.main"),
        ("extract_features", "bertfeat_tools.cli.extract_features"),
        ("bertfeat-serve", "bertfeat_server.cli.main"),
    ],
)
def test_a_command_whose_extra_is_missing_says_so_in_one_sentence(command, entry):
    module, _, function = entry.rpartition(".")
    done = python(f"{BARE}\nfrom {module} import {function}\n{function}()")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"{command} needs click")
    assert 'pip install "bertfeat[serve]"' in done.stderr


def test_an_import_whose_extra_is_missing_raises_import_error_naming_it():
    done = python(f"{BARE}\nimport bertfeat\nfrom bertfeat import Encoder")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "MissingExtra: bertfeat.Encoder needs" in last
    assert 'pip install "bertfeat[serve]"' in last
