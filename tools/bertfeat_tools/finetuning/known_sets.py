"""Data sets known by name, as their owners lay them out: GLUE, XNLI, LCQMC, ChnSentiCorp."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertfeat.errors import InputError
from bertfeat_tools.finetuning.examples import PROBLEMS, Examples, read_examples
from bertfeat_tools.table import read_table

LANGUAGES = tuple("ar,bg,de,el,en,es,fr,hi,ru,sw,th,tr,ur,vi,zh".split(","))  # noqa: SIM905
"""Those of XNLI."""
HIGHEST = 5.0
"""Of STS-B's scores; what is submitted lies between 0 and this."""


@dataclass(frozen=True)
class Task:
    """One of GLUE's tasks, or another known data set.

    Attributes:
        train, dev: names of the files in its folder; ``{}`` stands for the language.
        columns: of the texts and of the label, by name or by number.
        problem: one of ``PROBLEMS``.
        metric: the one that the task is judged by.
        positive: the label whose F1 counts.
        dev_columns: where the held-out file has others; a last one more is its language.
        renamed: labels of the training file that have other names elsewhere.
        test: name of the file without labels, for GLUE's submissions.
        test_columns: its row's number and its texts.
        submission: name of the file with the predictions.
    """

    train: str
    dev: str
    columns: tuple[str, ...]
    problem: str = PROBLEMS[0]
    metric: str = "accuracy"
    positive: str | None = None
    dev_columns: tuple[str, ...] = ()
    renamed: dict[str, str] = field(default_factory=dict)
    test: str = ""
    test_columns: tuple[str, ...] = ()
    submission: str = ""

    def read(self, folder: Path, language: str = "en") -> tuple[Examples, Examples]:
        """Return what is trained on and what is held out.

        Raises:
            InputError: rows are bad; all are listed.
        """
        train = read_examples(folder / self.train.format(language), self.columns)
        for place, label in enumerate(train.labels):
            train.labels[place] = self.renamed.get(label, label)
        if not self.dev_columns:
            return train, read_examples(folder / self.dev, self.columns)
        return train, _of_language(folder / self.dev, self.dev_columns, language)


def _glue(name: str, texts: Sequence[str], label: str, **more: Any) -> Task:
    facts: dict[str, Any] = {
        "train": "train.tsv",
        "dev": "dev.tsv",
        "test": "test.tsv",
        "submission": name,
    }
    facts |= {"columns": (*texts, label), "test_columns": ("index", *texts)}
    return Task(**facts | more)


PAIR = ("sentence1", "sentence2")
TASKS = {
    "cola": _glue("CoLA", ("4",), "2", test_columns=("index", "sentence"), metric="mcc"),
    "sst-2": _glue("SST-2", ("sentence",), "label"),
    "mrpc": _glue("MRPC", ("#1 String", "#2 String"), "Quality", metric="f1", positive="1"),
    "sts-b": _glue("STS-B", PAIR, "score", problem="regression", metric="spearman"),
    "qqp": _glue("QQP", ("question1", "question2"), "is_duplicate", metric="f1", positive="1",
                 test_columns=("id", "question1", "question2")),
    "mnli": _glue("MNLI-m", PAIR, "gold_label", dev="dev_matched.tsv", test="test_matched.tsv"),
    "mnli-mm": _glue("MNLI-mm", PAIR, "gold_label", dev="dev_mismatched.tsv",
                     test="test_mismatched.tsv"),
    "ax": _glue("AX", PAIR, "gold_label", dev="dev_matched.tsv", test="diagnostic.tsv"),
    "qnli": _glue("QNLI", ("question", "sentence"), "label"),
    "rte": _glue("RTE", PAIR, "label"),
    "wnli": _glue("WNLI", PAIR, "label"),
    "xnli": Task("multinli/multinli.train.{}.tsv", "xnli.dev.tsv", ("premise", "hypo", "label"),
                 dev_columns=(*PAIR, "gold_label", "language"),
                 renamed={"contradictory": "contradiction"}),
    "lcqmc": Task("train.txt", "dev.txt", ("1", "2", "3")),
    "chnsenticorp": Task("train.tsv", "dev.tsv", ("text_a", "label")),
}  # fmt: skip
GLUE = {name: task for name, task in TASKS.items() if task.submission}


def submission(task: Task, folder: Path, predictor: Any) -> Iterator[str]:
    """Yield the lines of GLUE's file of predictions for a task's rows without labels.

    Args:
        task: one of ``GLUE``.
        folder: of its files.
        predictor: a :class:`bertfeat.tasks.Predictor` whose labels are the task's.

    Raises:
        InputError: rows are bad (all are listed).
    """
    rows = read_table(folder / task.test, task.test_columns)
    items = [row.values[1] if len(row.values) == 2 else row.values[1:] for row in rows]
    yield "index\tprediction"
    for row, found in zip(rows, predictor.predict(items), strict=True):
        value = found.label
        if task.problem == "regression":
            value = f"{min(max(found.score, 0.0), HIGHEST):.3f}"
        yield f"{row.values[0]}\t{value}"


def _of_language(path: Path, columns: Sequence[str], language: str) -> Examples:
    """Read the pairs of a file that are in one language, which its last column names."""
    rows = [row for row in read_table(path, columns) if row.values[-1] == language]
    if not rows:
        raise InputError(f"{path} has no rows whose {columns[-1]} is {language}")
    items: list[str | tuple[str, str]] = [(row.values[0], row.values[1]) for row in rows]
    return Examples(items, [row.values[2] for row in rows], [row.line for row in rows], path)
