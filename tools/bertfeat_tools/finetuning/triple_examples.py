"""Texts with their triples, from JSON lines, SKE-2019's lines, and CoNLL04's table of tokens."""

import ast
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bertfeat.errors import InputError
from bertfeat.features.reader import Line
from bertfeat.ner.schemes import to_spans
from bertfeat.tasks.relation_spans import Place
from bertfeat_tools.finetuning.examples import split_labels
from bertfeat_tools.scoring.triples import Triple
from bertfeat_tools.table import Problems, json_objects, read_lines

DOCUMENT = "#doc"
NO_RELATION = "N"


class Part(NamedTuple):
    """A subject or an object: first character, last + 1, label."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class TripleExample:
    """A text with its triples, each subject, relation, object."""

    text: str
    triples: tuple[tuple[Part, str, Part], ...]

    @property
    def relations(self) -> list[str]:
        """The relations that the text holds, sorted."""
        return sorted({relation for _, relation, _ in self.triples})

    def pairs(self, relation: str) -> list[tuple[Place, Place]]:
        """Return where subject and object of each triple of a relation stand."""
        return [(s[:2], o[:2]) for s, name, o in self.triples if name == relation]

    def scored(self, match: str) -> frozenset[Triple]:
        """Return the triples as they are compared: ``strict`` or ``boundaries``."""
        kept = 3 if match == "strict" else 2
        return frozenset(Triple(s[:kept], name, o[:kept]) for s, name, o in self.triples)


def read_triple_examples(path: Path) -> list[TripleExample]:
    """Read a file of texts with triples.

    Args:
        path: JSON lines with ``text`` and ``triples`` as ``bertfeat evaluate triples`` reads them,
            or with ``text`` and ``spo_list`` (SKE-2019); or CoNLL04's tokens below ``#doc`` lines.

    Raises:
        InputError: lines are of another form, or parts do not stand in their text; all are listed.
    """
    lines, problems = read_lines(path), Problems(path)
    if lines and lines[0].text.startswith(DOCUMENT):
        found = _tables(lines, problems)
    else:
        found = [
            example
            for number, content in json_objects(lines, problems)
            if (example := _example(content, number, problems)) is not None
        ]
    problems.raise_if_any("texts with triples whose parts stand in them")
    if not found:
        raise InputError(f"expected texts with triples, {path} has none")
    return found


def drawn(examples: Sequence[TripleExample], count: int | None, seed: int) -> list[TripleExample]:
    """Return so many examples drawn by a seed; all of them if there are no more."""
    if count is None or count >= len(examples):
        return list(examples)
    rows = np.random.default_rng(seed).permutation(len(examples))[:count]
    return [examples[row] for row in rows]


def digest(examples: Iterable[TripleExample]) -> str:
    """Return the hash of all of it."""
    text = json.dumps([[example.text, example.triples] for example in examples])
    return hashlib.sha256(text.encode()).hexdigest()


def schema_of(examples: Iterable[TripleExample]) -> dict[str, list[str]]:
    """Return relation to the labels that its subject and its object have most often."""
    counts: dict[str, Counter[tuple[str, str]]] = {}
    for example in examples:
        for subject, relation, target in example.triples:
            counts.setdefault(relation, Counter())[subject.label, target.label] += 1
    return {name: list(counts[name].most_common(1)[0][0]) for name in sorted(counts)}


def _example(content: dict[str, Any], number: int, problems: Problems) -> TripleExample | None:
    text = content.get("text")
    listed = content.get("triples", content.get("spo_list"))
    if not isinstance(text, str) or not text.strip() or not isinstance(listed, list):
        problems.add(number, 'no "text", or neither "triples" nor "spo_list"')
        return None
    read = _triple if "triples" in content else _ske_triple
    found = []
    for place, one in enumerate(listed):
        triple = read(text, one) if isinstance(one, dict) else None
        if triple is None:
            problems.add(
                number, f"triples[{place}] lacks a part, or one does not stand in the text"
            )
        else:
            _check_name(triple[1], number, problems)
            found.append(triple)
    return TripleExample(text, tuple(dict.fromkeys(found)))


def _triple(text: str, one: dict[str, Any]) -> tuple[Part, str, Part] | None:
    parts = [_part(text, one.get(side)) for side in ("subject", "object")]
    relation = one.get("relation")
    if None in parts or not isinstance(relation, str):
        return None
    return parts[0], relation, parts[1]  # type: ignore[return-value]


def _part(text: str, entity: Any) -> Part | None:
    if not isinstance(entity, dict):
        return None
    start, end, label = (entity.get(name) for name in ("start", "end", "label"))
    if not isinstance(start, int) or not isinstance(end, int) or not isinstance(label, str):
        return None
    if not 0 <= start < end <= len(text):
        return None
    told = entity.get("text", text[start:end])
    return Part(start, end, label) if told == text[start:end] else None


def _ske_triple(text: str, one: dict[str, Any]) -> tuple[Part, str, Part] | None:
    """Return a triple that is given by its words alone: where they stand closest together."""
    names = ("subject", "object", "predicate", "subject_type", "object_type")
    values = [one.get(name) for name in names]
    if not all(isinstance(value, str) and value for value in values):
        return None
    subject, target, relation, *labels = map(str, values)
    places = [
        (abs(s - o), s, o) for s in _occurrences(text, subject) for o in _occurrences(text, target)
    ]
    if not places:
        return None
    _, s, o = min(places)
    return Part(s, s + len(subject), labels[0]), relation, Part(o, o + len(target), labels[1])


def _occurrences(text: str, part: str) -> list[int]:
    """Return where words stand in a text, whatever their case, if that keeps their length."""
    folded, wanted = text.lower(), part.lower()
    if len(folded) != len(text) or len(wanted) != len(part):
        folded, wanted = text, part
    return [at for at in range(len(folded) - len(wanted) + 1) if folded.startswith(wanted, at)]


def _check_name(relation: str, number: int, problems: Problems) -> None:
    if split_labels(relation) != [relation]:
        problems.add(number, f"{relation!r} cannot be a relation's name beside others")


def _tables(lines: Sequence[Line], problems: Problems) -> list[TripleExample]:
    """Read CoNLL04: number, word, tag, relations, and for each the last token of its object."""
    found: list[TripleExample] = []
    rows: list[tuple[int, list[str]]] = []
    for line in [*lines, Line(len(lines), DOCUMENT)]:
        cells = line.text.split("\t")
        if line.text.startswith(DOCUMENT):
            if rows:
                found.append(_table(rows, problems))
            rows = []
        elif len(cells) == 5:
            rows.append((line.index + 1, cells))
        elif line.text.strip():
            problems.add(line.index + 1, f"{len(cells)} columns, 5 are due")
    return found


def _table(rows: list[tuple[int, list[str]]], problems: Problems) -> TripleExample:
    words = [row[1] for _, row in rows]
    ends = np.cumsum([len(word) + 1 for word in words]) - 1
    spans = to_spans([row[2] for _, row in rows])
    parts = {
        stop - 1: Part(int(ends[start]) - len(words[start]), int(ends[stop - 1]), kind)
        for start, stop, kind in spans
    }
    triples = []
    for place, (number, row) in enumerate(rows):
        try:
            names, heads = ast.literal_eval(row[3]), ast.literal_eval(row[4])
            pairs = [pair for pair in zip(names, heads, strict=True) if pair[0] != NO_RELATION]
            triples += [(parts[place], str(name), parts[int(head)]) for name, head in pairs]
        except (ValueError, SyntaxError, TypeError, KeyError):
            problems.add(number, f"relations {row[3]} {row[4]} between what?")
            continue
        for name, _ in pairs:
            _check_name(str(name), number, problems)
    return TripleExample(" ".join(words), tuple(dict.fromkeys(triples)))
