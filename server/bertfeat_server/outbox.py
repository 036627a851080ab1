"""Messages that wait to be sent, each with whom it is for."""

from collections import deque
from typing import NamedTuple

from bertfeat_client.errors import ServerError, to_wire
from bertfeat_client.protocol import Message, encode_message
from bertfeat_server.replies import error_reply


class Outgoing(NamedTuple):
    """Frames for a client, or for a worker."""

    to_client: bool
    identity: bytes
    frames: list[bytes | memoryview]


class Outbox(deque[Outgoing]):
    """Messages in the order in which they are to be sent."""

    def to_client(self, identity: bytes, message: Message) -> None:
        """Put a message for a client."""
        self.append(Outgoing(True, identity, encode_message(message)))

    def to_worker(self, identity: str, message: Message) -> None:
        """Put a message for a worker."""
        self.append(Outgoing(False, identity.encode("latin-1"), encode_message(message)))

    def refuse(self, identity: bytes, name: str, error: ServerError) -> None:
        """Put a client's request's answer: that it failed, and why."""
        self.to_client(identity, error_reply(name, to_wire(error)))
