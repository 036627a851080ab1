"""The load test: what it counts, and how sure it is."""

import asyncio
import itertools
import json

import numpy as np

from bertfeat_client.errors import Overloaded
from bertfeat_client.results import EncodeInfo
from bertfeat_server.load import Load, Report, quantiles, run


class Instant:
    """A client whose answers take an eighth of a second of the test's clock."""

    def __init__(self, clock, fails=()):
        self.clock, self.fails, self.asked = clock, fails, []

    async def encode(self, texts, return_info):
        self.asked.append(texts)
        await asyncio.sleep(0)
        self.clock[0] += 0.125
        if len(self.asked) in self.fails:
            raise Overloaded("full")
        timing = {"queue_ms": 40.0, "compute_ms": 50.0}
        tokens = np.full(len(texts), 7, np.int32)
        return None, EncodeInfo(tokens, tokens > 9, timing=timing)


def test_callers_ask_one_after_another_and_the_warm_up_does_not_count():
    clock = [0.0]
    client = Instant(clock, fails={15})
    load = Load(callers=1, seconds=2.0, warm_up_s=1.0, texts=3, words=(2,))
    found = asyncio.run(run(client, load, lambda: clock[0])).as_dict()
    assert found["requests"] == 15 and found["errors"] == {"Overloaded": 1}
    assert found["texts_per_s"] == 15 * 3 / 2 and found["tokens_per_s"] == 15 * 3 * 7 / 2
    assert found["latency_ms"]["p50"] == 125 and found["queue_ms"]["p99"] == 40
    assert all(len(text.split()) == 2 for texts in client.asked for text in texts)


def test_a_rate_counts_from_when_a_request_was_due(monkeypatch):
    clock = [0.0]

    async def sleep(seconds, real=asyncio.sleep):
        clock[0] += max(0.0, seconds)
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    load = Load(callers=1, rate=50.0, seconds=2.0, warm_up_s=0.0)
    found = asyncio.run(run(Instant(clock), load, lambda: clock[0])).as_dict()
    # the one caller takes eight in a second, so that those of the end have waited long
    assert 60 < found["requests"] < 140
    assert found["latency_ms"]["p99"] > 3000


def test_the_same_seed_sends_the_same_texts():
    def texts():
        clock = [0.0]
        client = Instant(clock)
        asyncio.run(run(client, Load(callers=2, seconds=1.0, seed=3), lambda: clock[0]))
        return list(itertools.chain(*client.asked))

    assert texts() == texts()


def test_intervals_hold_the_true_quantile_19_times_of_20():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        low, high = quantiles(rng.exponential(1.0, 500).tolist())["p90_95"]
        inside += low <= np.log(10) <= high
    assert 0.92 <= inside / 400 <= 0.985


def test_without_an_answer_there_are_no_figures():
    found = Report(1.0).as_dict()
    assert found["requests"] == 0 and found["latency_ms"]["p50"] is None


def test_a_running_server_is_measured(start):
    server = start()
    options = ("--seconds", "0.6", "--warm-up-s", "0.2", "--callers", "4")
    told = server.command("bench", *options, "--json")
    found = json.loads(told.stdout)
    assert found["requests"] > 20 and found["errors"] == {} and found["texts_per_batch"] > 0
    shown = server.command("bench", *options, "--rate", "50")
    assert shown.returncode == 0 and "p99" in shown.stdout
    assert server.command("bench", "--words", "x").returncode == 2
