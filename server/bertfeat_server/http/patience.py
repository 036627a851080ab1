"""How long HTTP waits for those who send or read slowly: uvicorn itself waits for ever.

How long a body may take is the application's matter, and how long an idle connection is kept is
uvicorn's.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, NamedTuple

HEAD_S = 20.0
"""Time for the head of a request, from the connection or the head's first byte on."""
READ_S, LEAST_BYTES = 30.0, 65536
"""In this time so many bytes of an answer, or its rest, are to be read."""
LOOK_S = 5.0
logger = logging.getLogger(__name__)


class Wait(NamedTuple):
    """What a connection keeps the server waiting for: a head, or ``unread`` bytes to be read."""

    since: float
    unread: int


class Patience:
    """Ends the connections of a web server that keep it waiting for too long.

    Args:
        connections: uvicorn's, as they come and go.
    """

    def __init__(self, connections: Iterable[Any]) -> None:
        self._connections = connections
        self._waits: dict[Any, Wait] = {}

    async def watch(self) -> None:
        """Look from time to time, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self.look(loop.time())
            await asyncio.sleep(LOOK_S)

    def look(self, now: float) -> None:
        """End the connections that have kept the server waiting for too long by now."""
        waits = {}
        for connection in list(self._connections):
            unread = connection.transport.get_write_buffer_size()
            if not unread and not _owes_head(connection):
                continue
            wait = self._waits.get(connection)
            if wait is None or _has_moved(wait.unread, unread):
                wait = Wait(now, unread)
            waits[connection] = wait
            if now - wait.since > (READ_S if unread else HEAD_S):
                logger.warning(
                    "a connection over HTTP was ended: %s",
                    "its answer was not read" if unread else "no request came",
                )
                connection.transport.abort()
        self._waits = waits


def _owes_head(connection: Any) -> bool:
    is_between = connection.cycle is None or connection.cycle.response_complete
    return is_between and connection.timeout_keep_alive_task is None


def _has_moved(before: int, unread: int) -> bool:
    return unread > before or unread <= before - LEAST_BYTES or bool(before) != bool(unread)
