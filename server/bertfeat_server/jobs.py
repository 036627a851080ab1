"""What the scheduler handles: jobs (requests as rows with costs) and batches of their parts."""

from collections.abc import Container, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bertfeat_server.shares import Flow


class Key(NamedTuple):
    """What rows must share to be computed together.

    Attributes:
        model: label of the model's workers; empty for the operations of the index.
        op: the operation.
        options: its options as JSON with sorted keys.
    """

    model: str
    op: str
    options: str


@dataclass(eq=False, slots=True)
class Job:
    """One request as the scheduler sees it.

    Attributes:
        ticket: its number.
        flow: whose request it is; flows take turns.
        key: what its rows are merged by.
        costs: estimated tokens of each row.
        deadline: time after which nobody waits for it.
        whole: goes to a worker alone and undivided.
        retry: may run again after a worker was lost with it.
        text: what tells its only row from others; None if it has none or several, or is whole.
        taken: rows from the front that batches have taken.
        open: rows that are neither completed nor refused.
        waiting: estimated tokens of the rows not taken.
    """

    ticket: int
    flow: Flow
    key: Key
    costs: Sequence[int]
    deadline: float
    whole: bool = False
    retry: bool = True
    text: Hashable = None
    taken: int = 0
    open: int = field(init=False)
    waiting: int = field(init=False)

    def __post_init__(self) -> None:
        self.open = max(1, len(self.costs))
        self.waiting = max(1, sum(self.costs))


def identity(row: Any) -> Hashable:
    """Return what is equal for equal rows alone."""
    return row if isinstance(row, str) else (repr(row),)


class Part(NamedTuple):
    """Consecutive rows ``start`` to ``stop`` of a job."""

    job: Job
    start: int
    stop: int

    @property
    def tokens(self) -> int:
        """Estimated tokens of these rows."""
        return max(1, sum(self.job.costs[self.start : self.stop]))


@dataclass(eq=False, slots=True)
class Batch:
    """Parts of jobs of one key on their way through a worker.

    Attributes:
        number: its id on the wire; a retried batch gets a new one.
        key: what its rows share.
        parts: in the order of its rows.
        tokens: estimated tokens of all rows.
        losses: how often these very rows, as a batch, were lost with a worker.
        places: where each row is among those that the worker was sent, if some were equal.
        texts: the place of each of these, by what tells it from others; empty where no later row
            may join them, as in a batch that was lost before: what is alone has to stay alone.
        is_open: whether later rows may join once the texts are known.
        worker: who has it.
        taken_at: when the worker got it.
    """

    number: int
    key: Key
    parts: list[Part]
    tokens: int
    losses: int = 0
    places: list[int] | None = None
    texts: Mapping[Hashable, int] = field(default_factory=dict)
    is_open: bool = False
    worker: str = ""
    taken_at: float = 0.0

    @property
    def rows(self) -> int:
        """Rows of all parts together."""
        return sum(part.stop - part.start for part in self.parts)

    @property
    def alone(self) -> bool:
        """Whether nothing in it could be tried in a smaller batch."""
        return len(self.parts) == 1 and (self.parts[0].job.whole or self.rows == 1)

    def join(self, job: Job) -> None:
        """Let a job have the row that is equal to its own."""
        job.taken, job.waiting = 1, 0
        self.places = [*(self.places or range(self.rows)), self.texts[job.text]]
        self.parts.append(Part(job, 0, 1))

    def keep(self, tickets: Container[int]) -> None:
        """Drop the parts of all other jobs; what is alone only by that was never lost alone."""
        was_alone = self.alone
        self.parts = [part for part in self.parts if part.job.ticket in tickets]
        self.tokens = sum(part.tokens for part in self.parts)
        if self.alone and not was_alone:
            self.losses = 0
