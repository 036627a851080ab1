"""Word segmentation: spans against seqeval's entities, unknown words against a plain count."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertfeat.errors import InputError
from bertfeat_tools.cli.evaluate import evaluate
from bertfeat_tools.scoring.segmentation import (
    check_same_text,
    read_sentences,
    segmentation_statistic,
    spans,
)
from command_line import call


def cut(text, rng):
    """A text in words, at random."""
    places = np.flatnonzero(rng.random(len(text) - 1) < 0.5) + 1
    edges = [0, *places.tolist(), len(text)]
    return [text[a:b] for a, b in zip(edges, edges[1:], strict=False)]


def scores(gold, predicted, vocabulary=None):
    """The scores of all sentences."""
    return segmentation_statistic(gold, predicted, vocabulary)(np.arange(len(gold)))


@pytest.mark.parametrize("seed", range(5))
def test_words_are_entities_of_one_kind(seed):
    metrics = pytest.importorskip("seqeval.metrics")
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice(list("甲乙丙"), 12)) for _ in range(6)]
    gold, predicted = [[cut(text, rng) for text in texts] for _ in range(2)]
    tags = [
        [[tag for word in words for tag in ("B-W", *["I-W"] * (len(word) - 1))] for words in side]
        for side in (gold, predicted)
    ]
    found = scores(gold, predicted)
    for name in ("precision", "recall", "f1"):
        assert found[name] == pytest.approx(getattr(metrics, f"{name}_score")(*tags))


@given(st.integers(0, 10**6))
def test_recall_of_unknown_and_known_words_is_counted(seed):
    rng = np.random.default_rng(seed)
    text = "".join(rng.choice(list("abc"), 14))
    gold, predicted = cut(text, rng), cut(text, rng)
    vocabulary = frozenset(gold[: len(gold) // 2])
    hits = {True: 0, False: 0}
    totals = {True: 0, False: 0}
    start = 0
    for word in gold:
        end, known = start + len(word), word in vocabulary
        edges = np.cumsum([0, *map(len, predicted)]).tolist()
        place = edges.index(start) if start in edges else None
        hits[known] += place is not None and edges[place + 1 : place + 2] == [end]
        totals[known] += 1
        start = end
    found = scores([gold], [predicted], vocabulary)
    assert found["oov_rate"] == pytest.approx(totals[False] / len(gold))
    assert found["oov_recall"] == pytest.approx(hits[False] / max(totals[False], 1))
    assert found["iv_recall"] == pytest.approx(hits[True] / max(totals[True], 1))


def test_words_count_by_their_places():
    assert spans(["ab", "c"]) == [(0, 2), (2, 3)]
    assert scores([["aa", "a"]], [["a", "aa"]])["f1"] == 0


@pytest.fixture
def files(tmp_path):
    (tmp_path / "gold").write_text("共同　创造 美好 的\n新 世纪\n")
    (tmp_path / "found").write_text("共同 创造  美 好 的\n新世纪\n")
    (tmp_path / "words").write_text("共同\n的\n新\n")
    return tmp_path


def test_the_command_reads_blanks_of_any_kind(files):
    done = call(
        evaluate, "segmentation", files / "gold", files / "found", "--words", files / "words"
    )
    found = json.loads(done.out)
    assert found == pytest.approx({
        "precision": 3 / 6, "recall": 3 / 6, "f1": 0.5, "oov_rate": 3 / 6, "oov_recall": 1 / 3,
        "iv_recall": 2 / 3, "total": 2,
    })  # fmt: skip
    bare = json.loads(call(evaluate, "segmentation", files / "gold", files / "found").out)
    assert set(bare) == {"precision", "recall", "f1", "total"}


def test_other_characters_are_listed(files):
    gold = read_sentences(files / "gold")
    with pytest.raises(InputError, match=r"(?s)line 1: 'ab'.*line 2: 'c'"):
        check_same_text(gold, [["a", "b"], ["c"]], files / "found")
    with pytest.raises(InputError, match="expected 2 lines"):
        check_same_text(gold, gold[:1], files / "found")
    (files / "empty").write_text("\n")
    with pytest.raises(InputError, match="is empty"):
        read_sentences(files / "empty")
