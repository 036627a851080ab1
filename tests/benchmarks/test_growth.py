"""How a series of growing cost is measured, on made-up times."""

from pathlib import Path

import pytest

from growth import Step, series, table
from workload import Texts


class MadeUp:
    """A process that needs a millisecond for each token."""

    def __init__(self):
        self.asked = []

    def ask(self, do, texts=None):
        """Answer as a worker does; the file's name is the number of tokens."""
        self.asked.append(texts)
        return {"peak_mb": 100.0} if do == "peak" else {"seconds": int(texts) / 1000}


def step(tokens, growth=10):
    return Step(f"{tokens:,} tokens", Texts(Path(str(tokens)), [tokens]), growth)


@pytest.fixture
def rows():
    return series(MadeUp(), [step(n) for n in (10, 100, 1_000, 10_000, 100_000)], budget_s=50)


def test_each_step_has_its_rates(rows):
    assert rows[1] == {
        "step": "100 tokens", "seconds": 0.1, "texts_per_s": 10.0, "tokens_per_s": 1000,
        "peak_mb": 100,
    }  # fmt: skip


def test_a_step_that_would_exceed_the_budget_is_left_out_and_said_so(rows):
    assert [row["step"] for row in rows][-1] == "100,000 tokens"
    assert rows[-1]["left_out"] == "about 100 s expected"


def test_quick_runs_are_repeated_and_long_ones_are_not():
    child = MadeUp()
    series(child, [step(1_000), step(10_000)], budget_s=1_000)
    assert child.asked.count("1000") == 4
    assert child.asked.count("10000") == 1


def test_the_table_shows_growth_and_what_was_left_out(rows):
    found = table({"size": "6 × 384", "threads": 1, "lengths": rows, "counts": rows})
    cells = [list(column.cells) for column in found.columns]
    assert cells[2][:5] == ["", "10.0", "10.0", "10.0", "about 100 s expected"]
