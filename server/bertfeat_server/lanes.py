"""The rows that wait for one key, given out to flows and their requests in turn."""

import heapq
import itertools
from collections import Counter, OrderedDict
from collections.abc import Mapping

from bertfeat_server.jobs import Job, Part
from bertfeat_server.shares import Flow, Shares

_numbers = itertools.count()


class Lane:
    """The waiting jobs of one key: either all whole ones or none.

    The flow that has had least gives the next row, and its requests take turns within it: a request
    of few texts is soon through, however many texts the same or other callers sent before.

    Args:
        since: when it began to wait.
        shares: what each flow has had, in all lanes together.

    Attributes:
        tokens: estimated tokens that wait.
    """

    def __init__(self, since: float, shares: Shares) -> None:
        self.since = since
        self.tokens = 0
        self._shares = shares
        self._jobs: dict[Flow, OrderedDict[int, Job]] = {}
        # One entry counts for each flow; those that are outdated go, or are mended, at the top.
        self._next_up: list[tuple[float, int, Flow]] = []
        self._entries: dict[Flow, int] = {}
        self._waiting: Counter[Flow] = Counter()
        self._served_at: float | None = None

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def add(self, job: Job) -> None:
        """Let a job wait."""
        if job.flow not in self._jobs:
            present = self._served_at
            if present is None and self:
                present = self.time()
            self._jobs[job.flow] = OrderedDict()
            self._push(self._shares.enter(job.flow, present), job.flow)
        self._jobs[job.flow][job.ticket] = job
        self._wait(job.flow, job.waiting)

    def remove(self, job: Job) -> None:
        """Take out a job, if it still waits."""
        jobs = self._jobs.get(job.flow)
        if jobs is None or jobs.pop(job.ticket, None) is None:
            return
        self._wait(job.flow, -job.waiting)
        self._leave_if_empty(job.flow)

    def due(self, now: float, max_tokens: int, max_wait_s: float) -> bool:
        """Say whether a batch is worth taking: full, or waited for long enough."""
        return self.tokens >= max_tokens or now >= self.since + max_wait_s

    def time(self) -> float:
        """Return the virtual time of the flow that is next; the lane is not empty."""
        while True:
            time, number, flow = self._next_up[0]
            counts, now = self._entries.get(flow) == number, self._shares.time_of(flow)
            if counts and time >= now:
                return time
            heapq.heappop(self._next_up)
            if counts:
                self._push(now, flow)

    def take(self, max_tokens: int) -> list[Part]:
        """Take the next batch's rows, in turns, at least one and else within the budget.

        As long as no flow in it has more to come, it takes no row of one that has too much for it:
        short requests need not wait for the rest of a full batch.
        """
        starts: dict[int, tuple[Job, int]] = {}
        left = max_tokens
        self._served_at = self.time()
        while self._jobs:
            start, job = self.time(), self._next()
            cost = job.costs[job.taken]
            if starts and (cost > left or self._is_too_much(job.flow, left, starts)):
                break
            left -= cost
            starts.setdefault(job.ticket, (job, job.taken))
            self._shares.charge(job.flow, start, cost)
            self._take_row(job, cost)
        return [Part(job, start, job.taken) for job, start in starts.values()]

    def _is_too_much(self, flow: Flow, left: int, starts: Mapping[int, tuple[Job, int]]) -> bool:
        """Say whether a flow has more than fits where all others are through with this batch."""
        if self._waiting[flow] <= left:
            return False
        return not any(job.flow in self._jobs for job, _ in starts.values())

    def take_whole(self) -> Part:
        """Take all rows of the job whose turn it is."""
        start, job = self.time(), self._next()
        self._shares.charge(job.flow, start, job.waiting)
        self.remove(job)
        job.taken, job.waiting = len(job.costs), 0
        return Part(job, 0, len(job.costs))

    def _next(self) -> Job:
        """Return the job whose turn it is, once :meth:`time` has mended the top."""
        flow = self._next_up[0][2]
        return next(iter(self._jobs[flow].values()))

    def _take_row(self, job: Job, cost: int) -> None:
        jobs = self._jobs[job.flow]
        job.taken += 1
        job.waiting -= cost
        self._wait(job.flow, -cost)
        if job.taken == len(job.costs):
            del jobs[job.ticket]
        else:
            jobs.move_to_end(job.ticket)
        self._leave_if_empty(job.flow)

    def _wait(self, flow: Flow, tokens: int) -> None:
        self.tokens += tokens
        self._waiting[flow] += tokens

    def _leave_if_empty(self, flow: Flow) -> None:
        if not self._jobs[flow]:
            del self._jobs[flow], self._entries[flow], self._waiting[flow]

    def _push(self, time: float, flow: Flow) -> None:
        number = self._entries[flow] = next(_numbers)
        heapq.heappush(self._next_up, (time, number, flow))
