"""Run files: found by their owner, gone with their server, closed to everybody else."""

import hmac
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bertfeat_client.errors import Forbidden
from bertfeat_server.access.admission import Admission
from bertfeat_server.runfile import (
    RunFile,
    RuntimeFolderError,
    backend_path,
    door_path,
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


STRANGER = """
import os, socket, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
for path in sys.argv[1:]:
    try:
        if path.endswith(".json"):
            open(path).close()
        else:
            socket.socket(socket.AF_UNIX).connect(path)
    except PermissionError:
        print("refused")
    else:
        print("let_in")
"""


@pytest.fixture
def base(monkeypatch):
    """A folder that everybody may enter, with the runtime folder in it."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        yield Path(name)


def listening_at(path):
    """Return a socket that everybody may connect to, who can reach its file."""
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    made.listen()
    path.chmod(0o777)
    return made


@pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become another user"
)
def test_another_user_reaches_neither_the_run_file_nor_the_sockets(base):
    with published(RunFile(os.getpid(), "tcp://127.0.0.1:1", "token")) as path:
        path.chmod(0o644)  # the folder alone is enough
        sockets = [base / "public", backend_path(os.getpid()), door_path(os.getpid())]
        listening = [listening_at(one) for one in sockets]
        found = subprocess.run(
            [sys.executable, "-S", "-c", STRANGER, str(path), *map(str, sockets)],
            capture_output=True, text=True, timeout=60, cwd="/",
        )  # fmt: skip
        for one in listening:
            one.close()
    assert found.stdout.split() == ["refused", "let_in", "refused", "refused"], found.stderr


def test_a_folder_of_another_user_is_refused(runtime, monkeypatch):
    runtime_folder()
    monkeypatch.setattr("os.getuid", lambda: 4321)
    with pytest.raises(RuntimeFolderError, match="belong to you"):
        runtime_folder()


def test_a_token_is_compared_in_constant_time(monkeypatch):
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: compared.append((a, b)) or real(a, b))
    admission = Admission("the token")
    assert admission.is_inside({"token": "the token"})
    assert not admission.is_inside({"token": "the tokem"})
    assert not admission.is_inside({"token": "\ud800"})
    assert compared[:2] == [(b"the token", b"the token"), (b"the tokem", b"the token")]
    for header in ({}, {"token": None}, {"token": 7}, {"token": ["the token"]}):
        assert not admission.is_inside(header)
        with pytest.raises(Forbidden, match="admin token"):
            admission.check_owner(header)
