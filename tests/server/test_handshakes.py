"""A peer of another kind on the clients' port is told of in the log, and hurts nobody."""

import socket

import numpy as np
import pytest
import zmq
from bert_serving.client import BertClient
from fake_encoder import vector_of

from bertfeat_client import Client
from bertfeat_server.handshakes import QUIET_S, Handshakes


@pytest.fixture
def watched(zmq_context):
    router = zmq_context.socket(zmq.ROUTER)
    router.linger = 0
    handshakes = Handshakes(router)
    port = router.bind_to_random_port("tcp://127.0.0.1")
    yield handshakes, port
    router.disable_monitor()
    handshakes.socket.close(linger=0)
    router.close()


def seen(handshakes, condition, now=0.0):
    for _ in range(100):
        if handshakes.socket.poll(100):
            handshakes.read(now)
        if condition():
            return True
    return False


def test_good_connections_are_counted_and_told_of_nowhere(watched, zmq_context, caplog):
    handshakes, port = watched
    with zmq_context.socket(zmq.DEALER) as dealer:
        dealer.connect(f"tcp://127.0.0.1:{port}")
        assert seen(handshakes, lambda: handshakes._successes == 1)
        assert handshakes.connections == 1
    assert seen(handshakes, lambda: handshakes.connections == 0)
    assert caplog.text == ""


def test_an_old_client_is_told_of_once_and_then_seldom(watched, zmq_context, caplog):
    handshakes, port = watched

    def come(condition, now):
        with zmq_context.socket(zmq.PUSH) as push:
            push.linger = 0
            push.connect(f"tcp://127.0.0.1:{port}")
            assert seen(handshakes, condition, now)

    come(lambda: "--compat" in caplog.text, 0.0)
    come(lambda: handshakes._failed.count == 1, 1.0)
    assert len(caplog.records) == 1
    come(lambda: len(caplog.records) == 2, QUIET_S + 1)
    assert seen(handshakes, lambda: handshakes.connections == 0, QUIET_S + 2)


def test_old_clients_and_browsers_on_the_wrong_port_leave_a_hint(start, wait_for):
    server = start("--port", "0")
    port = int(server.endpoint.rsplit(":", 1)[1])
    old = BertClient(port=port, port_out=port, ignore_all_checks=True, timeout=500)
    with pytest.raises(TimeoutError):
        old.encode(["a"])
    old.close()
    with socket.create_connection(("127.0.0.1", port)) as browser:
        browser.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_for(lambda: "--compat" in server.errors.read_text())
    with Client(server.endpoint, timeout_s=20) as client:
        np.testing.assert_array_equal(client.encode("a"), vector_of("a"))
