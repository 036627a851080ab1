"""Encrypted connections, keys over ZeroMQ, and what a server refuses to be open for."""

import json
import pickle
import socket
import stat
import threading
from contextlib import suppress

import numpy as np
import pytest
import zmq
from fake_encoder import vector_of

from bertfeat.errors import ConfigError
from bertfeat_client import Client, Curve
from bertfeat_client.errors import (
    ConnectTimeout,
    InvalidRequest,
    Overloaded,
    ServerError,
    Unauthorized,
)
from bertfeat_server.access.encryption import Encryption, write_key_pair
from bertfeat_server.access.keys import KeyRing
from bertfeat_server.config import ServerConfig
from broker_stage import Stage

SECRET = "a key of sixteen and more characters"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Folders of the server's, two clients' and the admitted clients' keys."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("server", "alice", "mallory"):
        write_key_pair(name, folder)
    (folder / "clients").mkdir()
    (folder / "clients" / "alice.key").write_text((folder / "alice.key").read_text())
    return folder


@pytest.fixture
def encrypted(start, keys):
    """A server that only Alice may use."""
    return start(
        "--port", "0", "--curve-secret-key-file", str(keys / "server.key_secret"),
        "--curve-clients-folder", str(keys / "clients"),
    )  # fmt: skip


def connect(server, timeout_s=20.0, **options):
    return Client(server.endpoint, timeout_s=timeout_s, **options)


def test_only_a_client_with_an_admitted_key_is_served(encrypted, keys):
    with connect(encrypted, curve=Curve.read(keys / "server.key", keys / "alice.key_secret")) as ok:
        np.testing.assert_array_equal(ok.encode("a text"), vector_of("a text"))
    strangers = {
        "wants keys": None,
        "refuses yours": Curve.read(keys / "server.key", keys / "mallory.key_secret"),
        "with this key": Curve.read(keys / "mallory.key", keys / "alice.key_secret"),
    }
    for reason, curve in strangers.items():
        with (
            connect(encrypted, 1.0, curve=curve) as client,
            pytest.raises(ConnectTimeout, match=reason),
        ):
            client.info()


def test_a_key_that_is_put_into_the_folder_later_is_known(encrypted, keys):
    admitted = keys / "clients" / "mallory.key"
    curve = Curve.read(keys / "server.key", keys / "mallory.key_secret")
    admitted.write_text((keys / "mallory.key").read_text())
    try:
        with connect(encrypted, curve=curve) as client:
            assert client.status()["ready"]
    finally:
        admitted.unlink()


def test_the_owner_needs_no_key(encrypted):
    told = encrypted.command("status", "--json")
    assert told.returncode == 0, told.stderr
    encrypted.join()
    assert encrypted.command("stop").returncode == 0
    assert encrypted.end(0) == 0
    assert [path.name for path in encrypted.folder.rglob("*.ipc")] == []


def test_commands_of_another_machine_show_their_keys(encrypted, keys, tmp_path):
    [run_file] = encrypted.folder.glob("bertfeat/*.json")
    token = json.loads(run_file.read_text())["token"]
    encrypted.environment["XDG_RUNTIME_DIR"] = str(tmp_path / "elsewhere")
    where = ("--endpoint", encrypted.endpoint)
    curve = ("--curve", str(keys / "server.key"), str(keys / "alice.key_secret"))
    told = encrypted.command("status", *where, *curve, "--json")
    assert json.loads(told.stdout)["ready"], told.stderr
    shown = encrypted.command("bench", *where, *curve, "--seconds", "0.3", "--warm-up-s", "0")
    assert shown.returncode == 0 and "p99" in shown.stdout
    unknown = encrypted.command("status", *where)
    assert unknown.returncode == 1 and "--curve" in unknown.stderr
    refused = encrypted.command("stop", *where, *curve)
    assert refused.returncode == 1 and "token" in refused.stderr
    assert encrypted.command("stop", *where, *curve, "--token", token).returncode == 0
    assert encrypted.process.wait(20) == 0


def test_status_shows_its_api_key(start, tmp_path, ring_file):
    server = start("--port", "0", "--api-key-file", str(ring_file))
    server.environment["XDG_RUNTIME_DIR"] = str(tmp_path / "elsewhere")
    where = ("--endpoint", server.endpoint)
    assert server.command("status", *where, "--api-key", SECRET, "--json").returncode == 0
    assert server.command("status", *where, "--api-key", "x" * 20).returncode == 1


def test_without_a_folder_whoever_knows_the_servers_key_is_served(start, keys):
    server = start("--port", "0", "--curve-secret-key-file", str(keys / "server.key_secret"))
    with connect(server, curve=Curve.read(keys / "server.key")) as client:
        assert client.status()["ready"]
    with connect(server, 1.0) as client, pytest.raises(ConnectTimeout):
        client.status()


def test_the_wire_shows_no_text(encrypted, keys, zmq_context):
    """A tap between client and server sees the greeting and nothing of the text."""
    port = int(encrypted.endpoint.rsplit(":", 1)[1])
    tap, seen = socket.create_server(("127.0.0.1", 0)), bytearray()

    def pass_on(source, target):
        with source, suppress(OSError):
            while data := source.recv(65536):
                seen.extend(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def accept():
        inner, _ = tap.accept()
        outer = socket.create_connection(("127.0.0.1", port))
        for pair in ((inner, outer), (outer, inner)):
            threads.append(threading.Thread(target=pass_on, args=pair))
            threads[-1].start()

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    curve = Curve.read(keys / "server.key", keys / "alice.key_secret")
    endpoint = f"tcp://127.0.0.1:{tap.getsockname()[1]}"
    with Client(endpoint, timeout_s=20, curve=curve) as client:
        client.encode("a confidential text")
    tap.close()
    for thread in threads:
        thread.join()
    assert b"CURVE" in seen and b"confidential" not in seen and b"encode" not in seen


def test_keygen_writes_a_pair_and_overwrites_none(start, tmp_path):
    first, secret = write_key_pair("bob", tmp_path / "new")
    assert (first.name, secret.name) == ("bob.key", "bob.key_secret")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="exist"):
        write_key_pair("bob", tmp_path / "new")
    with pytest.raises(ConfigError, match="no name of a file"):
        write_key_pair("../bob", tmp_path)


