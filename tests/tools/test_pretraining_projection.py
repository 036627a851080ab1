"""What a pre-training is said to cost, and the table of its scores."""

import pytest

from bertfeat.config import EncoderConfig
from bertfeat_tools.pretraining.projection import Forecast, Work, table_by_steps, total_work

BASE = EncoderConfig(
    vocab_size=30_522, hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
    intermediate_size=3072, max_position_embeddings=512,
)  # fmt: skip


def test_the_papers_run_has_the_operations_counted_by_hand():
    """Base, 900,000 steps of 256 x 128 tokens: 6 x 84,934,656 weights and the attention."""
    work = total_work(BASE, [(900_000, 256, 128), (100_000, 64, 512)])
    tokens = 900_000 * 256 * 128
    assert work.tokens == tokens + 100_000 * 64 * 512
    by_hand = tokens * (6 * 84_934_656 + 12 * 12 * 768 * 128)
    by_hand += 100_000 * 64 * 512 * (6 * 84_934_656 + 12 * 12 * 768 * 512)
    assert work.flops == pytest.approx(by_hand, rel=1e-12)
    assert str(Work(1_000, 2.5e15)) == "1,000 tokens at most, 2.5e+15 floating-point operations"


def test_hours_and_cost_follow_from_the_measured_updates():
    """Eight updates of 9 s each; 400 of 410 are left: one hour."""
    told, now = [], iter([0.0, 72.0])
    forecast = Forecast(Work(1, 410 * 9 * 2e9), told.append, 3.5, lambda: next(now))
    for step in range(1, 21):
        forecast(step, 410, {})
    assert told == ["1 hours left at 2.0 GFLOP/s, cost 3.50"]


def test_a_table_has_held_out_scores_by_steps_and_the_last_one_always():
    lines = [{"step": n, "kind": "evaluate", "masked_lm_accuracy": n / 100} for n in range(1, 42)]
    lines.insert(0, {"step": 1, "kind": "train", "masked_lm_accuracy": 0.0})
    rows = table_by_steps(lines, most=20).splitlines()
    assert rows[0] == "| step | masked_lm_accuracy |"
    assert rows[-1] == "| 41 | 0.4100 |"
    assert len(rows) == 2 + 14
    assert table_by_steps([]).startswith("| step |")
