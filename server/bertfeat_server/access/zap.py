"""Answers libzmq's questions about who may connect (ZeroMQ's RFC 27, ZAP).

It asks over a socket inside the process, for each connection and before any message of it.
"""

import logging
from collections.abc import Callable

import zmq

from bertfeat_server.logs import Seldom

ENDPOINT = "inproc://zeromq.zap.01"
VERSION = b"1.0"
DOMAIN = b"clients"
"""What libzmq calls the sockets that this is asked about."""
WELCOME, LATER, REFUSED = b"200", b"300", b"400"
"""The second lets a peer come again by itself, the third ends its attempts."""
QUIET_S = 60.0
logger = logging.getLogger(__name__)


class Zap:
    """Lets connections in, as long as there are not too many.

    Args:
        context: the context of the sockets that it is asked about; made before they listen.
        limit: connections at a time.
        knows: whether a public key of a client is known; None lets all in.

    Attributes:
        socket: readable when there is a question.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        limit: int,
        knows: Callable[[bytes], bool] | None = None,
    ) -> None:
        self._limit, self._knows, self._refused = limit, knows, Seldom(QUIET_S)
        self.socket: zmq.Socket[bytes] = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(ENDPOINT)

    def answer(self, connections: int, now: float) -> None:
        """Answer the questions at hand, now that there are so many connections."""
        while self.socket.poll(0):
            _, number, _, _, _, mechanism, *credentials = self.socket.recv_multipart()
            code = self._code(mechanism, credentials, connections, now)
            self.socket.send_multipart([VERSION, number, code, b"", b"", b""])

    def _code(
        self, mechanism: bytes, credentials: list[bytes], connections: int, now: float
    ) -> bytes:
        if mechanism == b"CURVE" and self._knows is not None and not self._knows(credentials[0]):
            return REFUSED
        if connections <= self._limit:
            return WELCOME
        self._refused.count += 1
        if self._refused.due(now):
            logger.warning(
                "%d connections, no more than %d may be (--max-connections): others wait",
                connections, self._limit,
            )  # fmt: skip
        return LATER
