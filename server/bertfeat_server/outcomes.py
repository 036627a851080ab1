"""What becomes of a batch that a worker had: its rows delivered, refused or queued again."""

import logging
from collections.abc import Mapping
from typing import Any

from bertfeat_client import errors
from bertfeat_client.protocol import Message
from bertfeat_server.jobs import Batch
from bertfeat_server.ledger import Ledger
from bertfeat_server.replies import cut, repeated
from bertfeat_server.scheduler import Scheduler
from bertfeat_server.tally import Tally

LOST = (
    "its worker died or hung, more than once while it had only this text; the server's log has "
    "more, other texts are served"
)
NAMED = 8
"""Requests of a lost batch that a line of the log names; its fields have them all."""
logger = logging.getLogger(__name__)


class Outcomes:
    """Ends batches.

    Args:
        scheduler: knows which run, and which are to run again.
        ledger: holds the answers that they belong to.
        tally: counts them.
    """

    def __init__(self, scheduler: Scheduler, ledger: Ledger, tally: Tally) -> None:
        self._scheduler, self._ledger, self._tally = scheduler, ledger, tally

    def computed(self, batch: Batch, result: Message, now: float) -> None:
        """Deliver a batch's rows; a result that makes no sense is as good as a lost worker."""
        try:
            if batch.places is not None:
                result = repeated(result, batch.places)
            pieces = cut(result, [part.stop - part.start for part in batch.parts])
            self._tally.work_done(result.header.get("work") or {})
        except (errors.MalformedMessage, ValueError, TypeError, AttributeError) as error:
            logger.error("worker %s answered rubbish: %s", batch.worker, error)
            self._lose(batch.number, errors.InternalError("the worker's answer made no sense"), now)
            return
        self._scheduler.complete(batch.number, now)
        self._tally.batch_computed(batch, now, self._scheduler.max_batch_tokens)
        for part, piece in zip(batch.parts, pieces, strict=True):
            self._ledger.deliver(part, piece, now)

    def failed(self, batch: Batch, wire_error: Mapping[str, Any], now: float) -> None:
        """End a batch that its worker refused: all have the same options, so all deserve it."""
        error = errors.from_wire(wire_error)
        if isinstance(error, errors.InternalError):
            self._lose(batch.number, error, now)
            return
        self._scheduler.complete(batch.number, now)
        for part in batch.parts:
            self._scheduler.cancel(part.job.ticket)
            self._ledger.fail(part.job.ticket, error)

    def lost(self, number: int, now: float) -> None:
        """Queue a batch again whose worker is gone; what may not run again is refused."""
        self._lose(number, errors.InternalError(LOST), now)

    def _lose(self, number: int, error: errors.ServerError, now: float) -> None:
        self._tally.lost += 1
        batch = self._scheduler.in_flight.get(number)
        names = self._ledger.names(batch) if batch is not None else []
        told = ", ".join(names[:NAMED]) or "none"
        if len(names) > NAMED:
            told += f" and {len(names) - NAMED} more"
        logger.warning(
            "batch %d is lost; its requests: %s", number, told,
            extra={"fields": {"batch": number, "requests": names}},
        )  # fmt: skip
        for part in self._scheduler.lose(number):
            self._ledger.refuse(part, error, now)