def test_keys_that_are_none_say_which_file(tmp_path, keys):
    with pytest.raises(InvalidRequest, match="missing"):
        Curve.read(tmp_path / "missing.key")
    with pytest.raises(InvalidRequest, match="no secret key"):
        Curve.read(keys / "server.key", keys / "alice.key")
    with pytest.raises(ConfigError, match="no secret key"):
        Encryption(keys / "server.key", None)
    with pytest.raises(ConfigError, match="no folder"):
        Encryption(keys / "server.key_secret", tmp_path / "nowhere")
    open_to_all = tmp_path / "open.key_secret"
    open_to_all.write_text((keys / "server.key_secret").read_text())
    open_to_all.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        Encryption(open_to_all, None)


def test_a_secret_is_never_shown_and_survives_pickling(keys):
    curve = Curve.read(keys / "server.key", keys / "alice.key_secret")
    assert curve.secret_key.decode() not in repr(curve)
    assert pickle.loads(pickle.dumps(curve)) == curve


@pytest.mark.parametrize(("options", "word"), [
    ({"host": "0.0.0.0", "http_port": 0}, "--api-key-file"),
    ({"host": "::", "http_port": 0}, "--api-key-file"),
    ({"endpoint": "tcp://10.0.0.1:5557", "http_port": 0}, "--curve-clients-folder"),
    ({"endpoint": "ipc:///x", "host": "0.0.0.0", "http_port": 1}, "HTTP"),
    ({"host": "0.0.0.0", "api_key_file": "k", "compat": True}, "bert-as-service"),
    ({"host": "0.0.0.0", "curve_secret_key_file": "k", "http_port": 0}, "--curve-clients-folder"),
    ({"worker_endpoint": "tcp://0.0.0.0:1"}, "in the clear"),
    ({"worker_endpoint": "ipc:///x"}, "is not like"),
    ({"curve_clients_folder": "k"}, "curve_secret_key_file"),
])  # fmt: skip
def test_a_public_address_without_keys_is_refused(options, word):
    with pytest.raises(ConfigError, match=word):
        ServerConfig(**options)
    if "host" in options or "endpoint" in options:
        ServerConfig(**options, insecure=True)


@pytest.mark.parametrize("options", [
    {"host": "127.0.0.9", "compat": True}, {"host": "localhost"}, {"endpoint": "ipc:///x"},
    {"host": "0.0.0.0", "api_key_file": "k"},
    {"host": "0.0.0.0", "curve_secret_key_file": "k", "curve_clients_folder": "c", "http_port": 0},
])  # fmt: skip
def test_what_is_closed_needs_no_permission(options):
    ServerConfig(**options)


@pytest.fixture
def ring_file(tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text(f'[alice]\nkey = "{SECRET}"\nrequests_per_s = 2\nmax_request_texts = 3\n')
    path.chmod(0o600)
    return path


@pytest.fixture
def ring(ring_file):
    return KeyRing.read(ring_file)


def test_every_operation_but_those_of_the_server_itself_needs_a_key(ring):
    stage = Stage(keys=ring).hello()
    for number, op in enumerate(("encode", "info", "status", "stop")):
        stage.client(op, name=str(number), key="another")
    stage.client("encode", name="none")
    assert [m.header["error"]["code"] for _, m in stage.replies] == ["unauthorized"] * 5
    assert stage.batches == []
    stage.client("encode", name="yes", key=SECRET).serve()
    stage.client("encode", name="inside", token="secret").serve()
    assert [m.header["status"] for _, m in stage.replies[5:]] == ["ok", "ok"]


def test_a_key_has_its_own_limits(ring):
    stage = Stage(keys=ring).hello().client("info", name="0", key=SECRET)
    assert stage.reply.header["info"]["limits"]["max_request_texts"] == 3
    stage.client("encode", ["a"] * 4, name="1", key=SECRET)
    assert "alice" in stage.replies[1][1].header["error"]["message"]
    stage.client("encode", name="2", key=SECRET)
    error = stage.replies[-1][1].header["error"]
    assert error["code"] == "overloaded" and error["retry_after_s"] > 0
    assert SECRET not in str(stage.replies)


def test_a_client_shows_its_key_and_keeps_it_when_pickled(start, tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text(f'[alice]\nkey = "{SECRET}"\n')
    path.chmod(0o600)
    server = start("--api-key-file", str(path))
    with Client(server.endpoint, timeout_s=20, api_key=SECRET) as client:
        assert client.encode(["a", "b"]).shape == (2, 8)
        with pickle.loads(pickle.dumps(client)) as same:
            assert same.encode(["a"]).shape == (1, 8)
    with (
        Client(server.endpoint, timeout_s=20) as other,
        pytest.raises(Unauthorized, match="api_key"),
    ):
        other.encode("a")
    assert server.command("status").returncode == 0
    assert SECRET not in server.errors.read_text()


def test_codes_of_errors_tell_callers_what_to_do():
    assert issubclass(Unauthorized, ServerError) and issubclass(Overloaded, ServerError)
    assert zmq.has("curve")
