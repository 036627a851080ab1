"""``bertfeat train choice``: which of several continuations or answers is right."""

import json
from pathlib import Path
from typing import Any

import click

from bertfeat_tools.cli.options import CONTEXT, MODEL, with_options
from bertfeat_tools.cli.recipe import FILE, OUTPUT, recipe, train_seeds


@click.command(context_settings=CONTEXT)
@with_options(
    click.option("--train", "train_file", type=FILE, required=True,
                 help="Questions as SWAG, CODAH or OpenBookQA have them, or JSON lines."),
    click.option("--dev", "dev_file", type=FILE, required=True, help="Held-out ones."),
    OUTPUT,
    MODEL,
    recipe(),
)  # fmt: skip
def choice(train_file: Path, dev_file: Path, output: Path, **given: Any) -> None:
    """Train multiple choice and print the held-out accuracy as a JSON object."""
    from bertfeat_tools.finetuning.choice import train_choice
    from bertfeat_tools.finetuning.classify import ClassifyOptions
    from bertfeat_tools.finetuning.questions import read_questions

    train, dev = read_questions(train_file), read_questions(dev_file)
    train = train.drawn(given["limit"], given["seed"])

    def run(own: dict[str, Any], folder: Path, progress: Any) -> dict[str, Any]:
        return train_choice(ClassifyOptions.given(own), train, dev, folder, progress())

    click.echo(json.dumps(train_seeds(output, given, "accuracy", run)))
