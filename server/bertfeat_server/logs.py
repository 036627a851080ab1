"""How a server's processes log: lines for people or JSON objects for machines, on stderr."""

import json
import logging
import sys
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from bertfeat_server.config import ServerConfig
from bertfeat_server.settings.logging import Logging

LINE = "%(asctime)s %(levelname)s %(name)s[%(process)d]: %(message)s%(busy)s"
BUSY_WITH: ContextVar[Mapping[str, Any] | None] = ContextVar("busy_with", default=None)
"""What every line that is logged meanwhile tells: a worker's batch and its requests."""


class LineFormatter(logging.Formatter):
    """A line for a person."""

    def format(self, record: logging.LogRecord) -> str:
        """Turn a record into its line."""
        busy = (BUSY_WITH.get() or {}).items()
        record.busy = "".join(f" {name}={value}" for name, value in busy)
        return super().format(record)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, pid, message and traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Turn a record into its line."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        fields |= BUSY_WITH.get() or {}
        fields |= getattr(record, "fields", {})
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


class Seldom:
    """Counts what keeps happening, so that the log tells it once in a while and not each time.

    Args:
        every_s: time between two lines.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s, self._told_at, self.count = every_s, -every_s, 0

    def due(self, now: float) -> int:
        """Return how often it happened and count anew, if it is to be told now; else 0."""
        if not self.count or now < self._told_at + self._every_s:
            return 0
        count, self.count, self._told_at = self.count, 0, now
        return count


def reload_log(command: Mapping[str, Any]) -> None:
    """Log in another way when a supervisor says so."""
    if command["command"] == "reload":
        set_up(ServerConfig.from_dict(command["config"]))


def set_up(told: Logging) -> None:
    """Send this process's log, warnings included, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if told.log_json else LineFormatter(LINE))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("bertfeat_server").setLevel(told.log_level.upper())
    requests = logging.getLogger("bertfeat_server.requests")
    requests.setLevel("INFO" if told.log_requests else "WARNING")
    logging.captureWarnings(True)
