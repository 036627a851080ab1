"""Who is let in over HTTP: keys, hosts, origins, types and sizes of bodies."""

import socket
import threading

import httpx
import pytest
from http_served import free_port, http_server

from bertfeat.errors import ConfigError
from bertfeat_server.access.keys import Key, KeyRing
from bertfeat_server.config import ServerConfig
from bertfeat_server.http.guard import Guard
from bertfeat_server.http.problems import Problem

SECRET, OTHER = "alice's own long key", "another very long key"
BEARER = {"Authorization": f"Bearer {SECRET}"}
BODY = {"texts": ["a"]}


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    path.write_text(
        f'[alice]\nkey = "{SECRET}"\nmax_request_texts = 2\n'
        f'[bob]\nkey = "{OTHER}"\nrequests_per_s = 1\n'
    )
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def locked(key_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("locked")
    options = ["--api-key-file", str(key_file), "--log-level", "debug"]
    with http_server(folder, *options) as (server, http):
        yield server, http


@pytest.fixture(scope="module")
def http(tmp_path_factory):
    options = ["--http-max-body-mb", "0.01", "--cors-origin", "https://ours.example"]
    with http_server(tmp_path_factory.mktemp("open"), *options) as (_, client):
        yield client


def test_without_a_key_only_health_and_readiness_answer(locked):
    _, http = locked
    paths = http.get("/openapi.json", headers=BEARER).json()["paths"]
    assert len(paths) > 15
    for path, methods in paths.items():
        for method in methods:
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": SECRET}):
                reply = http.request(method, path, headers=headers, json=BODY)
                assert reply.status_code == (200 if path in ("/health", "/ready") else 401), path
    assert http.post("/encode", json=BODY).headers["WWW-Authenticate"] == "Bearer"
    assert http.post("/encode", json=BODY, headers=BEARER).status_code == 200


def test_a_key_has_its_limits(locked):
    _, http = locked
    reply = http.post("/encode", json={"texts": ["a"] * 3}, headers=BEARER)
    assert reply.status_code == 400
    assert "alice" in reply.text
    bob = {"Authorization": f"Bearer {OTHER}"}
    replies = [http.post("/encode", json=BODY, headers=bob) for _ in range(3)]
    assert {reply.status_code for reply in replies[1:]} == {429}
    assert replies[-1].headers["Retry-After"] == "1"


def test_no_key_is_ever_logged(locked):
    server, http = locked
    http.post("/encode", json=BODY, headers=BEARER)
    http.post("/encode", content=b"{", headers=BEARER | {"Content-Type": "application/json"})
    assert SECRET not in server.errors.read_text()


def test_a_page_of_another_site_gets_nothing_by_a_name_of_its_own(http):
    for host in ("evil.example", "evil.example:8125", "127.0.0.1.evil.example", ""):
        assert http.post("/encode", json=BODY, headers={"Host": host}).status_code == 403
    for host in ("localhost:1", "127.0.0.1", "[::1]:8125"):
        assert http.post("/encode", json=BODY, headers={"Host": host}).status_code == 200


def test_a_page_of_another_site_gets_nothing_by_its_own_script(http):
    reply = http.post("/encode", json=BODY, headers={"Origin": "https://evil.example"})
    assert reply.status_code == 403
    assert "access-control-allow-origin" not in reply.headers
    ours = http.post("/encode", json=BODY, headers={"Origin": "https://ours.example"})
    assert ours.headers["access-control-allow-origin"] == "https://ours.example"
    own = http.post("/encode", json=BODY, headers={"Origin": str(http.base_url).rstrip("/")})
    assert own.status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
def test_a_form_is_no_request(http, kind):
    headers = {"Content-Type": kind} if kind else {}
    reply = http.post("/encode", content=b'{"texts": ["a"]}', headers=headers)
    assert reply.status_code == 415


def test_a_large_body_is_refused_before_it_is_read(http):
    reply = http.post("/encode", json={"texts": ["a" * 20_000]})
    assert reply.status_code == 413

    def chunks():
        yield b'{"texts": ["'
        for _ in range(20):
            yield b"a" * 1000
        yield b'"]}'

    headers = {"Content-Type": "application/json"}
    assert http.post("/encode", content=chunks(), headers=headers).status_code == 413
    head = b"POST /encode HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection((http.base_url.host, http.base_url.port), 10) as raw:
        raw.sendall(head + b"Content-Length: 99999999999\r\n\r\n")
        assert b" 413 " in raw.recv(100)


def test_half_a_request_hurts_nobody(http):
    address = (http.base_url.host, http.base_url.port)
    halves = [socket.create_connection(address, 10) for _ in range(20)]
    for number, half in enumerate(halves):
        half.sendall(b"POST /encode HTTP/1.1\r\nHost: localhost\r\n"[: 5 + number])
    assert http.post("/encode", json=BODY).status_code == 200
    for half in halves:
        half.close()


def test_a_caller_that_leaves_is_forgotten(tmp_path, wait_for):
    with http_server(tmp_path) as (server, http):
        http.post("/encode", json=BODY)

        def leave():
            with pytest.raises(httpx.ReadTimeout):
                slow = [f"SLEEP 0.5 {i}" for i in range(60)]
                httpx.post(f"{http.base_url}/encode", json={"texts": slow}, timeout=0.3)

        threads = [threading.Thread(target=leave) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_for(lambda: server.status()["queue"]["tokens"] == 0)
        assert server.status()["queue"]["requests"] == 0


def test_a_taken_port_or_an_open_key_file_is_said_at_start(start, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = start("--http-port", str(port), ready=False)
        assert server.process.wait(60) == 1
        assert f"port {port} of 127.0.0.1" in server.errors.read_text()
    path = tmp_path / "keys"
    path.write_text(f'[a]\nkey = "{SECRET}"\n')
    path.chmod(0o644)
    options = "--http-port", str(free_port()), "--api-key-file", str(path)
    server = start(*options, ready=False)
    assert server.process.wait(60) == 1
    assert "chmod 600" in server.errors.read_text()


def admit(config, name, keys=None):
    return Guard(config, "127.0.0.1", keys).admit("GET", {"host": name}, is_open=False)


def test_names_are_checked_where_the_server_is_local_and_has_no_keys():
    config = ServerConfig(allowed_host=("box",))
    assert admit(config, "box:8125") is None
    with pytest.raises(Problem, match="--allowed-host evil"):
        admit(config, "evil:8125")
    ring = KeyRing({"a": Key("a", b"0" * 32)})
    with pytest.raises(Problem, match="an API key is needed"):
        admit(config, "evil", ring)


def test_options_that_cannot_be_are_said():
    with pytest.raises(ConfigError, match="cors_origin='\\*' is not like https"):
        ServerConfig(cors_origin=("*",))
    with pytest.raises(ConfigError, match="http_port=70000"):
        ServerConfig(http_port=70000)
