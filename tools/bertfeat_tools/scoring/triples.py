"""Triples of subject, relation and object: precision, recall and F1, each triple counted once.

What makes two triples the same is chosen by name: ``strict`` compares both entities' offsets and
labels and the relation, as the strict figures for CoNLL04 do (Bekoulis et al. 2018; SpERT);
``boundaries`` leaves the labels out; ``text`` compares the words alone, as for SKE-2019.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bertfeat.errors import InputError
from bertfeat_tools.table import Problems, json_objects, read_lines

MATCHES = ("strict", "boundaries", "text")
PARTS = {"strict": ("start", "end", "label"), "boundaries": ("start", "end"), "text": ("text",)}
KINDS: dict[str, type] = {"start": int, "end": int, "label": str, "text": str}
Entity = tuple[Any, ...]


class Triple(NamedTuple):
    """What is compared: the chosen parts of both entities, and the relation's name."""

    subject: Entity
    relation: str
    object: Entity


def read_triples(path: Path, match: str = "strict") -> list[frozenset[Triple]]:
    """Return the triples of each line.

    A line is a JSON object with ``triples``, a list of objects with ``subject``, ``relation`` and
    ``object``.  An entity is an object with ``start`` and ``end`` in characters, ``label`` and
    ``text``, as far as they are compared, or for ``text`` a bare string.

    Args:
        path: the file.
        match: what is compared, one of ``MATCHES``.

    Raises:
        InputError: lines are of another form; all are listed.
    """
    lines, problems = read_lines(path), Problems(path)
    found = []
    for number, content in json_objects(lines, problems):
        triples = content.get("triples")
        if isinstance(triples, list):
            found.append(frozenset(_triples(triples, match, number, problems)))
        else:
            problems.add(number, "no list of triples")
    problems.raise_if_any(f"triples with {', '.join(PARTS[match])} of both entities")
    return found


def triple_statistic(
    gold: list[frozenset[Triple]], predicted: list[frozenset[Triple]]
) -> Callable[[NDArray[np.intp]], dict[str, float]]:
    """Return scores over all triples as a function of the lines chosen.

    They are ``precision``, ``recall`` and ``f1``, and ``macro_f1``, the mean of the F1 of each
    relation that either side has.

    Raises:
        InputError: the numbers of lines differ.
    """
    if len(gold) != len(predicted) or not gold:
        raise InputError(
            f"expected as many lines in both files and at least one, there are {len(gold)} and "
            f"{len(predicted)}; give the triples of every text, in order"
        )
    table = _table(gold, predicted)

    def score(rows: NDArray[np.intp]) -> dict[str, float]:
        counts = table[:, rows].sum(axis=1)
        seen = counts[counts[:, 1:].sum(axis=1) > 0]
        return {**_scores(*counts.sum(axis=0)), "macro_f1": _mean_f1(seen)}

    return score


def by_relation(
    gold: list[frozenset[Triple]], predicted: list[frozenset[Triple]]
) -> dict[str, dict[str, float]]:
    """Return precision, recall, F1 and the number of gold triples of each relation."""
    sums = _table(gold, predicted).sum(axis=1)
    return {
        name: {**_scores(*counts), "gold": int(counts[1])}
        for name, counts in zip(_relations(gold, predicted), sums, strict=True)
    }


def _triples(triples: list[Any], match: str, line: int, problems: Problems) -> list[Triple]:
    found = []
    for place, triple in enumerate(triples):
        parts = triple if isinstance(triple, dict) else {}
        subject, target = (_entity(parts.get(side), match) for side in ("subject", "object"))
        relation = parts.get("relation")
        if subject is None or target is None or not isinstance(relation, str):
            problems.add(line, f"triples[{place}] lacks a part")
        else:
            found.append(Triple(subject, relation, target))
    return found


def _entity(entity: Any, match: str) -> Entity | None:
    """Return the parts that are compared, or None where one is missing."""
    if isinstance(entity, str):
        entity = {"text": entity}
    if not isinstance(entity, dict):
        return None
    values = [(part, entity.get(part)) for part in PARTS[match]]
    if not all(isinstance(value, KINDS[part]) for part, value in values):
        return None
    return tuple(value for _, value in values)


def _relations(*sides: list[frozenset[Triple]]) -> list[str]:
    return sorted({triple.relation for side in sides for line in side for triple in line})


def _table(gold: list[frozenset[Triple]], predicted: list[frozenset[Triple]]) -> NDArray[np.int64]:
    """Count right, gold and predicted triples, (relations, lines, 3)."""
    at = {name: place for place, name in enumerate(_relations(gold, predicted))}
    table = np.zeros((len(at), len(gold), 3), np.int64)
    for row, (left, right) in enumerate(zip(gold, predicted, strict=True)):
        for kind, triples in enumerate((left & right, left, right)):
            for triple in triples:
                table[at[triple.relation], row, kind] += 1
    return table


def _scores(right: int, gold: int, predicted: int) -> dict[str, float]:
    return {
        "precision": float(right / predicted) if predicted else 0.0,
        "recall": float(right / gold) if gold else 0.0,
        "f1": float(2 * right / (gold + predicted)) if gold + predicted else 0.0,
    }


def _mean_f1(counts: NDArray[np.int64]) -> float:
    return float(np.mean([_scores(*row)["f1"] for row in counts])) if len(counts) else 0.0
