"""``bertfeat evaluate classify`` and ``sts``: files with one value a line, one run or several."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertfeat_tools.cli.options import CONTEXT, with_options
from bertfeat_tools.scoring.bootstrap import RESAMPLES

if TYPE_CHECKING:
    from bertfeat_tools.scoring.bootstrap import Statistic

    Scored = tuple[int, Statistic]

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
COMPARE = (
    click.option(
        "--against", type=FILE, multiple=True, metavar="FILE",
        help="Predictions of another system, repeatable: a paired bootstrap compares the means.",
    ),
    click.option(
        "--resamples", type=click.IntRange(1), default=RESAMPLES, help="Draws of the bootstrap."
    ),
)  # fmt: skip
SEED = click.option("--seed", type=int, default=0, help="Of the bootstrap's draws.")


@click.command(context_settings=CONTEXT)
@with_options(
    click.argument("gold", type=FILE),
    click.argument("predictions", type=FILE, nargs=-1, required=True),
    click.option(
        "--positive", metavar="LABEL", show_default="none",
        help="Add precision, recall and F1 of this label.",
    ),
    COMPARE, SEED,
)  # fmt: skip
def classify(
    gold: Path, predictions: tuple[Path, ...], positive: str | None, **options: Any
) -> None:
    """Score class labels, one a line: accuracy, macro F1, Matthews' correlation.

    Several files of PREDICTIONS are runs of one system: their mean and standard deviation.
    """
    from bertfeat_tools.scoring.lines import class_statistic, read_pairs

    def read(path: Path) -> "Scored":
        left, right = read_pairs(gold, path)
        return len(left), class_statistic(left, right, positive)

    click.echo(json.dumps(score_files(read, predictions, **options)))


def score_files(
    read: Callable[[Path], "Scored"],
    predictions: Sequence[Path],
    against: Sequence[Path],
    **options: int,
) -> dict[str, Any]:
    """Do as :func:`score_runs` for files.

    Args:
        read: gives a file's number of rows and its scores as a function of the rows.
        predictions: the runs of the system that is scored.
        against: those of another.
        options: of the bootstrap.
    """
    return score_runs([read(path) for path in predictions], map(read, against), **options)


def score_runs(
    ours: Sequence["Scored"], against: Iterable["Scored"], resamples: int, seed: int
) -> dict[str, Any]:
    """Return the scores of one run, or mean and sd of several, compared to others if given.

    A score that is defined on no row of a run is left out.
    """
    import numpy as np

    from bertfeat_tools.scoring.bootstrap import mean_and_sd, mean_of, paired_bootstrap

    total, theirs = ours[0][0], list(against)
    scores = [run(np.arange(total)) for _, run in ours]
    defined = [name for name in scores[0] if all(np.isfinite(one[name]) for one in scores)]
    scores = [{name: one[name] for name in defined} for one in scores]
    found: dict[str, Any] = dict(scores[0]) if len(scores) == 1 else mean_and_sd(scores)
    found |= {"total": total} | ({"runs": len(scores)} if len(scores) > 1 else {})
    if not theirs:
        return found
    left, right = (mean_of([run for _, run in runs]) for runs in (ours, theirs))
    compared = paired_bootstrap(total, left, right, resamples=resamples, seed=seed)
    return found | {"against": {name: one._asdict() for name, one in compared.items()}}


@click.command(context_settings=CONTEXT)
@click.argument("gold", type=FILE)
@click.argument("predictions", type=FILE)
def diagnostic(gold: Path, predictions: Path) -> None:
    """Score predictions of GLUE's diagnostic-full.tsv: MCC and accuracy by category, as JSON."""
    from bertfeat_tools.scoring.diagnostic import score_diagnostic

    click.echo(json.dumps(score_diagnostic(gold, predictions)))
