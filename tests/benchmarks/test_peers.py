"""The benchmark's arithmetic and tables on made-up measurements, and its driver end to end."""

import io
import json
import sys

import numpy as np
import pytest
from rich.console import Console

import environments
import exports
import systems
from bertfeat.config import EncoderConfig
from child import Child, Failed
from contest import Contest, Measured
from figures import flops, ratios, spearman, summarize
from load_servers import SERVERS
from machine import busy_cores, describe
from peers import chosen, main
from roster import BASELINE, OURS, ROSTER, System
from table import show
from workload import Texts, Workload

CONFIG = EncoderConfig(
    vocab_size=9, hidden_size=4, num_hidden_layers=3, num_attention_heads=2, intermediate_size=8,
    max_position_embeddings=16,
)  # fmt: skip
PAIRS = np.array([[1, 0], [1, 0], [1, 0], [1, 1], [1, 0], [0, 1]], np.float32)


@pytest.fixture
def workload(tmp_path):
    texts = Texts(tmp_path / "texts.json", [3, 5, 2, 2, 2, 2])
    mixes = {"short": texts}
    return Workload(CONFIG, mixes, single=texts, pairs=texts, scores=[5.0, 3.0, 0.0])


@pytest.fixture
def measured(tmp_path):
    """Ours twice as fast as the baseline but for one round, and a peer with vectors of its own."""

    def one(name, seconds, vectors, each):
        file = tmp_path / f"{name}.npy"
        np.save(file, vectors)
        return Measured(name, "", 1.5, 700, {"short": seconds}, each, {"pairs": file})

    return [
        one(OURS, [1.0, 2.0, 1.0], PAIRS, [0.010] * 99 + [0.050]),
        one(BASELINE, [2.0, 2.0, 4.0], 3 * PAIRS, [0.020]),
        one("CTranslate2 int8", [0.5, 0.5, 0.5], PAIRS[:, ::-1] + [0, 0.5], [0.001]),
        one("model2vec", [0.1, 0.1, 0.1], np.hstack([PAIRS, PAIRS]), [0.001]),
    ]


@pytest.fixture
def rows(measured, workload):
    found = summarize(measured, workload, products=[1e6, 1e6, 1e6])
    return {row["system"]: row for row in found}


def test_ratios_are_taken_per_round_and_keep_their_spread():
    assert ratios([2.0, 2.0, 4.0], [1.0, 2.0, 1.0]) == [2.0, 1.0, 4.0]
    assert ratios(None, [1.0]) is None


def test_flops_are_those_of_the_dense_layers_and_of_attention():
    dense = 2 * (4 * 4 * 4 + 2 * 4 * 8)
    assert flops(CONFIG, [1]) == 3 * (dense + 4 * 4)
    assert flops(CONFIG, [5, 2]) == 3 * (dense * 7 + 4 * 4 * (25 + 4))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1, 2, 3], [10, 20, 90], 1.0),
        ([1, 2, 3], [5, 4, 3], -1.0),
        ([1, 2, 2, 4], [1, 2, 3, 4], 0.9486833),
    ],
)
def test_spearman_lets_equal_values_share_a_rank(first, second, expected):
    assert spearman(np.array(first), np.array(second)) == pytest.approx(expected)


def test_a_row_has_rates_ratios_and_its_share_of_the_peak(rows, workload):
    speed = rows[OURS]["mixes"]["short"]
    assert (speed["texts_per_s"], speed["tokens_per_s"]) == (6.0, 16)
    assert speed["to_baseline"] == [2.0, 1.0, 4.0]
    assert speed["to_ours"] == [1.0, 1.0, 1.0]
    asked = flops(CONFIG, workload.mixes["short"].lengths)
    assert speed["share_of_peak"] == pytest.approx(asked / 1e6, abs=1e-3)
    assert rows[BASELINE]["mixes"]["short"]["to_ours"] == [0.5, 0.25, 1.0]


def test_a_row_has_latency_quality_and_the_process(rows):
    row = rows[OURS]
    assert (row["p50_ms"], row["startup_s"], row["peak_mb"]) == (10.0, 1.5, 700)
    assert 10.0 < row["p99_ms"] < 50.0
    assert row["sts_spearman"] == pytest.approx(1.0)
    assert row["cosine"] == pytest.approx(1.0)
    assert rows[BASELINE]["cosine"] == pytest.approx(1.0)
    assert rows["CTranslate2 int8"]["cosine"] < 0.95
    assert rows["model2vec"]["cosine"] is None


