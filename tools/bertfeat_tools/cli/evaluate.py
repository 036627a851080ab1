"""``bertfeat evaluate``: scores of prediction files, ours or other programs'."""

import json
from pathlib import Path

import click

from bertfeat_tools.cli.evaluate_lines import FILE, classify
from bertfeat_tools.cli.evaluate_probe import probe
from bertfeat_tools.cli.evaluate_retrieval import retrieval
from bertfeat_tools.cli.evaluate_sts import sts
from bertfeat_tools.cli.evaluate_tag import tag
from bertfeat_tools.cli.evaluate_texts import segmentation, triples
from bertfeat_tools.cli.options import CONTEXT


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


for command in (classify, probe, retrieval, segmentation, sts, tag, triples):
    evaluate.add_command(command)
