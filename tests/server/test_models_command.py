"""``bertfeat-serve models`` on a running server."""

import json
import os
import signal
import threading
import time

import numpy as np
import pytest
from fake_encoder import vector_of

from bertfeat_client import Client, ClientError
from bertfeat_server import models_command


@pytest.fixture
def server(start):
    return start("--model", "a=/a", "--model", "b=/b", "--lazy")


def listed(server):
    out = server.command("models", "list", "--json").stdout
    return {one["name"]: one for one in map(json.loads, out.splitlines())}


def hash_of(client, **options):
    return client.encode(["x"], return_info=True, **options)[1].model_hash


def test_a_lazy_model_is_loaded_when_it_is_asked_for_and_the_server_is_ready_without(server):
    assert (listed(server)["b"]["state"], server.status()["ready"]) == ("unloaded", True)
    with Client(server.endpoint, timeout_s=30) as client:
        np.testing.assert_array_equal(client.encode("x", model="b"), vector_of("x"))
    assert listed(server)["b"] == {"name": "b", "source": "/b", "state": "loaded", "workers": 1}
    shown = server.command("models", "list").stdout.split()
    assert shown == ["a", "loaded", "1", "/a", "b", "loaded", "1", "/b"]


def test_a_swap_loses_no_request_and_is_seen_by_callers_that_were_there_before(server, wait_for):
    stop, hashes, wrong = threading.Event(), [], []

    def call():
        with Client(server.endpoint, timeout_s=30) as client:
            while not stop.is_set():
                vectors, info = client.encode(["x", "y"], return_info=True)
                hashes.append(info.model_hash[0])
                wrong.extend([] if (vectors[0] == vector_of("x")).all() else [vectors])

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    pids = set(server.pids())
    swapped = server.command("models", "swap", "a=other")
    assert (swapped.stdout, swapped.returncode) == ("swap a: done\n", 0)
    count = len(hashes)
    wait_for(lambda: len(hashes) > count + 50)
    stop.set()
    for caller in callers:
        caller.join(30)
    assert not wrong and set(hashes) == {"0", "1"} and set(hashes[-20:]) == {"1"}
    wait_for(lambda: len(pids - set(server.pids())) == 1)
    assert listed(server)["a"]["source"] == "other"
    assert server.status()["requests"]["failed"] == 0


@pytest.mark.parametrize(("source", "said"), [("missing", "tried"), ("unfaithful", "of 0.5")])
def test_a_swap_that_fails_leaves_the_server_as_it_was(server, source, said):
    refused = server.command("models", "swap", f"a={source}")
    assert refused.returncode == 1
    assert said in refused.stderr and "the server goes on as it was" in refused.stderr
    with Client(server.endpoint, timeout_s=30) as client:
        assert hash_of(client) == "0" * 64
    assert listed(server)["a"] == {"name": "a", "source": "/a", "state": "loaded", "workers": 1}


def test_a_change_that_was_lost_with_a_broker_is_not_waited_for_for_ever(monkeypatch):
    class Forgetful:
        def ask(self, op, **fields):
            return {"changes": {}}

    monkeypatch.setattr(models_command, "LOST_S", 0.1)
    with pytest.raises(ClientError, match="swap a: the server knows nothing of it; ask again"):
        models_command._change(Forgetful(), "swap", "a=/new")


def test_models_come_and_go_and_a_broker_that_is_replaced_knows_of_it(server, wait_for):
    assert server.command("models", "load", "c=other").returncode == 0
    assert server.command("models", "swap", "a=other").returncode == 0
    with Client(server.endpoint, timeout_s=30) as client:
        assert hash_of(client, model="c") == "1" * 64
        broker = next(pid for pid in server.pids() if role_of(pid, server) == "broker")
        os.kill(broker, signal.SIGKILL)
        wait_for(lambda: "another is started" in server.errors.read_text())
        assert hash_of(client) == hash_of(client, model="c") == "1" * 64
    assert server.command("models", "unload", "c").returncode == 0
    assert list(listed(server)) == ["a", "b"]
    again = server.command("models", "unload", "c")
    assert "no model 'c' here; this server has a, b" in again.stderr


def role_of(pid, server):
    """The broker is the child that the supervisor started first."""
    return "broker" if pid == min(server.pids()) else ""


def test_who_waits_for_a_lazy_model_that_is_not_there_hears_of_it(start):
    server = start("--model", "a=/a", "--model", "b=missing", "--lazy")
    with Client(server.endpoint, timeout_s=30) as client:
        began = time.monotonic()
        with pytest.raises(Exception, match="cannot be loaded: no model 'missing' anywhere"):
            client.encode("x", model="b")
        assert time.monotonic() - began < 20
        np.testing.assert_array_equal(client.encode("x"), vector_of("x"))


def test_a_model_is_unloaded_when_idle_and_comes_back(start, wait_for):
    server = start("--unload-after", "0.5")
    wait_for(lambda: not server.status()["workers"])
    assert server.status()["ready"]
    with Client(server.endpoint, timeout_s=30) as client:
        np.testing.assert_array_equal(client.encode("x"), vector_of("x"))
