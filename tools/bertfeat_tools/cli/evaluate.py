"""``bertfeat evaluate``: scores of prediction files, ours or other programs'."""

import json
from pathlib import Path

import click

from bertfeat_tools.cli.options import CONTEXT

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(context_settings=CONTEXT)
def evaluate() -> None:
    """Score predictions."""


@evaluate.command(context_settings=CONTEXT)
@click.argument("data", type=FILE)
@click.argument("predictions", type=FILE)
def span(data: Path, predictions: Path) -> None:
    """Score answers to SQuAD 1.1 or 2.0: exact match and F1, as one JSON object.

    DATA is the data set's own file, PREDICTIONS an object of question identifier to answer text.
    """
    from bertfeat_tools.scoring.span import read_predictions, read_questions, score_spans

    questions, version_2 = read_questions(data)
    click.echo(json.dumps(score_spans(questions, read_predictions(predictions), version_2)))


@evaluate.command(context_settings=CONTEXT)
@click.argument("gold", type=FILE)
@click.argument("predictions", type=FILE)
def classify(gold: Path, predictions: Path) -> None:
    """Score class labels, one a line in both files: accuracy, macro F1, Matthews' correlation."""
    from bertfeat_tools.scoring.lines import read_pairs, score_classes

    click.echo(json.dumps(score_classes(*read_pairs(gold, predictions))))


@evaluate.command(context_settings=CONTEXT)
@click.argument("gold", type=FILE)
@click.argument("predictions", type=FILE)
def sts(gold: Path, predictions: Path) -> None:
    """Score similarities, one number a line in both files: Spearman and Pearson."""
    from bertfeat_tools.scoring.lines import as_scores, read_pairs, score_similarities

    left, right = read_pairs(gold, predictions)
    click.echo(json.dumps(score_similarities(as_scores(left), as_scores(right))))
