"""``bertfeat train relation``: which relations a text holds, and between what."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from bertfeat_tools.cli.options import CONTEXT, MODEL, with_options
from bertfeat_tools.cli.recipe import FILE, OUTPUT, RECIPE, keep_best
from bertfeat_tools.cli.steps import step_bar


@click.command(context_settings=CONTEXT)
@with_options(
    click.option("--train", "train_file", type=FILE, required=True,
                 help="Texts with triples: JSON lines, SKE-2019's or CoNLL04's."),
    click.option("--dev", "dev_file", type=FILE, required=True, help="Held-out ones."),
    OUTPUT,
    MODEL,
    RECIPE,
)  # fmt: skip
def relation(train_file: Path, dev_file: Path, output: Path, **given: Any) -> None:
    """Train relation extraction and print the held-out scores of triples as a JSON object.

    One model tells which relations a text holds, another tags the subjects and objects of each.  F1
    is strict: relation, and offsets and labels of both parts.
    """
    from bertfeat_tools.finetuning.classify import ClassifyOptions
    from bertfeat_tools.finetuning.relations import train_relations
    from bertfeat_tools.finetuning.triple_examples import drawn, read_triple_examples

    known = {field.name for field in fields(ClassifyOptions)} & given.keys()
    train, dev = read_triple_examples(train_file), read_triple_examples(dev_file)
    train = drawn(train, given["limit"], given["seed"])
    runs: list[dict[str, Any]] = []
    for seed in range(given["seed"], given["seed"] + given["seeds"]):
        options = ClassifyOptions(**{name: given[name] for name in known} | {"seed": seed})
        with step_bar(quiet=given["quiet"]) as show:

            def progress(stage: str, show: Any = show) -> Any:
                return lambda step, steps, values: show(
                    f"{stage} loss {values['loss']:.3f}", step, steps
                )

            found = train_relations(options, train, dev, output / f"seed-{seed}", progress)
        runs.append({"run": f"seed-{seed}", **found})
    click.echo(json.dumps(keep_best(output, runs, "f1")))
