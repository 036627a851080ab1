"""The rows that wait for one key, given out to callers and their requests in turn."""

from collections import OrderedDict

from bertfeat_server.jobs import Job, Part


class Lane:
    """The waiting jobs of one key: either all whole ones or none.

    Every caller gets one row per turn, and a caller's requests take turns within it: a request of
    few texts is soon through, however many texts others sent before.

    Args:
        since: when it began to wait.

    Attributes:
        tokens: estimated tokens that wait.
    """

    def __init__(self, since: float) -> None:
        self.since = since
        self.tokens = 0
        self._turns: OrderedDict[bytes, OrderedDict[int, Job]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._turns)

    def add(self, job: Job) -> None:
        """Let a job wait."""
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
        """Say whether a batch is worth taking: full, or waited for long enough."""
        return self.tokens >= max_tokens or now >= self.since + max_wait_s

    def take(self, max_tokens: int) -> list[Part]:
        """Take the next batch's rows, in turns, at least one and else within the budget."""
        starts: dict[int, tuple[Job, int]] = {}
        left = max_tokens
        while self._turns:
            job = self._next()
            cost = job.costs[job.taken]
            if cost > left and starts:
                break
            left -= cost
            starts.setdefault(job.ticket, (job, job.taken))
            self._take_row(job, cost)
        return [Part(job, start, job.taken) for job, start in starts.values()]

    def take_whole(self) -> Part:
        """Take all rows of the job whose turn it is."""
        job = self._next()
        self.remove(job)
        job.taken, job.waiting = len(job.costs), 0
        return Part(job, 0, len(job.costs))

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
