"""The table of NER puts both sides beside the paper's."""

from ner_table import ROWS, rows_of, table, write_parts


def mine(f1):
    return {"rows": [
        {"row": row.name, "train_s": 2.0, "runs": [{"f1": f1}, {"f1": f1 + 0.02}]} for row in ROWS
    ]}  # fmt: skip


def cells():
    numbers = range(len(ROWS))
    return [{"row": n, "seed": s, "f1": 0.5, "train_s": 3.0} for n in numbers for s in (0, 1)]


def test_rows_have_mean_deviation_and_time_of_both():
    rows = rows_of(mine(0.6), cells())
    assert [row["paper"] for row in rows] == [91.0, 95.6, 94.9, 95.9, 96.1, 95.5]
    assert rows[0]["bertfeat"] == {"mean": 0.61, "sd": 0.0141}
    assert rows[0]["torch"] == {"mean": 0.5, "sd": 0.0}
    assert rows[0]["train_s"] == {"bertfeat": 2.0, "torch": 6.0}


def test_without_the_peer_its_column_is_empty():
    shown = table({"rows": rows_of(mine(0.6), []), "logistic_regression": {"f1": 0.44}})
    assert "| Last Hidden | 61.0 ± 1.4 |  | 94.9 |" in shown
    assert shown.endswith("| logistic regression, last hidden | 44.0 | | |")


def test_one_file_gives_both_parts(tmp_path, monkeypatch):
    lines = "\n\n".join(f"{letter}\tO" for letter in "abcdefghij")
    (tmp_path / "all.conll").write_text(lines + "\n")
    monkeypatch.setattr("ner_table.SETS", {"x": (str(tmp_path / "all.conll"),)})
    train, dev = (path.read_text().split() for path in write_parts("x", (5, 3), tmp_path))
    assert (len(train), len(dev)) == (10, 6) and not set(train[::2]) & set(dev[::2])
