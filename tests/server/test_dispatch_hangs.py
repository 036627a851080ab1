"""Workers that beat and never answer: found by the time that their batch may take."""

import pytest

from broker_stage import Stage


def test_a_worker_that_is_busy_for_too_long_is_given_up_although_it_beats():
    stage = Stage(worker_timeout_s=20).hello("w1").client()
    for _ in range(15):
        stage.worker("w1", op="heartbeat").pump(2)
    assert stage.dispatcher.control.events.popleft()["identity"] == "w1"


@pytest.mark.parametrize(("tokens", "patience_s"), [(1, 30), (4000, 70)])
def test_a_small_batch_that_hangs_is_noticed_sooner_than_a_large_one(tokens, patience_s):
    stage = Stage(worker_timeout_s=120, max_batch_tokens=9999, default_timeout_s=999)
    stage.hello("w1", info={"max_seq_len": 9999}).client(items=["x" * 3 * tokens])
    while not stage.dispatcher.control.events and stage.now < 300:
        stage.worker("w1", op="heartbeat").pump(1)
    assert stage.now - 100 == pytest.approx(patience_s, abs=3)
