"""What a child process of the client's tests runs; it is imported there by name."""

import traceback
from typing import Any


def encode_in_child(client: Any, connection: Any) -> None:
    """Send back what the inherited client encodes, or why it could not."""
    try:
        connection.send(client.encode(["from the child"] * 9))
        client.close()
    except BaseException:
        connection.send(traceback.format_exc())
