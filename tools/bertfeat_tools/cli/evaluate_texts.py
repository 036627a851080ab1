"""``bertfeat evaluate segmentation`` and ``triples``: what was found in each text of a file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertfeat_tools.cli.evaluate_lines import COMPARE, FILE, SEED, score_files
from bertfeat_tools.cli.options import CONTEXT, with_options
from bertfeat_tools.scoring.triples import MATCHES

if TYPE_CHECKING:
    from bertfeat_tools.cli.evaluate_lines import Scored


@click.command(context_settings=CONTEXT)
@with_options(
    click.argument("gold", type=FILE),
    click.argument("predictions", type=FILE, nargs=-1, required=True),
    click.option(
        "--words", type=FILE, multiple=True, show_default="none",
        help="Words of the training data, or its segmented texts; repeatable: adds recall of "
        "words that are not in it.",
    ),
    COMPARE, SEED,
)  # fmt: skip
def segmentation(
    gold: Path, predictions: tuple[Path, ...], words: tuple[Path, ...], **options: Any
) -> None:
    """Score word segmentation: precision, recall and F1 of words, recall of unknown ones.

    All files have a sentence a line with blanks between words.  Several files of PREDICTIONS are
    runs of one system: their mean and standard deviation.
    """
    from bertfeat_tools.scoring.segmentation import (
        check_same_text,
        read_sentences,
        read_vocabulary,
        segmentation_statistic,
    )

    sentences = read_sentences(gold)
    vocabulary = read_vocabulary(words) if words else None

    def read(path: Path) -> "Scored":
        found = read_sentences(path)
        check_same_text(sentences, found, path)
        return len(found), segmentation_statistic(sentences, found, vocabulary)

    click.echo(json.dumps(score_files(read, predictions, **options)))


@click.command(context_settings=CONTEXT)
@with_options(
    click.argument("gold", type=FILE),
    click.argument("predictions", type=FILE, nargs=-1, required=True),
    click.option(
        "--match", type=click.Choice(MATCHES), default="strict",
        help="What must agree: offsets and labels of both entities, their offsets, or their text.",
    ),
    COMPARE, SEED,
)  # fmt: skip
def triples(gold: Path, predictions: tuple[Path, ...], match: str, **options: Any) -> None:
    """Score triples of subject, relation and object: precision, recall and F1.

    All files have a JSON object a line with the triples of one text.  Several files of PREDICTIONS
    are runs of one system: their mean and standard deviation.
    """
    from bertfeat_tools.scoring.triples import by_relation, read_triples, triple_statistic

    right = read_triples(gold, match)

    def read(path: Path) -> "Scored":
        return len(right), triple_statistic(right, read_triples(path, match))

    found = score_files(read, predictions, **options)
    if len(predictions) == 1:
        found["relations"] = by_relation(right, read_triples(predictions[0], match))
    click.echo(json.dumps(found))
