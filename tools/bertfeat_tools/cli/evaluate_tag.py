"""``bertfeat evaluate tag``: entity scores of gold and predicted tags."""

import json
from pathlib import Path
from typing import Any

import click

from bertfeat_tools.cli.evaluate_lines import FILE
from bertfeat_tools.cli.options import CONTEXT


@click.command(context_settings=CONTEXT)
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option(
    "--mode",
    type=click.Choice(["conlleval", "strict"]),
    default="conlleval",
    help="Repair illegal sequences as conlleval does, or count what the scheme allows only.",
)
@click.option("--scheme", default="IOB2", help="Of the tags, for --mode strict.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
@click.option("--against", type=FILE, help="Another system's file: a paired bootstrap of F1.")
@click.option("--seed", type=int, default=0, help="Of the bootstrap's draws.")
def tag(files: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Score tagged words: gold and predicted tag are the last two columns of FILES.

    Prints what conlleval prints, or with --json, --mode strict, --against or several files (runs
    of one system, whose mean and deviation are given) one JSON object.
    """
    from bertfeat_tools.scoring.chunks import conlleval
    from bertfeat_tools.scoring.tagging import read_predictions, score_files

    plain = options["mode"] == "conlleval" and not options["against"] and len(files) == 1
    if plain and not as_json:
        click.echo(conlleval(*read_predictions(files[0])), nl=False)
    else:
        click.echo(json.dumps(score_files(files, **options)))
