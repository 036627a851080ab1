"""Columns of CSV, TSV and JSON lines; bad rows are told all at once."""

import gzip

import pytest

from bertfeat.errors import InputError
from bertfeat_tools.table import Row, read_table


def written(tmp_path, name, content):
    path = tmp_path / name
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'x,label,text\n1,a,"one, two"\n2,b,3\n'),
        ("a.csv.gz", 'x,label,text\n1,a,"one, two"\n2,b,3\n'),
        ("a.tsv", "\ufeffx\tlabel\ttext\n1\ta\tone, two\n2\tb\t3\r\n\n\n"),
        ("a.jsonl", '{"text": "one, two", "label": "a"}\n{"label": "b", "text": 3}\n'),
    ],
)
def test_columns_are_chosen_by_name(tmp_path, name, content):
    rows = read_table(written(tmp_path, name, content), ["text", "label"])
    assert [row.values for row in rows] == [("one, two", "a"), ("3", "b")]


def test_numbers_choose_columns_of_a_file_without_names(tmp_path):
    path = written(tmp_path, "a.tsv", 'a\t"b\tc\nd\te\tf\n')
    assert read_table(path, ["3", "2"]) == [Row(1, ("c", '"b')), Row(2, ("f", "e"))]


def test_a_row_of_csv_may_have_several_lines(tmp_path):
    path = written(tmp_path, "a.csv", 'a,b\n"one\ntwo",x\n3\n')
    with pytest.raises(InputError, match=r"1 line\(s\).*\n  line 4: 1 columns"):
        read_table(path, ["a", "b"])


@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        ("a.tsv", "a\tb\n1\n2\t3\n4\t \n", ["line 2: 1 columns", "line 4: no value for b"]),
        ("a.tsv", b"a\tb\n\xff\t3\n\xfe\t3\n", ["line 2: .*UTF-8", "line 3: .*UTF-8"]),
        ("a.jsonl", '{"a": 1}\n[]\nx\n{"a": 1, "b": null}\n',
         ["line 1: no text or number for b", "line 2: a list", "line 3: not JSON",
          "line 4: no text or number"]),
    ],
)  # fmt: skip
def test_all_bad_rows_are_listed(tmp_path, name, content, places):
    path = written(tmp_path, name, content)
    with pytest.raises(InputError, match="(?s)" + ".*".join(places)):
        read_table(path, ["a", "b"])


def test_missing_columns_and_empty_files_are_told(tmp_path):
    with pytest.raises(InputError, match="has a, b and lacks c"):
        read_table(written(tmp_path, "a.csv", "a,b\n1,2\n"), ["a", "c"])
    with pytest.raises(InputError, match="has none"):
        read_table(written(tmp_path, "b.csv", "a,b\n"), ["a"])
    with pytest.raises(InputError, match="has none"):
        read_table(written(tmp_path, "c.csv", ""), ["a"])
