"""Relation extraction under torch and transformers, in the steps of ``bertfeat train relation``.

One model tells which relations a text holds, another tags subject and object behind a relation's
name; each keeps the epoch that is best by itself.  Which subject goes with which object is one rule
for both sides.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any

from bertfeat.ner.schemes import to_spans
from bertfeat.tasks.relation_spans import BOTH, LABELS, OBJECT, SUBJECT, Place, paired
from torch_fine_tuning import predict
from torch_jobs import IGNORED, Batch, Classify, Rows, Tag, objects
from torch_training import fit, told


class Relations(Classify):
    """Which of several relations a text holds."""

    def read(self) -> None:
        """Tokenize both files; number the relations."""
        parts = [objects(path) for path in (self.options.train, self.options.dev)]
        self.known = sorted({name for row in parts[0] for name in relations_of(row)})
        self.train, self.dev = (self.rows(part) for part in parts)
        self.model = self.load(
            num_labels=len(self.known), problem_type="multi_label_classification"
        )

    def rows(self, part: Rows) -> Rows:
        """Tokenize some rows; a label is 1 for each relation that is there."""
        return [
            {**self.tokens(row["text"]),
             "labels": [float(name in relations_of(row)) for name in self.known]}
            for row in part
        ]  # fmt: skip

    def predictions(self, logits: Sequence[Any]) -> Any:
        """Return the relations of each row that are likelier than not."""
        return [
            [name for name, value in zip(self.known, row, strict=True) if value > 0]
            for row in logits
        ]


class Parts(Tag):
    """Subjects and objects of one relation of one text.

    Attributes:
        asked: pairs of a relation's name and a text of the held-out part.
    """

    def read(self) -> None:
        """Tokenize each relation of each text by itself."""
        self.known = list(LABELS)
        self.asked: list[tuple[str, str]] = []
        self.train, self.dev = (
            [self.asked_row(name, row) for row in objects(path) for name in relations_of(row)]
            for path in (self.options.train, self.options.dev)
        )
        self.model = self.load(num_labels=len(LABELS))

    def asked_row(self, name: str, row: Batch) -> Batch:
        """Tokenize a relation and a text; each token of the text has a tag."""
        found = self.tokenizer(
            name, row["text"], truncation="only_second", max_length=self.options.max_seq_len,
            return_offsets_mapping=True,
        )  # fmt: skip
        offsets, sides = found.pop("offset_mapping"), found.sequence_ids()
        places = [p if side == 1 else None for p, side in zip(offsets, sides, strict=True)]
        return {**found, "labels": _tags(places, _pairs(row, name)), "places": places}

    def predictions(self, logits: Sequence[Any]) -> Any:
        """Return subjects with their objects of each row."""
        return [
            _decoded([place or (0, 0) for place in row["places"]],
                     [LABELS[int(v.argmax())] if place else "O"
                      for place, v in zip(row["places"], values, strict=False)])
            for row, values in zip(self.dev, logits, strict=True)
        ]  # fmt: skip


def relations_of(row: Batch) -> list[str]:
    """Return the relations of a text."""
    return sorted({triple["relation"] for triple in row["triples"]})


def _pairs(row: Batch, name: str) -> list[tuple[Place, Place]]:
    return [
        ((t["subject"]["start"], t["subject"]["end"]), (t["object"]["start"], t["object"]["end"]))
        for t in row["triples"]
        if t["relation"] == name
    ]


def _tags(places: Sequence[Place | None], pairs: Sequence[tuple[Place, Place]]) -> list[int]:
    """Tag tokens; what is longer goes first where parts overlap."""
    subjects, targets = ({pair[side] for pair in pairs} for side in (0, 1))
    tags = [IGNORED if place is None else 0 for place in places]
    for start, end in sorted(subjects | targets, key=lambda p: (p[0] - p[1], p)):
        both = (start, end) in subjects & targets
        kind = BOTH if both else SUBJECT if (start, end) in subjects else OBJECT
        inside = [n for n, p in enumerate(places) if p is not None and p[0] < end and p[1] > start]
        if any(tags[n] > 0 for n in inside):
            continue
        for n in inside:
            tags[n] = LABELS.index(f"{'B' if n == inside[0] else 'I'}-{kind}")
    return tags


def _decoded(places: Sequence[Place], tags: Sequence[str]) -> list[tuple[Place, Place]]:
    spans = [(kind, (places[a][0], places[b - 1][1])) for a, b, kind in to_spans(tags)]
    sides = [
        sorted(place for kind, place in spans if kind in (side, BOTH)) for side in (SUBJECT, OBJECT)
    ]
    return paired(*sides)


def best_of(job: Any, options: argparse.Namespace, score: Callable[[Any], float]) -> float:
    """Train a job, leave it with the weights of its best epoch, and return the seconds."""
    best: list[Any] = [-1.0, {}]

    def each() -> None:
        if (found := score(predict(job))) > best[0]:
            best[:] = found, {k: v.clone() for k, v in job.model.state_dict().items()}

    took = fit(job.model, job.train, lambda rows: job.loss(job.collate(rows)), options, each)
    job.model.load_state_dict(best[1])
    return took


def f1(gold: list[frozenset[Any]], found: list[frozenset[Any]]) -> float:
    """Return the micro F1 of sets."""
    right = sum(len(a & b) for a, b in zip(gold, found, strict=True))
    return 2 * right / max(1, sum(map(len, gold)) + sum(map(len, found)))


def main() -> None:
    """Read the command line, train both, write the triples of the held-out texts."""
    options = told(__doc__, ["relation"])
    rows = objects(options.dev)
    first = Relations(options)
    wanted = [frozenset(relations_of(row)) for row in rows]
    took = best_of(first, options, lambda found: f1(wanted, [frozenset(one) for one in found]))
    second = Parts(options)
    asked = [frozenset(_pairs(row, name)) for row in rows for name in relations_of(row)]
    took += best_of(second, options, lambda found: f1(asked, [frozenset(one) for one in found]))
    pairs = [(n, name) for n, names in enumerate(predict(first)) for name in names]
    second.dev = [second.asked_row(name, {**rows[n], "triples": []}) for n, name in pairs]
    triples: list[list[Any]] = [[] for _ in rows]
    for (n, name), found in zip(pairs, predict(second), strict=True):
        triples[n] += [(subject, name, target) for subject, target in found]
    options.output.write_text(json.dumps({"train_s": round(took, 2), "predictions": [triples]}))


if __name__ == "__main__":
    main()
