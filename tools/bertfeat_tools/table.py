"""Rows of CSV, TSV and JSON-lines files: some columns of them, chosen by name or by number.

Nothing is handed out of a file that has bad rows; all of them are listed together.  Quotes have a
meaning in CSV only: in TSV, as GLUE has it, a quote is a character like any other.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bertfeat.errors import InputError, listed
from bertfeat.features.reader import Line, open_lines

JSON_LINES = (".jsonl", ".json")


class Row(NamedTuple):
    """The chosen values of one row, and the number of its line, counted from 1."""

    line: int
    values: tuple[str, ...]


class Problems:
    """Collects what is wrong with the lines of a file, to tell it all at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: list[str] = []

    def add(self, line: int, reason: str) -> None:
        """Note what is wrong with a line, counted from 1."""
        self._found.append(f"line {line}: {reason}")

    def raise_if_any(self, expected: str) -> None:
        """Raise an error that lists all lines noted so far.

        Raises:
            InputError: there is any.
        """
        if self._found:
            raise InputError(
                f"expected {expected} in {self._path}, {len(self._found)} line(s) differ; repair "
                f"them:{listed(self._found)}"
            )


def read_table(path: Path, columns: Sequence[str], may_be_empty: bool = False) -> list[Row]:
    """Return the chosen columns of every row.

    Args:
        path: ``.csv``, ``.jsonl``, else values with tabs between them; ``.gz`` behind it unpacks.
        columns: names, which the first line (or each JSON object) has, or numbers counted from 1,
            for a file whose first line is a row already.
        may_be_empty: whether a row without a value is a row as well.

    Raises:
        InputError: there are no rows, the header lacks columns, or rows are bad: not UTF-8, of
            another number of columns, without a value.  All are listed.
    """
    lines, problems = read_lines(path), Problems(path)
    suffix = Path(path.name.removesuffix(".gz")).suffix
    if suffix in JSON_LINES:
        found = list(_objects(lines, columns, problems))
    else:
        found = _cells(_split(lines, suffix), columns, path, problems)
    for row in () if may_be_empty else found:
        empty = [name for name, value in zip(columns, row.values, strict=True) if not value.strip()]
        if empty:
            problems.add(row.line, f"no value for {', '.join(empty)}")
    problems.raise_if_any(f"a value for {', '.join(columns)} in each row")
    if not found:
        raise InputError(f"expected rows, {path} has none; give a file with data")
    return found


def read_lines(path: Path) -> list[Line]:
    """Return all lines of a text file, ``.gz`` unpacked; blank ones at the end are left out.

    Raises:
        InputError: lines are not UTF-8; all are listed.
    """
    problems = Problems(path)
    with open_lines(str(path)) as reader:
        lines = list(reader)
    for line in lines:
        if line.error is not None:
            problems.add(line.index + 1, line.error)
    problems.raise_if_any("UTF-8")
    while lines and not lines[-1].text.strip():
        lines.pop()
    if lines:
        lines[0] = Line(0, lines[0].text.removeprefix("\ufeff"))
    return lines


def read_texts(path: Path) -> list[str]:
    """Return the text of each line; blank lines are passed over.

    Raises:
        InputError: lines are not UTF-8; all are listed.
    """
    return [line.text for line in read_lines(path) if line.text.strip()]


def json_objects(lines: Iterable[Line], problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of each line, from 1, and the JSON object in it; note lines without one."""
    for line in lines:
        try:
            content = json.loads(line.text)
        except (ValueError, RecursionError) as error:
            problems.add(line.index + 1, f"not JSON: {error}")
            continue
        if isinstance(content, dict):
            yield line.index + 1, content
        else:
            problems.add(line.index + 1, f"a {type(content).__name__}, not an object")


def _objects(lines: list[Line], columns: Sequence[str], problems: Problems) -> Iterator[Row]:
    for number, content in json_objects(lines, problems):
        missing = [name for name in columns if not isinstance(content.get(name), str | int | float)]
        if missing:
            problems.add(number, f"no text or number for {', '.join(missing)}")
        else:
            yield Row(number, tuple(str(content[name]) for name in columns))


def _split(lines: list[Line], suffix: str) -> list[tuple[int, list[str]]]:
    """Return each row's number and cells; in CSV a row may stretch over several lines."""
    if suffix != ".csv":
        return [(line.index + 1, line.text.split("\t")) for line in lines]
    reader = csv.reader(f"{line.text}\n" for line in lines)
    return [(reader.line_num, cells) for cells in reader]


def _cells(
    rows: list[tuple[int, list[str]]], columns: Sequence[str], path: Path, problems: Problems
) -> list[Row]:
    if not rows:
        return []
    width, has_header = len(rows[0][1]), not all(name.isdecimal() for name in columns)
    places = _places(rows[0][1], columns, has_header, path)
    found = []
    for number, cells in rows[1:] if has_header else rows:
        if len(cells) == width:
            found.append(Row(number, tuple(cells[place] for place in places)))
        else:
            problems.add(number, f"{len(cells)} columns, the first line has {width}")
    return found


def _places(first: list[str], columns: Sequence[str], has_header: bool, path: Path) -> list[int]:
    names = first if has_header else [str(number) for number in range(1, len(first) + 1)]
    missing = [name for name in columns if name not in names]
    if missing:
        raise InputError(
            f"expected the columns {', '.join(columns)}, the first line of {path} has "
            f"{', '.join(names)} and lacks {', '.join(missing)}; choose among them, or by number "
            "(1, 2, …) where the file has no line of names"
        )
    return [names.index(name) for name in columns]
