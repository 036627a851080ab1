"""Triples: the counts of a plain loop and scikit-learn's micro averages."""

import json
from itertools import product

import numpy as np
import pytest

from bertfeat.errors import InputError
from bertfeat_tools.cli.evaluate import evaluate
from bertfeat_tools.scoring.triples import by_relation, read_triples, triple_statistic
from command_line import call


def entity(start, label, text="x"):
    return {"start": start, "end": start + 2, "label": label, "text": text}


def line(*triples):
    """A line of the file: (subject, relation, object) each."""
    named = [dict(zip(("subject", "relation", "object"), one, strict=True)) for one in triples]
    return json.dumps({"text": "…", "triples": named})


@pytest.fixture
def files(tmp_path):
    """Random triples of eight texts, gold and predicted."""
    rng = np.random.default_rng(5)
    every = [
        (entity(a, "Peop"), name, entity(b, "Org"))
        for a, b, name in product((0, 3), (6, 9), ("Work_For", "Kill"))
    ]
    for name in ("gold", "found"):
        rows = [[one for one in every if rng.random() < 0.4] for _ in range(8)]
        (tmp_path / name).write_text("\n".join(line(*row) for row in rows))
    return tmp_path


def indicator(sides):
    """Which triple occurs in which line, (lines, triples), for both sides."""
    kinds = sorted({triple for side in sides for one in side for triple in one})
    tables = [[[kind in one for kind in kinds] for one in side] for side in sides]
    return kinds, *map(np.array, tables)


def test_scores_are_scikit_learns(files):
    metrics = pytest.importorskip("sklearn.metrics")
    sides = [read_triples(files / name) for name in ("gold", "found")]
    kinds, gold, predicted = indicator(sides)
    found = triple_statistic(*sides)(np.arange(8))
    wanted = metrics.precision_recall_fscore_support(gold, predicted, average="micro")
    assert [found[name] for name in ("precision", "recall", "f1")] == pytest.approx(wanted[:3])
    each = by_relation(*sides)
    for name, scores in each.items():
        chosen = [kind.relation == name for kind in kinds]
        right = metrics.f1_score(gold[:, chosen], predicted[:, chosen], average="micro")
        assert scores["f1"] == pytest.approx(right)
        assert scores["gold"] == gold[:, chosen].sum()
    assert found["macro_f1"] == pytest.approx(np.mean([one["f1"] for one in each.values()]))


def test_what_must_agree_is_chosen(tmp_path):
    gold = (entity(0, "Peop", "Ann"), "Live_In", entity(5, "Loc", "Rome"))
    shifted = (entity(1, "Peop", "Ann"), "Live_In", entity(5, "Loc", "Rome"))
    renamed = (entity(0, "Org", "Anna"), "Live_In", entity(5, "Loc", "Rome"))
    (tmp_path / "gold").write_text(line(gold))
    for found, agreeing in ((gold, "strict boundaries text"), (shifted, "text"),
                            (renamed, "boundaries"), (gold[::-1], "")):  # fmt: skip
        (tmp_path / "found").write_text(line(found, found))
        for match in ("strict", "boundaries", "text"):
            done = call(evaluate, "triples", tmp_path / "gold", tmp_path / "found",
                        "--match", match)  # fmt: skip
            assert json.loads(done.out)["f1"] == (match in agreeing.split()), (found, match)


def test_bare_texts_are_entities_where_texts_are_compared(tmp_path):
    (tmp_path / "a").write_text(line(("Ann", "Live_In", {"text": "Rome"})))
    ((triple,),) = read_triples(tmp_path / "a", "text")
    assert triple == (("Ann",), "Live_In", ("Rome",))


def test_runs_and_relations_are_printed(files):
    one = json.loads(call(evaluate, "triples", files / "gold", files / "found").out)
    assert set(one["relations"]) == {"Work_For", "Kill"}
    two = json.loads(call(evaluate, "triples", files / "gold", files / "found", files / "gold").out)
    assert two["f1"]["mean"] == pytest.approx((one["f1"] + 1) / 2)


def test_all_bad_lines_are_listed(tmp_path):
    good = (entity(0, "A"), "r", entity(3, "B"))
    rows = [line(good), "{}", line(good, ("Ann", "r", "Rome")), line((entity(0, "A"), 1, "x"))]
    (tmp_path / "a").write_text("\n".join(rows))
    places = r"line 2: no list.*line 3: triples\[1\].*line 4: triples\[0\]"
    with pytest.raises(InputError, match=f"(?s){places}"):
        read_triples(tmp_path / "a")
    with pytest.raises(InputError, match="1 and 2"):
        triple_statistic([frozenset()], [frozenset()] * 2)
