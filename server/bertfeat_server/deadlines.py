"""Which job is late, and which is next: a heap that jobs need not be taken out of."""

import heapq
import math
from collections.abc import Iterator, Mapping

from bertfeat_server.jobs import Job

SPARE = 1024
"""Deadlines of finished jobs that may lie about before they are swept out."""


class Deadlines:
    """The deadlines of jobs.

    Args:
        jobs: ticket to job, of those that are not finished; others count no more.
    """

    def __init__(self, jobs: Mapping[int, Job]) -> None:
        self._jobs = jobs
        self._heap: list[tuple[float, int]] = []

    def note(self, job: Job) -> None:
        """Watch a job, which is among those that are not finished."""
        heapq.heappush(self._heap, (job.deadline, job.ticket))
        if len(self._heap) > 2 * len(self._jobs) + SPARE:
            self._heap = [(job.deadline, ticket) for ticket, job in self._jobs.items()]
            heapq.heapify(self._heap)

    def passed(self, now: float) -> Iterator[Job]:
        """Give each unfinished job whose deadline has passed, once."""
        while self.next <= now:
            yield self._jobs[heapq.heappop(self._heap)[1]]

    @property
    def next(self) -> float:
        """The next deadline of an unfinished job, infinity if there is none."""
        while self._heap and self._heap[0][1] not in self._jobs:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf
