"""Whether an index is what it should be: store, documents, FAISS file, one against the other."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.errors import IndexStoreError
from bertfeat.index.description import IndexDescription
from bertfeat.index.documents import name_ids
from bertfeat.index.searcher import Searcher, same_vectors
from bertfeat.index.store import DocumentStore

SHOWN_PROBLEMS = 20
UNIT_LENGTH_TOLERANCE = 1e-5


@dataclass
class Report:
    """What a check of an index found.

    Attributes:
        documents: how many were read.
        problems: what is wrong, one sentence each; empty for a sound index.
    """

    documents: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, problem: str) -> None:
        """Note a problem; beyond the first twenty they are only counted as more."""
        if len(self.problems) < SHOWN_PROBLEMS:
            self.problems.append(problem)
        elif len(self.problems) == SHOWN_PROBLEMS:
            self.problems.append("… and more")


def verify(folder: Path, description: IndexDescription, store: DocumentStore) -> Report:
    """Check everything, reading each document once; memory holds all vectors."""
    report = Report()
    try:
        with store.transaction():
            for line in store.damage():
                report.add(f"{store.path}: {line}")
            if not report.problems:
                _check_documents(report, description, store)
            if not report.problems:
                _check_vectors(report, Searcher(folder, description, store), description, store)
    except IndexStoreError as error:
        report.add(str(error))
    return report


def _check_documents(report: Report, description: IndexDescription, store: DocumentStore) -> None:
    revision, next_id = store.revision(), store.next_id()
    for row in store.rows():
        report.documents += 1
        for problem in _problems_of(row, description):
            report.add(f"document {row[0]}: {problem}")
        if row[0] >= next_id or row[1] > revision:
            report.add(f"document {row[0]} is newer than the store says it can be")


def _problems_of(row: tuple[Any, ...], description: IndexDescription) -> Iterator[str]:
    number, _, _, metadata, blob = row
    if number < 0:
        yield "its id is negative"
    if metadata is not None and not _is_object(metadata):
        yield "its metadata are no JSON object"
    if not isinstance(blob, bytes) or len(blob) != 4 * description.dim:
        yield f"its vector has not {description.dim} dimensions"
        return
    length = float(np.linalg.norm(np.frombuffer(blob, "<f4").astype(np.float64)))
    if not np.isfinite(length):
        yield "its vector has NaN or infinity in it"
    elif description.metric == "cosine" and abs(length - 1) > UNIT_LENGTH_TOLERANCE:
        yield f"its vector has length {length:.6f} instead of 1"


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _check_vectors(
    report: Report, searcher: Searcher, description: IndexDescription, store: DocumentStore
) -> None:
    snapshot = store.snapshot()
    if snapshot is not None:
        try:
            searcher.read_snapshot(snapshot)
        except ValueError as error:
            report.add(f"{snapshot.name}: {error}; run rebuild")
            return
    vectors = searcher.catch_up()
    if vectors.ntotal != report.documents:
        report.add(f"FAISS has {vectors.ntotal} vectors for {report.documents} documents")
    known = vectors.ids()
    for ids, rows in store.written_since(0, description.dim):
        if (missing := ids[~np.isin(ids, known)]).size:
            report.add(f"FAISS lacks the vectors of ids {name_ids(missing.tolist())}; run rebuild")
        elif not (same := same_vectors(vectors, ids, rows)).all():
            other = name_ids(ids[~same].tolist())
            report.add(f"FAISS has other vectors than the documents for ids {other}; run rebuild")
