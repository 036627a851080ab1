"""One line of the log for each request: which, what for, how it ended; never its texts."""

import logging
from collections.abc import Mapping

from bertfeat_server.requests import Request

logger = logging.getLogger("bertfeat_server.requests")


def log_request(request: Request, outcome: str, timing: Mapping[str, float]) -> None:
    """Log how a request ended, if anybody wants to know.

    Args:
        request: its ids, operation and sizes are told.
        outcome: ``ok``, ``cancelled`` or the error's code.
        timing: ``queue_ms``, ``compute_ms`` and ``total_ms`` where it was computed.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    fields = {
        "request": request.id, **request.trace, "op": request.op, "model": request.model,
        "texts": len(request.costs), "tokens": sum(request.costs),
        "refused_texts": len(request.row_errors), "outcome": outcome, **timing,
    }  # fmt: skip
    told = " ".join(f"{name}={value}" for name, value in fields.items())
    logger.info("%s", told, extra={"fields": fields})
