"""``bertfeat evaluate sts``: similarities of a file, or of a model's vectors."""

import json
from pathlib import Path
from typing import Any

import click

from bertfeat_tools.cli.evaluate_lines import COMPARE, FILE, score_files
from bertfeat_tools.cli.model_vectors import ENCODER, names, vector_options
from bertfeat_tools.cli.options import CONTEXT, load_encoder, with_options


@click.command(context_settings=CONTEXT)
@with_options(
    click.argument("gold", type=FILE),
    click.argument("predictions", type=FILE, nargs=-1),
    click.option(
        "--columns", default="sentence1,sentence2,score", callback=names, metavar="A,B,SCORE",
        help="With a model: names, or numbers from 1 for a file without a line of names.",
    ),
    COMPARE, ENCODER,
)  # fmt: skip
def sts(
    gold: Path, predictions: tuple[Path, ...], columns: tuple[str, ...], **options: Any
) -> None:
    """Score similarities: Spearman's and Pearson's correlation with those of GOLD.

    With PREDICTIONS both have a number a line; several files are runs of one system: their mean and
    standard deviation.  Without, GOLD is a CSV, TSV or JSON-lines file of pairs, and the similarity
    of the vectors of --model is scored, by cosine, dot product and two (negated) distances.
    """
    compare = {name: options.pop(name) for name in ("against", "resamples", "seed")}
    if predictions:
        found = score_files(lambda path: _read(gold, path), predictions, **compare)
    elif compare["against"]:
        raise click.UsageError("--against compares files: give PREDICTIONS too")
    else:
        found = _of_model(gold, columns, options)
    click.echo(json.dumps(found))


def _read(gold: Path, path: Path) -> tuple[int, Any]:
    from bertfeat_tools.scoring.lines import (
        as_scores,
        read_pairs,
        score_similarities,
        similarity_statistic,
    )

    left, right = map(as_scores, read_pairs(gold, path))
    score_similarities(left, right)
    return len(left), similarity_statistic(left, right)


def _of_model(path: Path, columns: tuple[str, ...], options: dict[str, Any]) -> dict[str, Any]:
    from bertfeat_tools.scoring.similarity import read_scored_pairs, score_vectors

    if len(columns) != 3:
        raise click.BadParameter(
            "expected three: two sentences and the score", param_hint="columns"
        )
    first, second, gold = read_scored_pairs(path, (columns[0], columns[1], columns[2]))
    chosen, encoder = vector_options(options), load_encoder(options)
    vectors = encoder.encode(first + second, **chosen)
    return {**score_vectors(vectors[: len(first)], vectors[len(first) :], gold), "total": len(gold)}
