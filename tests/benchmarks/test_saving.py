"""A part of a benchmark leaves the results of the whole as they are."""

import json

from saving import save


def test_a_whole_run_goes_to_the_usual_file_and_a_part_only_where_it_is_told(tmp_path, capsys):
    usual, other = tmp_path / "results" / "all.json", tmp_path / "other.json"
    save({"n": 1}, None, usual, True)
    save({"n": 2}, None, usual, False)
    assert json.loads(usual.read_text()) == {"n": 1} and "--output FILE" in capsys.readouterr().err
    save({"n": 3}, other, usual, False)
    assert [json.loads(path.read_text())["n"] for path in (usual, other)] == [1, 3]
