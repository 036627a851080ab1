"""``bertfeat train relation``: which relations a text holds, and between what."""

import json
from pathlib import Path
from typing import Any

import click

from bertfeat_tools.cli.options import CONTEXT, MODEL, with_options
from bertfeat_tools.cli.recipe import FILE, OUTPUT, recipe, train_seeds


@click.command(context_settings=CONTEXT)
@with_options(
    click.option("--train", "train_file", type=FILE, required=True,
                 help="Texts with triples: JSON lines, SKE-2019's or CoNLL04's."),
    click.option("--dev", "dev_file", type=FILE, required=True, help="Held-out ones."),
    OUTPUT,
    MODEL,
    recipe(),
)  # fmt: skip
def relation(train_file: Path, dev_file: Path, output: Path, **given: Any) -> None:
    """Train relation extraction and print the held-out scores of triples as a JSON object.

    One model tells which relations a text holds, another tags the subjects and objects of each.  F1
    is strict: relation, and offsets and labels of both parts.
    """
    from bertfeat_tools.finetuning.classify import ClassifyOptions
    from bertfeat_tools.finetuning.relations import train_relations
    from bertfeat_tools.finetuning.triple_examples import drawn, read_triple_examples

    train, dev = read_triple_examples(train_file), read_triple_examples(dev_file)
    train = drawn(train, given["limit"], given["seed"])

    def run(own: dict[str, Any], folder: Path, progress: Any) -> dict[str, Any]:
        return train_relations(ClassifyOptions.given(own), train, dev, folder, progress)

    click.echo(json.dumps(train_seeds(output, given, "f1", run)))