def printed(rows, **machine):
    console = Console(record=True, width=160, file=io.StringIO())
    about = describe() | {"gflops": 100.0, "busy_cores": 0.0} | machine
    results = {
        "machine": about,
        "model": "tiny",
        "threads": 2,
        "rounds": 3,
        "mixes": {"short": {"texts": 6, "tokens": 16}},
        "systems": list(rows.values()),
        "missing": {"llama.cpp q8_0": "no compiler"},
    }
    show(results, console)
    return console.export_text()


def test_the_table_says_what_was_measured_and_what_was_not(rows):
    text = printed(rows)
    assert "2.00 (1.00–4.00)" in text
    assert "not measured: llama.cpp q8_0: no compiler" in text
    assert "do not trust" not in text
    assert "others kept 1.5 cores busy" in printed(rows, busy_cores=1.5)


def test_the_table_marks_vectors_that_are_not_the_models(rows):
    marked = [line for line in printed(rows).splitlines() if "!" in line]
    assert {line.strip("│ ").split("  ")[0].split(":")[0] for line in marked} == {
        "CTranslate2 int8"
    }


def test_without_the_baseline_there_is_no_ratio(measured, workload):
    row = summarize(measured[2:3], workload, [1e6] * 3)[0]
    assert (row["mixes"]["short"]["to_baseline"], row["cosine"]) == (None, None)


def test_every_system_has_its_class_its_environment_and_its_form():
    measured = [*ROSTER, *SERVERS]
    assert {s.environment for s in measured} - {""} == environments.pins().keys()
    assert {s.form for s in measured} - {""} == exports.FORMS.keys()
    assert all(hasattr(systems, s.kind) for s in ROSTER)
    assert {OURS, BASELINE} <= {s.name for s in ROSTER}
    assert all("==" in pin for pins in environments.pins().values() for pin in pins)


def test_systems_are_chosen_by_parts_of_their_names():
    assert chosen([], []) == list(ROSTER)
    assert [s.name for s in chosen(["LLAMA", "model2"], [])] == ["llama.cpp q8_0", "model2vec"]
    assert [s.name for s in chosen(["bertfeat"], ["Auto", "int8"])] == [OURS]


def test_what_cannot_be_loaded_is_a_reason_and_no_failure(tmp_path):
    contest = Contest(threads=1)
    contest.enter(System("absent", "Absent"), tmp_path)
    assert contest.children == {}
    assert "no attribute 'Absent'" in contest.missing["absent"]


def test_a_process_that_dies_is_told_by_its_last_words():
    with pytest.raises(Failed, match="ended with code 3: alas"):
        Child([sys.executable, "-c", "import sys; print('alas', file=sys.stderr); sys.exit(3)"], 1)


def test_a_process_that_dies_between_two_commands_is_told_of_at_the_next():
    child = Child([sys.executable, "-c", "print('{}')"], 1)
    with pytest.raises(Failed, match="ended with code 0: without a word"):
        child.ask(do="peak")


def test_a_process_that_hangs_is_ended():
    with pytest.raises(Failed, match="ended with code"):
        Child([sys.executable, "-c", "import time; time.sleep(60)"], 1, limit_s=0.5)


def test_batches_come_back_in_the_texts_order():
    ids = [[1, 2, 3], [4], [5, 6], [7]]
    found = systems.in_batches(ids, 2, lambda batch: np.array([[row[0]] for row in batch]))
    assert found[:, 0].tolist() == [1, 4, 5, 7]


def test_means_leave_padding_out():
    hidden = np.array([[[3, 0], [3, 8], [9, 9]]], np.float32)
    assert systems.pooled(hidden, systems.mask_of([[1, 2], [1, 2, 3]])[:1]).tolist() == [
        pytest.approx([0.6, 0.8])
    ]


def test_busy_cores_are_counted():
    assert 0 <= busy_cores(over_s=0.05) < 1000


@pytest.mark.slow
@pytest.mark.data
def test_the_driver_runs_end_to_end(tiny_bert, data_dir, tmp_path, capsys):
    model = tiny_bert(hidden_size=8)
    output = tmp_path / "figures.json"
    main(
        ["--model", str(model), "--systems", "bertfeat float32", "bertfeat int4", "--mix", "short",
         "--rounds", "2", "--scale", "0.01", "--threads", "1", "--output", str(output)]
    )  # fmt: skip
    results = json.loads(output.read_text("utf-8"))
    (row,) = results["systems"]
    assert row["system"] == OURS
    assert row["mixes"]["short"]["texts_per_s"] > 0
    assert row["cosine"] == pytest.approx(1.0)
    assert "short: 5 texts" in capsys.readouterr().out
