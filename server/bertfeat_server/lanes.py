"""The rows that wait for one key, given out to callers and their requests in turn."""

from collections import OrderedDict

from bertfeat_server.jobs import Job, Key, Part


class Lane:
    """The waiting jobs of one key.

    Every caller gets one row per turn, and a caller's requests take turns within it: a request of
    few texts is soon through, however many texts others sent before.

    Attributes:
        tokens: estimated tokens that wait.
        since: when the lane last began to wait.
    """

    def __init__(self, key: Key) -> None:
        self.key = key
        self.tokens = 0
        self.since = 0.0
        self._turns: OrderedDict[bytes, OrderedDict[int, Job]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._turns)

    def add(self, job: Job, now: float) -> None:
        """Let a job wait."""
        if not self:
            self.since = now
        self._turns.setdefault(job.caller, OrderedDict())[job.ticket] = job
        self.tokens += job.waiting

    def remove(self, job: Job) -> None:
        """Take out a job, if it still waits."""
        jobs = self._turns.get(job.caller)
        if jobs is None or jobs.pop(job.ticket, None) is None:
            return
        self.tokens -= job.waiting
        if not jobs:
            del self._turns[job.caller]

    def due(self, now: float, max_tokens: int, max_wait_s: float) -> bool:
        """Say whether a batch is worth taking: full, waited for long enough, or never mergeable."""
        return bool(self) and (
            self.tokens >= max_tokens or now >= self.since + max_wait_s or self._next().whole
        )

    def take(self, max_tokens: int) -> list[Part]:
        """Take the next batch's rows, in turns, at least one and else within the budget."""
        if self._next().whole:
            return [self._take_whole(self._next())]
        starts: dict[int, tuple[Job, int]] = {}
        left = max_tokens
        while self and not (job := self._next()).whole:
            cost = job.costs[job.taken]
            if cost > left and starts:
                break
            left -= cost
            starts.setdefault(job.ticket, (job, job.taken))
            self._take_row(job, cost)
        return [Part(job, start, job.taken) for job, start in starts.values()]

    def _next(self) -> Job:
        jobs = next(iter(self._turns.values()))
        return next(iter(jobs.values()))

    def _take_row(self, job: Job, cost: int) -> None:
        jobs = self._turns[job.caller]
        job.taken += 1
        job.waiting -= cost
        self.tokens -= cost
        if job.taken == len(job.costs):
            del jobs[job.ticket]
        else:
            jobs.move_to_end(job.ticket)
        if jobs:
            self._turns.move_to_end(job.caller)
        else:
            del self._turns[job.caller]

    def _take_whole(self, job: Job) -> Part:
        self.remove(job)
        job.taken, job.waiting = len(job.costs), 0
        return Part(job, 0, len(job.costs))
