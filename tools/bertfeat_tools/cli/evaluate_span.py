"""``bertfeat evaluate span``: answers to SQuAD's questions, one run or several."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertfeat.checkpoints.folder_files import write_json
from bertfeat_tools.cli.evaluate_lines import COMPARE, FILE, SEED, score_files
from bertfeat_tools.cli.options import CONTEXT, with_options

if TYPE_CHECKING:
    from bertfeat_tools.cli.evaluate_lines import Scored


@click.command(context_settings=CONTEXT)
@with_options(
    click.argument("data", type=FILE),
    click.argument("predictions", type=FILE, nargs=-1, required=True),
    click.option("--null-odds", type=FILE,
                 help="Odds of no answer (SQuAD 2.0): also find the best thresholds."),
    click.option("--ensemble", type=click.Path(dir_okay=False, path_type=Path),
                 help="PREDICTIONS are n-best files of several systems: write here what they find "
                 "likeliest together, and score that."),
    COMPARE, SEED,
)  # fmt: skip
def span(
    data: Path, predictions: tuple[Path, ...], null_odds: Path | None, ensemble: Path | None,
    **options: Any,
) -> None:  # fmt: skip
    """Score answers to SQuAD 1.1 or 2.0: exact match and F1 in percent, as one JSON object.

    DATA is the data set's own file, PREDICTIONS an object of question identifier to answer text.
    Several are runs of one system: their mean and standard deviation.
    """
    from bertfeat_tools.scoring.null_odds import best_thresholds, read_null_odds
    from bertfeat_tools.scoring.span import (
        read_predictions,
        read_questions,
        score_spans,
        span_statistic,
    )

    if ensemble is not None:
        predictions = (_write_ensemble(predictions, ensemble),)
    questions, version_2 = read_questions(data)

    def read(path: Path) -> "Scored":
        answers = read_predictions(path)
        return len(questions), span_statistic(questions, answers, version_2)

    found: dict[str, Any] = {}
    if len(predictions) > 1 or options["against"]:
        found = score_files(read, predictions, **options)
    if len(predictions) == 1:
        found |= score_spans(questions, read_predictions(predictions[0]), version_2)
    if null_odds is not None:
        if len(predictions) > 1:
            raise click.UsageError("--null-odds belongs to one file of predictions")
        answers = read_predictions(predictions[0])
        odds = read_null_odds(null_odds, [q for q in questions if q.id in answers])
        found |= best_thresholds(questions, answers, odds)
    click.echo(json.dumps(found))


def _write_ensemble(n_best: tuple[Path, ...], target: Path) -> Path:
    """Write the answers that n-best files come to together; return the file."""
    from bertfeat_tools.scoring.ensemble import ensemble

    write_json(target, ensemble(n_best))
    return target
