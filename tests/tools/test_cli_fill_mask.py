"""``bertfeat fill-mask``."""

import json

import pytest

from bertfeat import Encoder
from bertfeat_tools.cli.fill_mask import fill_mask
from command_line import call, load_once


@pytest.fixture(autouse=True)
def models(monkeypatch):
    """Each model is loaded once for all commands of this process."""
    monkeypatch.setattr("bertfeat.api.load", load_once)


@pytest.fixture(scope="module")
def folder(tiny_bert):
    return tiny_bert(seed=9, heads=("masked_lm",))


def test_candidates_stand_below_each_other_likeliest_first(folder):
    done = call(fill_mask, "the [MASK] sat", "-k", 3, "--model", folder)
    ((first, *others),) = Encoder.load(folder).fill_mask("the [MASK] sat", 3)
    assert done.code == 0
    lines = done.out.decode().splitlines()
    assert lines[0] == f"{first.probability:.4f}  {first.token}"
    assert len(lines) == 3 == 1 + len(others)
    assert lines == sorted(lines, key=lambda line: -float(line.split()[0]))


def test_several_gaps_are_numbered(folder):
    done = call(fill_mask, "[MASK] cat [MASK]", "-k", 1, "--model", folder)
    lines = done.out.decode().splitlines()
    assert [lines[0], lines[2]] == ["[MASK] 1", "[MASK] 2"]
    assert len(lines) == 4


def test_json_has_a_list_for_each_gap(folder):
    done = call(fill_mask, "[MASK] cat [MASK]", "--json", "--model", folder)
    gaps = json.loads(done.out)
    expected = Encoder.load(folder).fill_mask("[MASK] cat [MASK]")
    assert [[c["token"] for c in gap] for gap in gaps] == [
        [c.token for c in gap] for gap in expected
    ]
    for found, gap in zip(gaps, expected, strict=True):
        assert [c["probability"] for c in found] == pytest.approx([c.probability for c in gap])


def test_a_text_without_a_gap_is_told(folder):
    done = call(fill_mask, "the cat sat", "--model", folder)
    assert (done.code, done.out) == (1, b"")
    assert "[MASK]" in done.err


def test_a_model_without_the_head_is_told(tiny_bert):
    done = call(fill_mask, "the [MASK]", "--model", tiny_bert(seed=10))
    assert (done.code, done.out) == (1, b"")
    assert "masked_lm" in done.err
