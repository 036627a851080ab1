"""Workers of another machine: played by one that cannot see the server's run file."""

import json
import signal
import subprocess
import sys
import time

import pytest
from http_served import free_port

from bertfeat_client.errors import Forbidden
from bertfeat_server.finding import elsewhere


@pytest.fixture
def join(tmp_path):
    """A factory of workers that know of a server only what they are told."""
    joined = []

    def begin(server, token, wait=True):
        environment = server.environment | {"XDG_RUNTIME_DIR": str(tmp_path / "other")}
        command = [sys.executable, "-m", "serve_main", "worker", "--connect", server.endpoint]
        joined.append(subprocess.Popen(
            command, env=environment | {"BERTFEAT_SERVE_TOKEN": token}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ))  # fmt: skip
        if wait:
            assert joined[-1].stdout.readline().startswith("ready ")
        return joined[-1]

    yield begin
    for worker in joined:
        worker.kill()
        worker.communicate()


def token_of(server):
    [path] = server.folder.rglob("serve-*.json")
    return json.loads(path.read_text())["token"]


def test_a_worker_joins_over_tcp_and_leaves_with_its_batch_done(start, join, client, wait_for):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    server = start("--port", "0", "--worker-endpoint", endpoint)
    worker = join(server, token_of(server))
    asking = client(server.endpoint)
    for number in range(6):
        asking.send("encode", [f"SLEEP 0.5 {number}"], name=str(number))
        time.sleep(0.05)  # else all of them are one batch
    wait_for(lambda: any(w["state"] == "busy" and w["pid"] == worker.pid
                         for w in server.status()["workers"]))  # fmt: skip
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert {asking.receive().header["status"] for _ in range(6)} == {"ok"}
    assert worker.pid not in [one["pid"] for one in server.status()["workers"]]


def test_without_the_token_or_an_endpoint_it_is_refused(start, join):
    server = start("--port", "0")
    for token, said in (("wrong", "admin token"), (token_of(server), "--worker-endpoint")):
        refused = join(server, token, wait=False)
        assert refused.wait(30) == 1 and said in refused.stderr.read()


def test_an_endpoint_that_listens_everywhere_is_reached_where_the_server_was():
    told = {"worker_endpoint": "tcp://0.0.0.0:7"}
    assert elsewhere("tcp://10.1.2.3:5557", told) == "tcp://10.1.2.3:7"
    assert elsewhere("tcp://10.1.2.3:5557", {"worker_endpoint": "tcp://a.b:7"}) == "tcp://a.b:7"
    with pytest.raises(Forbidden, match="its own machine only"):
        elsewhere("tcp://10.1.2.3:5557", {"worker_endpoint": ""})
