"""The HTTP process killed, and killed together with what watches it."""

import os
import signal

import httpx
import psutil
from http_served import free_port, http_server

from conftest import Server


def http_pid(port):
    """The process that listens on a port."""
    return next(one.pid for one in psutil.net_connections("tcp")
                if one.status == "LISTEN" and one.laddr.port == port)  # fmt: skip


def gone(pids):
    return not any(psutil.pid_exists(pid) for pid in pids)


def answers(http):
    try:
        return http.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def test_a_killed_http_process_is_replaced(tmp_path, wait_for):
    with http_server(tmp_path) as (server, http):
        assert answers(http)
        before = server.status()["workers"]
        os.kill(http_pid(http.base_url.port), signal.SIGKILL)
        wait_for(lambda: answers(http))
        status = server.status()
        assert status["restarts"] == {"broker": 0, "http": 1}
        assert status["workers"] == before
        text = http.get("/metrics").text
        assert 'bertfeat_restarts_total{role="http"} 1.0' in text


def test_nothing_listens_when_the_supervisor_was_killed(tmp_path, wait_for):
    port = free_port()
    server = Server(tmp_path, "--port", "0", "--http-port", str(port)).wait_ready()
    pids = [*server.pids(), http_pid(port)]
    server.end(signal.SIGKILL)
    wait_for(lambda: gone(pids))
    assert list(tmp_path.rglob("*.ipc")) == []
