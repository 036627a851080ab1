"""A flood of malformed messages on every port: nothing breaks, and good callers do not notice.

``BERTFEAT_FUZZ`` is the number of ZeroMQ messages; ``make fuzz`` sends a million of them, and a
tenth as many HTTP requests.
"""

import json
import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
import zmq
from fake_encoder import vector_of
from fuzz import frames, old_frames, send, send_http
from http_served import free_port

from bertfeat_client import Client
from source_tree import ROOT

COUNT = int(os.environ.get("BERTFEAT_FUZZ", "30000"))
SENDERS, HTTP_SENDERS = 4, 8
HTTP_SHARE = 0.6 / HTTP_SENDERS
"""Requests of each, for one message of each other sender: a tenth of all messages together."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240 + COUNT / 500)]


@pytest.fixture
def ports():
    return {name: free_port() for name in ("native", "push", "sub", "http")}


@pytest.fixture
def server(start, ports):
    pytest.importorskip("starlette")
    return start(
        "--port", str(ports["native"]), "--compat", "--quiet", "--log-level", "error",
        "--compat-ports", f"{ports['push']},{ports['sub']}", "--http-port", str(ports["http"]),
    )  # fmt: skip


def surprises(log):
    """Exceptions that nobody expected; h11's own about a peer that breaks HTTP are its affair."""
    return [text[:2000] for text in log.split("Traceback")[1:] if "h11._util" not in text]


def flood(runs):
    """Run all at once; what one of them raises is raised here."""
    with ThreadPoolExecutor(len(runs)) as pool:
        for done in [pool.submit(run, *arguments) for run, *arguments in runs]:
            done.result()


def test_every_port_takes_a_flood_of_malformed_messages(server, ports, wait_for):
    supervisor = psutil.Process(server.process.pid)
    before = {child.pid for child in supervisor.children()}
    [backend] = [f"ipc://{path}" for path in server.folder.rglob("backend-*.ipc")]
    native, old = f"tcp://127.0.0.1:{ports['native']}", f"tcp://127.0.0.1:{ports['push']}"
    paths = json.loads((ROOT / "docs" / "openapi.json").read_text("utf-8"))["paths"]
    routes = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    each, ended, served = math.ceil(COUNT / (SENDERS + 2)), threading.Event(), []
    memory = []  # MB of each process after a tenth, when what is kept once is there, and at the end

    def call():
        with Client(server.endpoint, timeout_s=60) as client:
            while not ended.is_set() or not served:
                text = f"good {len(served)}"
                served.append(np.array_equal(client.encode(text), vector_of(text)))

    good = threading.Thread(target=call)
    good.start()
    for n in (each // 10, each - each // 10):
        flood([
            *((send, zmq.DEALER, native, frames, n, seed) for seed in range(SENDERS)),
            (send, zmq.DEALER, backend, frames, n, 98), (send, zmq.PUSH, old, old_frames, n, 99),
            *((send_http, ports["http"], routes, math.ceil(n * HTTP_SHARE), seed)
              for seed in range(HTTP_SENDERS)),
        ])  # fmt: skip
        memory.append([child.memory_info().rss / 2**20 for child in supervisor.children()])
    ended.set()
    good.join()
    print(f"\n{COUNT} messages; {len(served)} good calls meanwhile; MB {memory}")
    assert all(served)
    assert {child.pid for child in supervisor.children()} == before, "a process ended"
    assert max(np.subtract(*reversed(memory))) < 60
    with Client(server.endpoint, timeout_s=60) as client:
        wait_for(lambda: client.status()["queue"]["requests"] == 0)
    assert server.end() == 0
    assert surprises(server.errors.read_text()) == []
