"""The scheduler's promises one by one; time is a number that the test chooses."""

import itertools

import pytest

from bertfeat_client.errors import Overloaded
from bertfeat_server.jobs import Job, Key
from bertfeat_server.scheduler import Scheduler
from bertfeat_server.shares import SPARE_FLOWS, Flow, Shares

ENCODE = Key("m", "encode", "{}")
OTHER = Key("m", "encode", '{"layers":-2}')
SEARCH = Key("", "search", "{}")
tickets = itertools.count(1)


def job(costs, caller=b"a", key=ENCODE, deadline=1e9, priority="normal", **more) -> Job:
    return Job(next(tickets), Flow(caller, priority), key, costs, deadline, **more)


def queue(*jobs, max_batch_tokens=100, max_queue_tokens=10**9, max_wait_s=0.0, now=0.0):
    scheduler = Scheduler(max_batch_tokens, max_queue_tokens, max_wait_s)
    for each in jobs:
        scheduler.add(each, now)
    return scheduler


def take(scheduler, worker="w", serves=lambda key: True, now=0.0):
    return scheduler.take(worker, serves, now)


def rows(batch):
    return [(part.job.ticket, part.start, part.stop) for part in batch.parts]


def test_rows_of_many_requests_with_one_key_travel_together():
    a, b, c = job([10, 10], b"a"), job([10], b"b"), job([10], b"c")
    scheduler = queue(a, b, c)
    batch = take(scheduler)
    assert rows(batch) == [(a.ticket, 0, 2), (b.ticket, 0, 1), (c.ticket, 0, 1)]
    assert batch.tokens == 40
    assert take(scheduler) is None


def test_rows_of_different_keys_never_travel_together():
    a, b = job([10]), job([10], key=OTHER)
    scheduler = queue(a, b)
    assert [rows(take(scheduler)), rows(take(scheduler))] == [
        [(a.ticket, 0, 1)],
        [(b.ticket, 0, 1)],
    ]


def test_a_large_request_is_split_within_the_budget():
    big = job([30] * 7)
    scheduler = queue(big)
    assert [rows(take(scheduler))[0][1:] for _ in range(3)] == [(0, 3), (3, 6), (6, 7)]


@pytest.mark.parametrize(
    ("costs", "idle", "expected"),
    [
        ([100] * 8, 2, [(0, 4), (4, 8)]),  # fits one batch: both workers compute it
        ([100] * 7, 3, [(0, 2), (2, 4), (4, 7)]),
        ([100] * 30, 2, [(0, 10), (10, 20)]),  # full batches for both
        ([10] * 20, 2, [(0, 12), (12, 20)]),  # not below LEAST_SHARE
        ([10] * 10, 2, [(0, 10)]),
    ],
)
def test_what_fills_no_batch_for_each_idle_worker_is_divided_among_them(costs, idle, expected):
    scheduler, left = queue(job(costs), max_batch_tokens=1000), iter(range(idle, 0, -1))
    found = [
        scheduler.take(f"w{number}", lambda key: True, 0.0, lambda key: next(left))
        for number in range(idle)
    ]
    assert [rows(batch)[0][1:] for batch in found if batch] == expected


def test_a_row_above_the_budget_travels_alone():
    a = job([10, 500, 10])
    scheduler = queue(a)
    assert [rows(take(scheduler))[0][1:] for _ in range(3)] == [(0, 1), (1, 2), (2, 3)]


def test_a_short_request_waits_behind_a_bulk_job_for_one_batch_at_most():
    bulk = job([10] * 10_000, b"bulk")
    scheduler = queue(bulk)
    running = take(scheduler)
    short = job([10], b"short")
    scheduler.add(short, 1.0)
    scheduler.complete(running.number, 2.0)
    assert (short.ticket, 0, 1) in rows(take(scheduler))


def test_a_short_request_does_not_wait_behind_the_bulk_of_its_own_caller_either():
    bulk, short = job([10] * 10_000, b"same"), job([10], b"same")
    scheduler = queue(bulk, short)
    assert (short.ticket, 0, 1) in rows(take(scheduler))


def test_callers_share_a_batch_evenly_however_many_requests_they_sent():
    greedy = [job([10] * 50, b"greedy") for _ in range(20)]
    modest = job([10] * 50, b"modest")
    batch = take(queue(*greedy, modest))
    taken = {part.job.ticket: part.stop - part.start for part in batch.parts}
    assert taken[modest.ticket] == 5
    assert sum(taken.values()) == 10


def test_lanes_take_turns_so_that_no_key_starves():
    bulk, other = job([100] * 100), job([100], key=OTHER)
    scheduler = queue(bulk, other)
    assert [take(scheduler).key for _ in range(3)] == [ENCODE, OTHER, ENCODE]


def test_a_callers_short_request_with_other_options_is_next_whatever_its_bulk_has_had():
    bulk = job([100] * 100)
    scheduler = queue(bulk)
    for _ in range(10):
        take(scheduler)
    scheduler.add(job([1], key=OTHER), 0.0)
    assert OTHER in {take(scheduler).key for _ in range(2)}


