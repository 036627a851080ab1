"""The broker's loop on real sockets, in this process."""

from types import SimpleNamespace

import pytest
import zmq

from bertfeat_client.protocol import Message, decode_message, encode_message
from bertfeat_server.access.admission import Admission
from bertfeat_server.broker import Broker
from bertfeat_server.config import ServerConfig


@pytest.fixture
def parent():
    """A supervisor that is told nothing."""
    return SimpleNamespace(tell=lambda **event: None)


def test_all_who_asked_before_the_end_are_told_that_the_server_stops(
    zmq_context, tmp_path, parent, monkeypatch, wait_for
):
    monkeypatch.setattr("bertfeat_server.broker.BURST", 1)
    endpoint, names = f"ipc://{tmp_path}/front", ["1", "2", "3"]
    with zmq_context.socket(zmq.DEALER) as dealer:
        # sent before there is a connection, they arrive together
        dealer.connect(endpoint)
        for name in names:
            dealer.send_multipart(encode_message(Message({"op": "encode", "id": name}, ["a"])))
        broker = Broker(ServerConfig(), Admission("token"), endpoint, f"ipc://{tmp_path}/back")

        def arrived():
            broker._zap.answer(0, 0.0)
            return broker._clients.poll(10)

        wait_for(arrived)
        broker.command({"command": "drain"})
        broker.run(parent)
        replies = []
        while len(replies) < 3 and dealer.poll(1000):
            replies.append(decode_message(dealer.recv_multipart()).header)
    assert [(one["id"], one["error"]["code"]) for one in replies] == [
        (name, "shutting_down") for name in names
    ]
