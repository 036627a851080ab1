"""Whatever happens in whatever order: nothing is lost, nothing comes twice, the budget holds."""

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from bertfeat_client.errors import Overloaded
from bertfeat_server.jobs import Job, Key
from bertfeat_server.scheduler import Scheduler
from bertfeat_server.shares import PRIORITIES, Flow

BUDGET, QUEUE = 64, 600
KEYS = [Key("m", "encode", "{}"), Key("m", "encode", '{"layers":-2}'), Key("", "search", "{}")]


class Traffic(RuleBasedStateMachine):
    """Callers, workers and accidents; beside it a plain record of every row's fate."""

    batches = Bundle("batches")

    def __init__(self):
        super().__init__()
        self.scheduler = Scheduler(BUDGET, QUEUE)
        self.now, self.tickets = 0.0, itertools.count(1)
        self.live: dict[int, Job] = {}
        self.done: dict[int, Counter] = {}
        self.running: dict[int, list] = {}
        self.lone_losses: Counter = Counter()

    @rule(
        costs=st.lists(st.integers(1, 90), min_size=1, max_size=20),
        caller=st.sampled_from([b"a", b"b", b"c"]),
        priority=st.sampled_from(list(PRIORITIES)),
        key=st.sampled_from(KEYS[:2]),
        patience=st.integers(1, 30),
    )
    def add(self, costs, caller, priority, key, patience):
        self._add(Job(next(self.tickets), Flow(caller, priority), key, costs, self.now + patience))

    @rule(cost=st.integers(1, 3), key=st.sampled_from(KEYS[:2]), patience=st.integers(1, 30))
    def add_one_that_others_have_too(self, cost, key, patience):
        job = Job(
            next(self.tickets),
            Flow(b"a", "normal"),
            key,
            [cost],
            self.now + patience,
            text=f"of {cost} tokens",
        )
        self._add(job)
        for batch in self.scheduler.in_flight.values():
            if any(part.job is job for part in batch.parts):
                assert job.text in batch.texts
                assert batch.key == key
                self.running[batch.number].append((job.ticket, 0))

    @rule(rows=st.integers(0, 5), retry=st.booleans(), patience=st.integers(1, 30))
    def add_whole(self, rows, retry, patience):
        deadline = self.now + patience
        self._add(
            Job(
                next(self.tickets),
                Flow(b"a", "normal"),
                KEYS[2],
                [10] * rows,
                deadline,
                whole=True,
                retry=retry,
            )
        )

    def _add(self, job):
        waiting = self.scheduler.queued_tokens
        try:
            self.scheduler.add(job, self.now)
        except Overloaded as error:
            assert waiting and waiting + job.waiting > QUEUE
            assert error.retry_after_s > 0
        else:
            self.live[job.ticket], self.done[job.ticket] = job, Counter()

    @rule(
        target=batches,
        serves=st.sets(st.sampled_from(KEYS), min_size=1),
        idle=st.integers(1, 3),
    )
    def take(self, serves, idle):
        batch = self.scheduler.take("w", lambda key: key in serves, self.now, lambda key: idle)
        if batch is None:
            return None
        assert batch.key in serves
        rows = [(p.job.ticket, row) for p in batch.parts for row in range(p.start, p.stop)]
        assert all(part.job.key == batch.key for part in batch.parts)
        assert all(part.job.ticket in self.live for part in batch.parts), "nobody waits for it"
        computed = {p.job.text or (p.job.ticket, r): p.job.costs[r]
                    for p in batch.parts for r in range(*p[1:])}  # fmt: skip
        assert batch.alone or sum(computed.values()) <= BUDGET
        if batch.is_open:
            batch.texts = {p.job.text: 0 for p in batch.parts if p.job.text}
        assert len(batch.parts) == 1 or not any(part.job.whole for part in batch.parts)
        taken = {row for others in self.running.values() for row in others}
        assert not taken & set(rows), "a row is in two batches"
        assert not any(self.done[ticket][row] for ticket, row in rows), "a row runs after its end"
        self.running[batch.number] = rows
        return batch

    @rule(batch=consumes(batches))
    def complete(self, batch):
        if batch is not None:
            assert self.scheduler.complete(batch.number, self.now + 0.1) is batch
            self._end(self.running.pop(batch.number))

    @rule(batch=consumes(batches))
    def lose(self, batch):
        if batch is None:
            return
        rows = self.running.pop(batch.number)
        if batch.alone:
            self.lone_losses.update(rows or [(batch.parts[0].job.ticket, 0)])
        for part in self.scheduler.lose(batch.number):
            refused = [(part.job.ticket, row) for row in range(part.start, part.stop)]
            assert not part.job.retry or all(self.lone_losses[row] >= 2 for row in refused)
            self._end(refused or [(part.job.ticket, 0)])

    @rule(batch=consumes(batches))
    def give_back(self, batch):
        if batch is not None:
            self.scheduler.give_back(batch.number)
            del self.running[batch.number]

    @rule(data=st.data())
    def cancel(self, data):
        if self.live:
            ticket = data.draw(st.sampled_from(sorted(self.live)))
            assert self.scheduler.cancel(ticket)
            del self.live[ticket]

    @rule(seconds=st.integers(0, 10))
    def time_passes(self, seconds):
        self.now += seconds
        late = {job.ticket for job in self.scheduler.expire(self.now)}
        assert late == {t for t, job in self.live.items() if job.deadline <= self.now}
        for ticket in late:
            del self.live[ticket]

    @invariant()
    def the_queue_is_counted_right(self):
        waiting = [sum(job.costs[job.taken :]) or job.waiting for job in self.live.values()]
        assert self.scheduler.queued_tokens == sum(waiting)
        assert set(self.scheduler.jobs) == set(self.live)

    def teardown(self):
        for batch in list(self.scheduler.in_flight.values()):
            self.complete(batch)
        while batch := self.scheduler.take("w", lambda key: True, self.now):
            self.scheduler.complete(batch.number, self.now)
            self._end([(p.job.ticket, row) for p in batch.parts for row in range(p.start, p.stop)])
        assert not any(self.live[t].costs for t in self.live), "somebody was never answered"
        assert self.scheduler.queued_tokens == 0
        assert not self.scheduler._lanes

    def _end(self, rows):
        for ticket, row in rows:
            self.done[ticket][row] += 1
            assert self.done[ticket][row] == 1, "a row ended twice"
        for ticket in list(self.live):
            if sum(self.done[ticket].values()) >= max(1, len(self.live[ticket].costs)):
                del self.live[ticket]
        self._forget_empty()

    def _forget_empty(self):
        for ticket in [t for t, job in self.live.items() if not job.costs]:
            if ticket not in self.scheduler.jobs:
                del self.live[ticket]


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@given(
    requests=st.lists(st.lists(st.integers(1, 80), min_size=1, max_size=30), min_size=1, max_size=9)
)
@settings(max_examples=100, deadline=None)
def test_rows_of_a_request_are_taken_in_their_order(requests):
    scheduler = Scheduler(BUDGET, 10**9)
    for ticket, costs in enumerate(requests):
        scheduler.add(
            Job(ticket, Flow(str(ticket % 3).encode(), "normal"), KEYS[0], costs, 1e9), 0.0
        )
    seen = {ticket: [] for ticket in range(len(requests))}
    while batch := scheduler.take("w", lambda key: True, 0.0):
        for part in batch.parts:
            seen[part.job.ticket] += range(part.start, part.stop)
    assert seen == {ticket: list(range(len(costs))) for ticket, costs in enumerate(requests)}