def test_shares_are_counted_in_tokens_not_in_texts():
    long, short = job([20] * 100, b"long"), job([2] * 1000, b"short")
    batch = take(queue(long, short))
    tokens = {part.job.ticket: part.tokens for part in batch.parts}
    assert abs(tokens[long.ticket] - tokens[short.ticket]) <= 20


def test_high_priority_comes_first_and_low_is_served_all_the_same():
    high, normal, low = (job([10] * 500, priority=name) for name in ("high", "normal", "low"))
    scheduler, tokens = queue(low, normal, high), {}
    for _ in range(42):
        for part in take(scheduler).parts:
            tokens[part.job.ticket] = tokens.get(part.job.ticket, 0) + part.tokens
    shares = [tokens[each.ticket] / 4200 for each in (high, normal, low)]
    assert shares == pytest.approx([16 / 21, 4 / 21, 1 / 21], abs=0.02)


def test_who_was_away_has_saved_nothing_up():
    busy, back = job([10] * 1000, b"busy"), job([10] * 1000, b"back")
    scheduler = queue(job([10], b"back"), busy)
    for _ in range(20):
        take(scheduler)
    scheduler.add(back, 0.0)
    tokens = {busy.ticket: 0, back.ticket: 0}
    for _ in range(10):
        for part in take(scheduler).parts:
            tokens[part.job.ticket] += part.tokens
    # the newcomer is before the others by a batch at most, of a thousand tokens
    assert tokens[busy.ticket] >= 400 and tokens[back.ticket] >= 400


def test_a_batch_of_short_requests_is_not_filled_up_with_a_bulk_job():
    bulk = job([10] * 1000, b"bulk")
    scheduler = queue(bulk)
    running = take(scheduler)
    shorts = [job([10], str(number).encode()) for number in range(3)]
    for short in shorts:
        scheduler.add(short, 1.0)
    scheduler.complete(running.number, 2.0)
    assert [ticket for ticket, _, _ in rows(take(scheduler))] == [one.ticket for one in shorts]
    assert {ticket for ticket, _, _ in rows(take(scheduler))} == {bulk.ticket}


def test_flows_that_are_done_are_forgotten():
    shares = Shares()
    for number in range(5 * SPARE_FLOWS):
        flow = Flow(str(number).encode(), "normal")
        shares.charge(flow, shares.enter(flow, None), 10)
        shares.advance(20.0 * number)
    assert len(shares._times) <= SPARE_FLOWS + 1


def test_a_worker_gets_only_what_it_serves():
    scheduler = queue(job([1], key=SEARCH), job([1]))
    assert take(scheduler, serves=lambda key: key.op == "encode").key == ENCODE
    assert take(scheduler, serves=lambda key: key.op == "encode") is None
    assert take(scheduler, serves=lambda key: key.op == "search").key == SEARCH


def test_whole_requests_are_neither_merged_nor_split():
    first, second = job([60, 60, 60], whole=True), job([5], whole=True)
    between = job([5, 5])
    scheduler = queue(first, between, second)
    batches = [take(scheduler) for _ in range(3)]
    assert sorted(map(rows, batches)) == sorted(
        [[(first.ticket, 0, 3)], [(between.ticket, 0, 2)], [(second.ticket, 0, 1)]]
    )


def test_a_request_without_rows_is_one_batch_without_rows():
    empty = job([], whole=True)
    scheduler = queue(empty)
    batch = take(scheduler)
    assert rows(batch) == [(empty.ticket, 0, 0)]
    assert scheduler.complete(batch.number, 1.0) is batch
    assert not scheduler.jobs


def test_a_full_queue_refuses_and_says_when_to_come_back():
    scheduler = queue(job([1000]), max_queue_tokens=1500)
    with pytest.raises(Overloaded, match="1000 tokens wait already and this request adds 600") as e:
        scheduler.add(job([600]), 0.0)
    assert 0 < e.value.retry_after_s <= 60
    scheduler.add(job([500]), 0.0)


def test_an_empty_queue_takes_a_request_of_any_size():
    assert take(queue(job([50] * 100), max_queue_tokens=10)).tokens == 100


def test_the_time_to_come_back_follows_the_measured_speed():
    scheduler = queue(*(job([100], str(n).encode()) for n in range(100)))
    slow = scheduler.retry_after_s()
    for second in range(40):
        batch = take(scheduler, now=float(second))
        scheduler.complete(batch.number, second + 0.01)
    scheduler.add(job([6000]), 40.0)
    assert scheduler.retry_after_s() < slow / 2


def test_a_request_past_its_deadline_is_dropped_before_it_costs_anything():
    late, fine = job([10], deadline=5.0), job([10], deadline=50.0)
    scheduler = queue(late, fine)
    assert scheduler.next_event(0.0) == 5.0
    assert scheduler.expire(4.9) == []
    assert scheduler.expire(5.0) == [late]
    assert rows(take(scheduler)) == [(fine.ticket, 0, 1)]
    assert scheduler.queued_tokens == 0


