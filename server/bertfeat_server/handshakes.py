"""Who connects to the clients' port and does not get through the handshake.

libzmq drops such a peer without a word, and it may wait for ever: the log says what it may be.
"""

import logging
from typing import Any

import zmq
from zmq.utils.monitor import parse_monitor_message

from bertfeat_server.logs import Seldom

EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
QUIET_S = 60.0
"""Time between two log lines, however many come."""
HINT = (
    "%d connection(s) to %s ended before the handshake: a bert-as-service client (--compat serves "
    "those on ports of their own), HTTP (--http-port), a client without the right CURVE key, or "
    "something else"
)
logger = logging.getLogger(__name__)


class Handshakes:
    """Watches a socket that is not bound yet.

    Attributes:
        socket: readable when something happened.
        connections: peers that are connected.
    """

    def __init__(self, watched: "zmq.Socket[bytes]") -> None:
        self.connections = 0
        self.socket: zmq.Socket[bytes] = watched.get_monitor_socket(EVENTS)
        self.socket.rcvhwm = 0
        self._successes = 0
        self._begun: dict[int, int] = {}
        self._failed = Seldom(QUIET_S)

    def read(self, now: float) -> None:
        """Take in what happened, and tell of failures from time to time."""
        endpoint = ""
        while int(self.socket.get(zmq.EVENTS)) & zmq.POLLIN:
            event: Any = parse_monitor_message(self.socket.recv_multipart())
            endpoint = event["endpoint"].decode("utf-8", "replace")
            self._note(event["event"], event["value"])
        if failed := self._failed.due(now):
            logger.warning(HINT, failed, endpoint)

    def _note(self, event: int, descriptor: int) -> None:
        """Count an event.

        A success does not say whose it is: a connection failed for sure if there was none between
        its beginning and its end.
        """
        if event == zmq.EVENT_ACCEPTED:
            self.connections += 1
            self._begun[descriptor] = self._successes
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._successes += 1
        else:
            self.connections -= 1
            self._failed.count += self._begun.pop(descriptor, -1) == self._successes
