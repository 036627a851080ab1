"""``bertfeat train choice``: which of several continuations or answers is right."""

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
                 help="Questions as SWAG, CODAH or OpenBookQA have them, or JSON lines."),
    click.option("--dev", "dev_file", type=FILE, required=True, help="Held-out ones."),
    OUTPUT,
    MODEL,
    RECIPE,
)  # fmt: skip
def choice(train_file: Path, dev_file: Path, output: Path, **given: Any) -> None:
    """Train multiple choice and print the held-out accuracy as a JSON object."""
    from bertfeat_tools.finetuning.choice import train_choice
    from bertfeat_tools.finetuning.classify import ClassifyOptions
    from bertfeat_tools.finetuning.questions import read_questions

    known = {field.name for field in fields(ClassifyOptions)} & given.keys()
    train, dev = read_questions(train_file), read_questions(dev_file)
    train = train.drawn(given["limit"], given["seed"])
    runs: list[dict[str, Any]] = []
    with step_bar(quiet=given["quiet"]) as show:
        for seed in range(given["seed"], given["seed"] + given["seeds"]):
            options = ClassifyOptions(**{name: given[name] for name in known} | {"seed": seed})
            found = train_choice(
                options, train, dev, output / f"seed-{seed}",
                lambda step, steps, values: show(f"loss {values['loss']:.3f}", step, steps),
            )  # fmt: skip
            runs.append({"run": f"seed-{seed}", **found})
    click.echo(json.dumps(keep_best(output, runs, "accuracy")))
