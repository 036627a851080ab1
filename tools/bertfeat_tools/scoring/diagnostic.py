"""GLUE's diagnostic set: Matthews' correlation by linguistic category (Wang et al. 2019, 4)."""

from pathlib import Path

from bertfeat.errors import InputError
from bertfeat_tools.scoring.lines import score_classes
from bertfeat_tools.table import read_table

COARSE = ("Lexical Semantics", "Predicate-Argument Structure", "Logic", "Knowledge")
ALL = "All"


def score_diagnostic(gold: Path, predictions: Path) -> dict[str, dict[str, float | int]]:
    """Score predictions of ``diagnostic-full.tsv``.

    Args:
        gold: that file: categories (``;`` between several of a row), ``Label``.
        predictions: ``index`` and ``prediction`` as submitted, every row in its order.

    Returns:
        Accuracy, MCC and rows of all, of each coarse category and of each of its fine ones
        (``Logic: Negation``).

    Raises:
        InputError: rows are bad, or not as many as there are.
    """
    guessed = [row.values[0] for row in read_table(predictions, ["prediction"])]
    labels = [row.values[0] for row in read_table(gold, ["Label"])]
    if len(labels) != len(guessed):
        raise InputError(
            f"expected a prediction of each of the {len(labels)} rows of {gold}, {predictions} has "
            f"{len(guessed)}"
        )
    rows: dict[str, list[int]] = {ALL: list(range(len(labels)))}
    for name in COARSE:
        for row, cell in enumerate(read_table(gold, [name], may_be_empty=True)):
            fine = [one.strip() for one in cell.values[0].split(";") if one.strip()]
            for category in [name, *(f"{name}: {one}" for one in fine)] if fine else ():
                rows.setdefault(category, []).append(row)
    return {name: _scores([labels[r] for r in own], [guessed[r] for r in own])
            for name, own in rows.items()}  # fmt: skip


def _scores(gold: list[str], guessed: list[str]) -> dict[str, float | int]:
    found = score_classes(gold, guessed)
    return {name: found[name] for name in ("mcc", "accuracy", "total")}
