"""What the broker does with each message: pure state in, addressed messages out.

It joins the scheduler, the roster of workers and the ledger of open requests.  Time is an argument
and nothing here touches a socket: whoever holds one passes in what arrived, calls :meth:`tick` and
sends what lies in ``outbox`` and in ``control.events``.
"""

import logging
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

from bertfeat_client import errors
from bertfeat_client.protocol import Message, decode_body, decode_header, decode_message
from bertfeat_server.access.admission import Admission, Caller, check_texts
from bertfeat_server.backend import INDEX_OPS
from bertfeat_server.catalogue import Catalogue
from bertfeat_server.config import ServerConfig
from bertfeat_server.control import Asked, Control
from bertfeat_server.jobs import Batch
from bertfeat_server.ledger import Ledger
from bertfeat_server.outbox import Outbox
from bertfeat_server.outcomes import Outcomes
from bertfeat_server.requests import check_size, parse, request_id
from bertfeat_server.roster import Roster, Worker
from bertfeat_server.scheduler import Scheduler
from bertfeat_server.tally import Tally
from bertfeat_server.traces import Traces
from bertfeat_server.wire_errors import as_answer

LATE = "the request's time was over before it was computed"
STOPPED = "the server stopped before that"
WATCH_S = 1.0
logger = logging.getLogger(__name__)


