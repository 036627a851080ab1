"""What is said on a terminal while lines are read, and at the end."""

import io
import sys

import numpy as np
import pytest

from bertfeat.features.reader import LineReader
from bertfeat.features.writers.journal import Report
from bertfeat.features.writers.rows import VectorRow
from bertfeat_tools.cli.progress import progress_bar, tell


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.txt"
    path.write_bytes(b"line\n" * 3000)
    return path


def shown(monkeypatch, stderr, source, *, quiet=False) -> str:
    monkeypatch.setattr(sys, "stderr", stderr)
    reader = LineReader(io.BytesIO(b""), "in.txt")
    with progress_bar(str(source), quiet=quiet) as watch:
        reader.bytes_read = 7500
        watch(reader, Report(lines=1500))
    return stderr.getvalue()


def test_a_terminal_shows_lines(monkeypatch, source):
    assert "1,500 lines" in shown(monkeypatch, Terminal(), source)


def test_a_pipe_of_unknown_length_shows_lines_too(monkeypatch):
    assert "1,500 lines" in shown(monkeypatch, Terminal(), "-")


def test_a_file_and_a_quiet_terminal_show_nothing(monkeypatch, source):
    assert shown(monkeypatch, io.StringIO(), source) == ""
    assert shown(monkeypatch, Terminal(), source, quiet=True) == ""


def test_cut_and_failed_lines_are_told_with_the_code(capsys):
    report = Report()
    for index in range(30):
        report.note(VectorRow(index, np.zeros(1), index == 4, f"{index}" if index % 2 else None))
    assert tell(report, 128) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == (
        "warning: 1 line(s) are longer than the 128 tokens that are read and were cut, the first "
        "is line 5"
    )
    assert lines[1:-1] == [str(index) for index in range(1, 30, 2)]
    assert lines[-1] == "15 of 30 lines failed"


def test_nothing_is_told_where_all_is_well(capsys):
    assert tell(Report(lines=5), 128) == 0
    assert capsys.readouterr() == ("", "")
