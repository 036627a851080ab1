"""Relevance judgements and rankings in files: TREC's columns, BEIR's table, JSON lines."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from bertfeat.checkpoints.whole_file import whole_file
from bertfeat.errors import InputError
from bertfeat.features.reader import Line
from bertfeat_tools.scoring.lines import is_finite
from bertfeat_tools.table import Problems, json_objects, read_lines

Number = TypeVar("Number", int, float)
Qrels = dict[str, dict[str, int]]
"""Query to document to relevance; 0 and less is not relevant."""
Run = dict[str, dict[str, float]]
"""Query to document to score, higher is better."""

BEIR_HEADER = ["query-id", "corpus-id", "score"]
KEYS = (("query_id", "query-id"), ("document_id", "corpus-id"), ("relevance", "score"))
Entry = tuple[int, str, str, str]


def read_qrels(path: Path) -> Qrels:
    """Return the judgements of a file.

    Its lines are TREC's (query, unused, document, relevance), BEIR's (query, document, relevance
    with tabs between them below a line of names), or JSON objects with ``query_id``,
    ``document_id`` and ``relevance``, or with BEIR's names.

    Raises:
        InputError: lines are of another form or judge a document twice; all are listed.
    """
    lines, problems = read_lines(path), Problems(path)
    return _collect(_judged(lines, problems), int, problems, "judgements")


def read_run(path: Path) -> Run:
    """Return the scores of a TREC run: query, ``Q0``, document, rank, score, name.

    The rank is not looked at: as in ``trec_eval`` the score alone decides.

    Raises:
        InputError: lines are of another form or rank a document twice; all are listed.
    """
    lines, problems = read_lines(path), Problems(path)
    rows = _columns(lines, 6, (0, 2, 4), problems)
    return _collect(rows, _finite, problems, "query, Q0, document, rank, score, name")


def write_run(path: Path, run: Run, name: str) -> None:
    """Write a TREC run, best first.

    Raises:
        InputError: ids hold blanks, which separate the columns; all are listed.
    """
    ids = {*run, *(document for scores in run.values() for document in scores)}
    bad = sorted(text for text in ids if text.split() != [text])
    if bad:
        raise InputError(
            f"expected ids without blanks, got {', '.join(map(repr, bad))}; a TREC run cannot hold "
            "them, rename them"
        )
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for query, scores in run.items():
            for rank, document in enumerate(ranking(scores), 1):
                file.write(f"{query} Q0 {document} {rank} {scores[document]:.9g} {name}\n")


def ranking(scores: dict[str, float]) -> list[str]:
    """Return documents by falling score; equal ones by falling id, as ``trec_eval`` has it."""
    return sorted(scores, key=lambda document: (scores[document], document), reverse=True)


def _judged(lines: list[Line], problems: Problems) -> Iterator[Entry]:
    if lines and lines[0].text.startswith("{"):
        return _named(lines, problems)
    if lines and lines[0].text.rstrip("\r").split("\t") == BEIR_HEADER:
        return _columns(lines[1:], 3, (0, 1, 2), problems)
    return _columns(lines, 4, (0, 2, 3), problems)


def _named(lines: list[Line], problems: Problems) -> Iterator[Entry]:
    for number, content in json_objects(lines, problems):
        values = [next((content[key] for key in keys if key in content), None) for keys in KEYS]
        if None in values:
            problems.add(number, f"lacks one of {', '.join(keys[0] for keys in KEYS)}")
        else:
            query, document, relevance = map(str, values)
            yield number, query, document, relevance


def _columns(
    lines: list[Line], width: int, places: tuple[int, int, int], problems: Problems
) -> Iterator[Entry]:
    for line in lines:
        cells = line.text.split()
        if len(cells) == width:
            yield line.index + 1, cells[places[0]], cells[places[1]], cells[places[2]]
        else:
            problems.add(line.index + 1, f"{len(cells)} columns instead of {width}")


def _collect(
    rows: Iterable[Entry],
    number: Callable[[str], Number],
    problems: Problems,
    expected: str,
) -> dict[str, dict[str, Number]]:
    found: dict[str, dict[str, Number]] = {}
    for line, query, document, value in rows:
        known = found.setdefault(query, {})
        if document in known:
            problems.add(line, f"query {query} has document {document} a second time")
            continue
        try:
            known[document] = number(value)
        except ValueError:
            problems.add(line, f"{value!r} is no number as expected here")
    problems.raise_if_any(expected)
    return found


def _finite(value: str) -> float:
    if not is_finite(value):
        raise ValueError(value)
    return float(value)
