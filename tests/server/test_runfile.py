"""Run files: found by their owner, gone with their server, closed to everybody else."""

import json
import os
import subprocess
import sys

import pytest

from bertfeat_server.runfile import (
    RunFile,
    RuntimeFolderError,
    backend_path,
    published,
    running,
    runtime_folder,
)

HOLDER = """
import sys, time
from bertfeat_server.runfile import RunFile, published
with published(RunFile(int(sys.argv[1]), "tcp://127.0.0.1:1", "t")):
    print("there", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def runtime(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "bertfeat"


def test_a_running_server_is_found_and_gone_afterwards():
    server = RunFile(os.getpid(), "tcp://127.0.0.1:5557", "token")
    with published(server) as path:
        assert path.stat().st_mode & 0o777 == 0o600
        assert runtime_folder().stat().st_mode & 0o777 == 0o700
        assert running() == [server]
    assert running() == []
    assert list(runtime_folder().iterdir()) == []


def test_several_servers_are_all_found():
    with published(RunFile(11, "a", "t")), published(RunFile(12, "b", "t")):
        assert {server.endpoint for server in running()} == {"a", "b"}


def test_what_a_killed_server_left_is_ignored_and_removed(runtime):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, "4321"], stdout=subprocess.PIPE)
    with holder:
        holder.stdout.readline()
        backend_path(4321).touch()
        assert [server.pid for server in running()] == [4321]
        holder.kill()
    assert running() == []
    assert list(runtime.iterdir()) == []


def test_a_dead_servers_file_goes_even_if_its_pid_lives_on_in_another_process(runtime):
    runtime_folder()
    path = runtime / f"serve-{os.getpid()}.json"
    path.write_text(json.dumps({"pid": os.getpid(), "endpoint": "x", "token": "t"}))
    assert running() == []
    assert not path.exists()


def test_a_file_that_is_no_run_file_hurts_nobody():
    with published(RunFile(11, "a", "t")) as path:
        path.write_text("{")
        assert running() == []


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="a matter of POSIX modes")
def test_a_folder_that_others_may_read_is_refused(runtime):
    runtime_folder().chmod(0o755)
    with pytest.raises(RuntimeFolderError, match="mode 0700"):
        runtime_folder()


def test_without_a_runtime_folder_of_the_system_one_in_the_temporary_folder_is_used(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert runtime_folder() == tmp_path / f"bertfeat-{os.getuid()}"