class Dispatcher:
    """The broker's mind.

    Args:
        config: the server's settings.
        admission: says who may ask for what.
        backend: the endpoint that further workers are told.
        now: the present, in seconds of a clock that never goes back.

    Attributes:
        outbox: messages to send, in order.
        config: the settings as they are now.
    """

    def __init__(
        self, config: ServerConfig, admission: Admission, backend: str, now: float
    ) -> None:
        self.config, self.admission = config, admission
        self.outbox = Outbox()
        # Another number for each broker's life: a worker may still answer the one before.
        first = secrets.randbits(48)
        self.scheduler = Scheduler(*config.queue_limits, first)
        self.roster = Roster()
        self.tally = Tally()
        self.ledger = Ledger(self.outbox.to_client, self.tally, Traces.to(config.otlp_endpoint))
        self.control = Control(admission, backend, now)
        self.catalogue = Catalogue(
            config, self.roster, self.ledger, self.control.events, self._refuse, now
        )
        self.outcomes = Outcomes(self.scheduler, self.ledger, self.tally)
        self._drain_until: float | None = None
        self._watch_at = now

    @property
    def draining(self) -> bool:
        """Whether the server was told to stop."""
        return self._drain_until is not None

    @property
    def drained(self) -> bool:
        """Whether the server was told to stop and everybody has an answer."""
        return self.draining and not self.ledger

    def from_client(self, identity: bytes, frames: Sequence[Any], now: float) -> None:
        """Take a client's message; whatever is wrong with it becomes the answer."""
        name = ""
        try:
            check_size(frames, self.config)
            header = decode_header(frames[0])
            name = request_id(header)
            if header.get("op") == "cancel":
                if (ticket := self.ledger.find(identity, name)) is not None:
                    self._forget(ticket)
                return
            caller = self.admission.admit(identity, header, now)
            self._serve(identity, decode_body(header, frames), caller, now)
        except Exception as error:
            self._refuse_at_once(identity, name, as_answer(error, name))

    def from_worker(self, identity: str, frames: Sequence[Any], now: float) -> None:
        """Take a message from behind; what is no message is logged and forgotten."""
        try:
            message = decode_message(frames)
        except errors.ProtocolError as error:
            logger.warning("worker %s sent no message: %s", identity, error)
            return
        op = message.header.get("op")
        if op == "hello":
            self._hello(identity, message, now)
        elif not self.roster.seen(identity, now):
            self.outbox.to_worker(identity, Message({"op": "who"}))
        elif op == "heartbeat":
            self.outbox.to_worker(identity, Message({"op": "heartbeat"}))
        elif op in ("result", "failed"):
            self._end_batch(identity, message, now)
        elif op == "bye":
            self._bye(identity)

    def worker_gone(self, identity: str, reason: str, now: float) -> None:
        """Strike off a process that was lost and queue its batch again."""
        worker = self.roster.gone(identity)
        if worker is None:
            return
        logger.warning("worker %s (pid %d) %s", identity, worker.pid, reason)
        if worker.batch is not None:
            self.outcomes.lost(worker.batch, now)

    def caller_gone(self, identity: bytes) -> None:
        """Forget every request of a client that cannot be reached any more."""
        for ticket in self.ledger.of(identity):
            self._forget(ticket)

    def drain(self, now: float) -> None:
        """Take no more requests and end with those at hand, within the configured time.

        A request that none of the processes at hand serves is refused.
        """
        if self._drain_until is None:
            self._drain_until = now + self.config.drain_timeout_s

    def reload(self, config: ServerConfig) -> None:
        """Go by other settings from now on, also for what waits.

        Raises:
            ConfigError: the key file cannot be used; the other settings hold.
        """
        self.config = config
        self.scheduler.limit(*config.queue_limits)
        self.admission.read_keys(config)

    def dismiss(self) -> None:
        """Refuse whatever has no answer yet and send every worker home."""
        self._refuse(self.ledger, errors.ShuttingDown(STOPPED))
        for identity in self.roster.workers:
            self.outbox.to_worker(identity, Message({"op": "drain"}))

    def tick(self, now: float) -> None:
        """Do what time brings, and give every idle worker its next batch."""
        for job in self.scheduler.expire(now):
            self.ledger.fail(job.ticket, errors.DeadlineExceeded(LATE))
        if now >= self._watch_at:
            self._watch_at = now + WATCH_S
            self._watch(now)
        take, idle = self.scheduler.take, self.roster.idle_for
        for worker in self.roster.idle():
            if batch := take(worker.identity, worker.serves, now, idle):
                self._hand_out(worker, batch, now)

    def next_event(self, now: float) -> float:
        """Return the time at which :meth:`tick` has something to do, if no message comes."""
        return min(self.scheduler.next_event(now), self._watch_at)

    def _refuse_at_once(self, identity: bytes, name: str, error: errors.ServerError) -> None:
        self.tally.errors[error.code] += 1
        self.outbox.refuse(identity, name, error)

    def _serve(self, identity: bytes, message: Message, caller: Caller, now: float) -> None:
        check_texts(caller, len(message.items or ()))
        if self.control.answers(message.header.get("op")):
            report = self.control.answer(Asked(message, caller, self, now))
            reply = {"id": message.header["id"], "status": "ok", "info": report}
            self.outbox.to_client(identity, Message(reply))
        else:
            self._accept(identity, message, caller, now)

    def _accept(self, identity: bytes, message: Message, caller: Caller, now: float) -> None:
        # From inside comes what the index process needs for requests that were let in before.
        if self.draining and not caller.inside:
            raise errors.ShuttingDown("the server is stopping and takes no new requests")
        labels, lengths = self.catalogue.labels, self.roster.max_seq_len
        request = parse(message, self.config, lengths, labels)
        if request.op in INDEX_OPS and not (self.config.index or self.roster.offers(request.op)):
            raise errors.NotFound("this server has no index; start it with --index FOLDER")
        job = self.ledger.open(identity, request, caller.share, now)
        if job is None:
            return
        self.catalogue.use(request.model, now)
        try:
            self.scheduler.add(job, now, bounded=not caller.inside)
        except errors.Overloaded as error:
            self.ledger.fail(job.ticket, error)

    def _hand_out(self, worker: Worker, batch: Batch, now: float) -> None:
        until = now + min(self.scheduler.patience_s(batch), self.config.worker_timeout_s)
        self.roster.busy(worker.identity, batch.number, until)
        self.outbox.to_worker(worker.identity, self.ledger.message(batch, now))

    def _end_batch(self, identity: str, message: Message, now: float) -> None:
        number = message.header.get("id")
        batch = self.scheduler.in_flight.get(number) if isinstance(number, int) else None
        if batch is None or batch.worker != identity:
            return
        self.roster.free(identity)
        if message.header["op"] == "failed":
            self.outcomes.failed(batch, message.header.get("error") or {}, now)
        else:
            self.outcomes.computed(batch, message, now)

    def _forget(self, ticket: int) -> None:
        self.scheduler.cancel(ticket)
        self.ledger.drop(ticket)

    def _hello(self, identity: str, message: Message, now: float) -> None:
        if self.admission.is_inside(message.header):
            self.roster.hello(identity, message.header, now)
        else:
            logger.warning("a process without this server's token asked to be a worker")

    def _bye(self, identity: str) -> None:
        worker = self.roster.gone(identity)
        if worker is not None and worker.batch is not None:
            self.scheduler.give_back(worker.batch)

    def _watch(self, now: float) -> None:
        for worker, reason in list(self.roster.silent(now)):
            self.control.events.append({"event": "lost", "identity": worker.identity})
            self.worker_gone(worker.identity, reason, now)
        for worker in self.catalogue.retire(now, self.config.unload_after_s):
            self.outbox.to_worker(worker.identity, Message({"op": "drain"}))
            self._bye(worker.identity)
        if self._drain_until is not None:
            # no process takes the place of one that is lost now
            over, serves = now >= self._drain_until, self.roster.serves
            late = [t for t in self.ledger if over or not serves(self.ledger.key(t))]
            self._refuse(late, errors.ShuttingDown(STOPPED))

    def _refuse(self, tickets: Iterable[int], error: errors.ServerError) -> None:
        """Answer requests that the server does not get to."""
        for ticket in tickets:
            self.scheduler.cancel(ticket)
            self.ledger.fail(ticket, error)