def test_a_request_that_expires_half_way_gives_its_queue_back():
    half = job([100, 100], deadline=5.0)
    scheduler = queue(half)
    batch = take(scheduler)
    assert scheduler.expire(6.0) == [half]
    assert take(scheduler) is None
    assert scheduler.complete(batch.number, 7.0) is batch
    assert scheduler.queued_tokens == 0


def test_a_cancelled_request_is_never_taken():
    a, b = job([10]), job([10])
    scheduler = queue(a, b)
    assert scheduler.cancel(a.ticket)
    assert not scheduler.cancel(a.ticket)
    assert rows(take(scheduler)) == [(b.ticket, 0, 1)]


def test_a_batch_that_is_not_full_waits_as_long_as_it_was_told():
    scheduler = queue(job([10]), max_wait_s=0.5, now=1.0)
    assert take(scheduler, now=1.2) is None
    assert scheduler.next_event(1.2) == 1.5
    scheduler.add(job([10]), 1.3)
    assert len(take(scheduler, now=1.5).parts) == 2


def test_a_full_batch_does_not_wait():
    assert take(queue(job([60, 60]), max_wait_s=9.0)) is not None


def test_a_lost_batch_runs_once_more_as_it_was_on_another_worker():
    a, b = job([10, 10], b"a"), job([10], b"b")
    scheduler = queue(a, b)
    first = take(scheduler, "dead")
    assert scheduler.lose(first.number) == []
    again = take(scheduler, "alive")
    assert rows(again) == rows(first)
    assert (again.worker, again.losses) == ("alive", 1)


def test_after_a_second_loss_each_text_runs_alone():
    a, b = job([10, 10], b"a"), job([10], b"b")
    scheduler = queue(a, b)
    for _ in range(2):
        assert scheduler.lose(take(scheduler).number) == []
    alone = [take(scheduler) for _ in range(3)]
    assert [rows(batch) for batch in alone] == [
        [(a.ticket, 0, 1)], [(a.ticket, 1, 2)], [(b.ticket, 0, 1)]
    ]  # fmt: skip
    assert take(scheduler) is None


def test_only_a_text_that_was_alone_at_two_losses_is_refused():
    good, bad = job([10, 10], b"a"), job([10], b"b")
    scheduler = queue(good, bad)
    refused, served = [], []
    while batch := take(scheduler):
        if any(part.job is bad for part in batch.parts):
            refused += scheduler.lose(batch.number)
        else:
            served += rows(scheduler.complete(batch.number, 1.0))
    assert [(part.job, part.start) for part in refused] == [(bad, 0)]
    assert served == [(good.ticket, 0, 1), (good.ticket, 1, 2)]
    assert not scheduler.jobs


def test_a_single_text_is_refused_after_two_losses():
    only = job([10])
    scheduler = queue(only)
    assert scheduler.lose(take(scheduler).number) == []
    assert [part.job for part in scheduler.lose(take(scheduler).number)] == [only]
    assert take(scheduler) is None


def test_what_changes_the_index_is_not_tried_again():
    change = job([10, 10], key=SEARCH, whole=True, retry=False)
    scheduler = queue(change)
    assert [part.job for part in scheduler.lose(take(scheduler).number)] == [change]
    assert take(scheduler) is None


def test_a_batch_given_back_counts_as_no_loss():
    only = job([10])
    scheduler = queue(only)
    for _ in range(5):
        scheduler.give_back(take(scheduler).number)
    assert scheduler.lose(take(scheduler).number) == []
    assert take(scheduler).losses == 1


def test_a_lost_batch_keeps_only_what_somebody_still_waits_for():
    a, b = job([10], b"a"), job([10], b"b")
    scheduler = queue(a, b)
    batch = take(scheduler)
    scheduler.cancel(a.ticket)
    scheduler.lose(batch.number)
    assert rows(take(scheduler)) == [(b.ticket, 0, 1)]


@pytest.mark.parametrize("when", ["before the loss", "after the loss"])
def test_a_text_left_alone_by_others_giving_up_still_has_two_tries_alone(when):
    a, b = job([10], b"a"), job([10], b"b")
    scheduler = queue(a, b)
    batch = take(scheduler)
    if when == "before the loss":
        scheduler.cancel(a.ticket)
    assert scheduler.lose(batch.number) == []
    scheduler.cancel(a.ticket)
    assert scheduler.lose(take(scheduler).number) == []
    assert [part.job for part in scheduler.lose(take(scheduler).number)] == [b]


def test_an_answer_to_a_batch_that_was_given_to_another_is_ignored():
    scheduler = queue(job([10]))
    batch = take(scheduler)
    scheduler.lose(batch.number)
    assert scheduler.complete(batch.number, 1.0) is None
    assert scheduler.lose(batch.number) == []


def test_deadlines_of_finished_requests_do_not_pile_up():
    scheduler = queue()
    for _ in range(10_000):
        scheduler.add(job([1], deadline=1e6), 0.0)
        scheduler.complete(take(scheduler).number, 0.0)
    assert len(scheduler._deadlines._heap) < 2000
