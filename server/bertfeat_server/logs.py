"""How a server's processes log: lines for people or JSON objects for machines, on stderr."""

import json
import logging
import sys
import time
from collections.abc import Mapping
from typing import Any


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
        fields |= getattr(record, "fields", {})
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def reload_log(command: Mapping[str, Any]) -> None:
    """Log in another way when a supervisor says so."""
    if command["command"] == "reload":
        told = command["config"]
        set_up(told["log_level"], told["log_json"], told["log_requests"])


def set_up(level: str, as_json: bool, requests: bool = False) -> None:
    """Send this process's log, warnings included, to stderr.

    Args:
        level: of what the server says of itself.
        as_json: one JSON object a line.
        requests: a line for each request too.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter()
        if as_json
        else logging.Formatter("%(asctime)s %(levelname)s %(name)s[%(process)d]: %(message)s")
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("bertfeat_server").setLevel(level.upper())
    logging.getLogger("bertfeat_server.requests").setLevel("INFO" if requests else "WARNING")
    logging.captureWarnings(True)
