"""Which rows of which requests a worker computes next: pure state, time is an argument.

It knows no sockets, no clock, and of texts only which are equal.  Rows of many requests with one
key travel together within a token budget; callers share the tokens by their priorities; what nobody
waits for any more is never taken, and what a worker has already is waited for.  A batch that was
lost with its worker is tried once more as it was, then each of its rows alone; only a row that was
alone at two losses is refused.
"""

import itertools
from collections import OrderedDict, deque
from collections.abc import Callable

from bertfeat_client.errors import Overloaded
from bertfeat_server.deadlines import Deadlines
from bertfeat_server.jobs import Batch, Job, Key, Part
from bertfeat_server.lanes import Lane
from bertfeat_server.shares import Shares

MAX_LOSSES = 2
FIRST_RATE = 2000.0
"""Tokens per second taken for granted until batches have been measured."""
SLOWEST_S, SLOWER = 30.0, 20.0
"""A batch may take so long and so many times what is expected; first ones are also compiled."""
RETRY_AFTER_S = (0.05, 60.0)
LEAST_SHARE = 128
"""Tokens that are not divided among idle workers."""


class Scheduler:
    """The queue of a server.

    Args:
        max_batch_tokens: estimated tokens of a batch, unless a single row has more.
        max_queue_tokens: estimated tokens that may wait; an empty queue takes any request.
        max_wait_s: how long a batch that is not full waits for more rows.
        first: number of the first batch.
    """

    def __init__(
        self, max_batch_tokens: int, max_queue_tokens: int, max_wait_s: float = 0.0, first: int = 1
    ) -> None:
        self.limit(max_batch_tokens, max_queue_tokens, max_wait_s)
        self.queued_tokens = 0
        self.jobs: dict[int, Job] = {}
        self.in_flight: dict[int, Batch] = {}
        self._lanes: OrderedDict[tuple[Key, bool], Lane] = OrderedDict()
        self._shares = Shares()
        self._again: deque[Batch] = deque()
        self._deadlines = Deadlines(self.jobs)
        self._numbers = itertools.count(first)
        self._rate = FIRST_RATE

    def limit(self, max_batch_tokens: int, max_queue_tokens: int, max_wait_s: float) -> None:
        """Go by other limits from now on, also for what waits; see the class."""
        self.max_batch_tokens, self.max_queue_tokens = max_batch_tokens, max_queue_tokens
        self.max_wait_s = max_wait_s

    def add(self, job: Job, now: float, bounded: bool = True) -> None:
        """Queue a job, or let it wait for a batch that computes the same already.

        Args:
            job: what to compute.
            now: the present.
            bounded: whether the bound of the queue holds for it.

        Raises:
            Overloaded: the queue is full; the error says when to come back.
        """
        if self._join(job):
            return
        full = self.queued_tokens + job.waiting > self.max_queue_tokens
        if bounded and full and self.queued_tokens:
            raise Overloaded(
                f"{self.queued_tokens} tokens wait already and this request adds {job.waiting}; "
                f"the server queues at most {self.max_queue_tokens}",
                retry_after_s=self.retry_after_s(),
            )
        self.jobs[job.ticket] = job
        self.queued_tokens += job.waiting
        self._deadlines.note(job)
        lane = self._lanes.get((job.key, job.whole))
        if lane is None:
            lane = self._lanes[job.key, job.whole] = Lane(now, self._shares)
        lane.add(job)

    def _join(self, job: Job) -> bool:
        """Let a job of one row have that of a batch that is running, if one is equal."""
        for batch in self.in_flight.values():
            if job.text in batch.texts and batch.key == job.key:
                batch.join(job)
                self.jobs[job.ticket] = job
                self._deadlines.note(job)
                return True
        return False

    def retry_after_s(self) -> float:
        """Estimate how long the waiting tokens will take."""
        workers = max(1, len({batch.worker for batch in self.in_flight.values()}))
        low, high = RETRY_AFTER_S
        return round(min(high, max(low, self.queued_tokens / (self._rate * workers))), 3)

    def patience_s(self, batch: Batch) -> float:
        """Return how long a worker may take for a batch before it is taken for lost."""
        return SLOWEST_S + SLOWER * self.expected_s(batch)

    def expected_s(self, batch: Batch) -> float:
        """Estimate how long a worker takes for a batch."""
        return batch.tokens / self._rate

    def cancel(self, ticket: int) -> bool:
        """Forget a job: its waiting rows are never taken, its running rows not given back."""
        job = self.jobs.pop(ticket, None)
        if job is None:
            return False
        self.queued_tokens -= job.waiting
        self._remove(job)
        return True

    def expire(self, now: float) -> list[Job]:
        """Forget the jobs whose deadline has passed and return them."""
        late = list(self._deadlines.passed(now))
        for job in late:
            self.cancel(job.ticket)
        return late

    def take(
        self, worker: str, serves: Callable[[Key], bool], now: float,
        idle: Callable[[Key], int] = lambda key: 1,
    ) -> Batch | None:  # fmt: skip
        """Give a worker its next batch, or None if nothing that it serves is due.

        Of what would fill no batch for each of the workers that are idle for its key, it gets its
        part, so that one request is computed by all of them.
        """
        batch = self._take_again(serves) or self._take_waiting(serves, now, idle)
        if batch is not None:
            batch.worker, batch.taken_at = worker, now
            self.in_flight[batch.number] = batch
        return batch

    def complete(self, number: int, now: float) -> Batch | None:
        """End a batch; its parts are those that somebody still waits for.

        Returns:
            The batch, or None if no such batch is running (it was given to another worker).
        """
        batch = self.in_flight.pop(number, None)
        if batch is None:
            return None
        seconds = max(1e-4, now - batch.taken_at)
        self._rate += 0.2 * (batch.tokens / seconds - self._rate)
        for part in batch.parts:
            self._close(part)
        return batch

    def lose(self, number: int) -> list[Part]:
        """Queue a lost batch again as the rules say.

        Returns:
            The parts that are refused for good.
        """
        batch = self.in_flight.pop(number, None)
        if batch is None:
            return []
        batch.losses += 1
        batch.keep(self.jobs)
        refused = [part for part in batch.parts if not part.job.retry]
        parts = [part for part in batch.parts if part.job.retry]
        if batch.losses < MAX_LOSSES:
            self._retry(batch.key, parts, batch.losses)
        elif batch.alone:
            refused += parts
        else:
            for part in parts:
                for row in range(part.start, part.stop):
                    self._retry(batch.key, [Part(part.job, row, row + 1)], 0)
        for part in refused:
            self._close(part)
        return refused

    def give_back(self, number: int) -> None:
        """Queue a batch again that a worker left behind without fault of the batch."""
        batch = self.in_flight.pop(number, None)
        if batch is not None:
            self._retry(batch.key, batch.parts, batch.losses)

    def next_event(self, now: float) -> float:
        """Return the time of the next deadline or of the next batch that is due by waiting."""
        times = [lane.since + self.max_wait_s for lane in self._lanes.values() if lane]
        times = [time for time in times if time > now]
        return min([*times, self._deadlines.next])

    def _retry(self, key: Key, parts: list[Part], losses: int) -> None:
        if parts:
            tokens = sum(part.tokens for part in parts)
            self._again.append(Batch(next(self._numbers), key, parts, tokens, losses))

    def _take_again(self, serves: Callable[[Key], bool]) -> Batch | None:
        for _ in range(len(self._again)):
            batch = self._again.popleft()
            batch.keep(self.jobs)
            if batch.parts and serves(batch.key):
                return batch
            if batch.parts:
                self._again.append(batch)
        return None

    def _take_waiting(
        self, serves: Callable[[Key], bool], now: float, idle: Callable[[Key], int]
    ) -> Batch | None:
        due = [
            (lane.time(), number, kind)
            for number, (kind, lane) in enumerate(self._lanes.items())
            if serves(kind[0])
            and (kind[1] or lane.due(now, self.max_batch_tokens, self.max_wait_s))
        ]
        if not due:
            return None
        present, _, (key, whole) = min(due)
        self._shares.advance(present)
        lane = self._lanes[key, whole]
        before = lane.tokens
        share = max(LEAST_SHARE, -(-before // max(1, idle(key))))
        most = min(self.max_batch_tokens, share)
        parts = [lane.take_whole()] if whole else lane.take(most)
        taken = before - lane.tokens
        self.queued_tokens -= taken
        self._lanes.move_to_end((key, whole))
        self._drop_if_empty(key, whole)
        return Batch(next(self._numbers), key, parts, taken, is_open=not whole)

    def _drop_if_empty(self, key: Key, whole: bool) -> None:
        if not self._lanes[key, whole]:
            del self._lanes[key, whole]

    def _remove(self, job: Job) -> None:
        lane = self._lanes.get((job.key, job.whole))
        if lane is not None:
            lane.remove(job)
            self._drop_if_empty(job.key, job.whole)

    def _close(self, part: Part) -> None:
        job = part.job
        job.open -= max(1, part.stop - part.start)
        if job.open <= 0:
            self.jobs.pop(job.ticket, None)