@given(bulk=st.integers(1, 40), cost=st.integers(1, 30), before=st.integers(0, 30))
@settings(max_examples=100, deadline=None)
def test_a_new_caller_is_in_the_next_batch_if_all_callers_fit_in_one(bulk, cost, before):
    callers = BUDGET // cost - 1
    scheduler = Scheduler(BUDGET, 10**9)
    for number in range(min(bulk, callers)):
        scheduler.add(
            Job(number, Flow(str(number).encode(), "normal"), KEYS[0], [cost] * 500, 1e9), 0.0
        )
    for _ in range(before):
        scheduler.take("w", lambda key: True, 0.0)
    scheduler.add(Job(999, Flow(b"new", "normal"), KEYS[0], [cost], 1e9), 0.0)
    batch = scheduler.take("w", lambda key: True, 0.0)
    assert 999 in {part.job.ticket for part in batch.parts}


@given(
    flows=st.lists(
        st.tuples(st.sampled_from(list(PRIORITIES)), st.integers(1, BUDGET), st.integers(0, 1)),
        min_size=2,
        max_size=6,
    ),
    batches=st.integers(1, 60),
)
@settings(max_examples=150, deadline=None)
def test_flows_that_wait_share_the_tokens_by_their_weights(flows, batches):
    """Two waiting flows differ by at most the largest text of each, divided by its weight."""
    scheduler = Scheduler(BUDGET, 10**9)
    for number, (priority, cost, key) in enumerate(flows):
        flow = Flow(str(number).encode(), priority)
        scheduler.add(Job(number, flow, KEYS[key], [cost] * 5000, 1e9), 0.0)
    had = Counter()
    for _ in range(batches):
        for part in scheduler.take("w", lambda key: True, 0.0).parts:
            had[part.job.ticket] += part.tokens
    times = [had[n] / PRIORITIES[priority] for n, (priority, _, _) in enumerate(flows)]
    # within a batch only flows of its key are served, beyond their turn by at most the batch
    slack = [max(cost, BUDGET) / PRIORITIES[priority] for priority, cost, _ in flows]
    for one, other in itertools.combinations(range(len(flows)), 2):
        assert abs(times[one] - times[other]) <= slack[one] + slack[other]


@pytest.mark.parametrize("bad", [0, 3, 7])
@given(costs=st.lists(st.integers(1, 20), min_size=8, max_size=40))
@settings(max_examples=30, deadline=None)
def test_one_poisonous_text_costs_its_neighbours_nothing(bad, costs):
    """A worker dies whenever it gets the bad text; all others must be served all the same."""
    scheduler = Scheduler(BUDGET, 10**9)
    scheduler.add(Job(1, Flow(b"a", "normal"), KEYS[0], costs, 1e9), 0.0)
    served, refused, deaths = [], [], 0
    while batch := scheduler.take("w", lambda key: True, 0.0):
        rows = [row for part in batch.parts for row in range(part.start, part.stop)]
        if bad in rows:
            deaths += 1
            refused += [part.start for part in scheduler.lose(batch.number)]
        else:
            scheduler.complete(batch.number, 1.0)
            served += rows
    assert sorted(served) == [row for row in range(len(costs)) if row != bad]
    assert refused == [bad]
    assert deaths <= 4
