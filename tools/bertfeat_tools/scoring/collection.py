"""Texts by id, and their exact neighbours: what it takes to rank a test collection with vectors.

Three layouts are read: BEIR's JSON lines, lines of id and text with a tab between them, and SMART's
sections (``.I`` id, ``.T`` title, ``.W`` text), in which Cranfield and its contemporaries come.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bertfeat.errors import InputError
from bertfeat.features.reader import Line
from bertfeat.index.flat import FlatVectors
from bertfeat_tools.scoring.judgements import Run
from bertfeat_tools.scoring.similarity import unit_vectors
from bertfeat_tools.table import Problems, json_objects, read_lines

Entry = tuple[int, str, str]
SECTIONS = (".A", ".B", ".C", ".K", ".N", ".T", ".W", ".X")


def read_texts(path: Path, *, by_place: bool = False) -> dict[str, str]:
    """Return the text of each id; a title, where there is one, stands before it.

    Args:
        path: the file; ``.gz`` is unpacked.
        by_place: the ids are 1, 2 … in the order of the file, whatever it says, as Cranfield's
            judgements count its queries.

    Raises:
        InputError: lines are of no known form or ids occur twice; all are listed.  Or no texts.
    """
    lines, problems = read_lines(path), Problems(path)
    found: dict[str, str] = {}
    for place, (line, name, text) in enumerate(_entries(lines, problems), 1):
        identity = str(place) if by_place else name
        if identity in found:
            problems.add(line, f"id {identity} a second time")
        found[identity] = text
    problems.raise_if_any("an id and a text each")
    if not found:
        raise InputError(f"expected texts, {path} has none; give a file with data")
    return found


def rank_by_vectors(
    queries: tuple[Sequence[str], NDArray[np.float32]],
    documents: tuple[Sequence[str], NDArray[np.float32]],
    depth: int,
    *,
    cosine: bool,
) -> Run:
    """Return each query's best documents by brute force.

    Args:
        queries: ids, and vectors (n, dim).
        documents: ids, and vectors (m, dim).
        depth: documents kept of each ranking.
        cosine: compare directions; else inner products.
    """
    (asked, left), (names, right) = queries, documents
    if cosine:
        left, right = unit_vectors(left), unit_vectors(right)
    vectors = FlatVectors(right.shape[1], "inner_product")
    vectors.add(np.arange(len(names)), right)
    places, scores = vectors.search(left, min(depth, len(names)))
    return {
        query: {names[at]: float(score) for at, score in zip(found, values, strict=True)}
        for query, found, values in zip(asked, places.tolist(), scores, strict=True)
    }


def _entries(lines: list[Line], problems: Problems) -> Iterator[Entry]:
    first = lines[0].text if lines else ""
    if first.startswith(".I"):
        return _smart(lines)
    return _objects(lines, problems) if first.startswith("{") else _tabs(lines, problems)


def _objects(lines: list[Line], problems: Problems) -> Iterator[Entry]:
    for number, content in json_objects(lines, problems):
        name = content.get("_id", content.get("id"))
        if name is None or not isinstance(content.get("text"), str):
            problems.add(number, "lacks _id or text")
        else:
            yield number, str(name), f"{content.get('title') or ''} {content['text']}".strip()


def _tabs(lines: list[Line], problems: Problems) -> Iterator[Entry]:
    for line in lines:
        name, tab, text = line.text.partition("\t")
        if tab:
            yield line.index + 1, name, text.strip()
        else:
            problems.add(line.index + 1, "no tab between id and text")


def _smart(lines: list[Line]) -> Iterator[Entry]:
    """Yield SMART's records; a text that repeats its title keeps it once."""
    number, name, section = 0, "", ""
    parts: dict[str, list[str]] = {}
    for line in [*lines, Line(len(lines), ".I")]:
        mark = line.text.split(maxsplit=1)
        if mark and mark[0] == ".I":
            if number:
                title, text = (" ".join(" ".join(parts.get(k, [])).split()) for k in (".T", ".W"))
                yield number, name, text if text.startswith(title) else f"{title} {text}".strip()
            number, name, parts = line.index + 1, "".join(mark[1:]), {}
        elif line.text.strip() in SECTIONS:
            section = line.text.strip()
        else:
            parts.setdefault(section, []).append(line.text)
