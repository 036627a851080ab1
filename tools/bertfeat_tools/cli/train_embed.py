"""``bertfeat train embed``: sentence vectors."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from bertfeat_tools.cli.options import CONTEXT, MODEL, with_options
from bertfeat_tools.cli.recipe import FILE, OUTPUT, QUIET, learning
from bertfeat_tools.cli.steps import step_bar
from bertfeat_tools.embedding.rows import COLUMNS, read_columns


def sizes(value: str) -> tuple[int, ...]:
    """Read numbers with commas between them."""
    try:
        return tuple(int(size) for size in value.split(",") if size)
    except ValueError:
        raise click.BadParameter(f"{value!r}: expected numbers with commas between") from None


@click.command(context_settings=CONTEXT)
@with_options(
    click.option("--train", "train_file", type=FILE, required=True,
                 help="Rows: CSV, TSV, JSON lines."),
    click.option("--columns", required=True, metavar="TEXT[,TEXT …][,SCORE]",
                 help="Names, or numbers where the file has none; one alone is SimCSE."),
    click.option("--dev", "dev_file", type=FILE, help="Pairs with scores, to keep the best by."),
    click.option("--dev-columns", default="1,2,3", help="Two texts and the score."),
    OUTPUT,
    MODEL,
    click.option("--loss", type=click.Choice(list(COLUMNS)), default="ranking",
                 help="What is made small."),
    click.option("--pooling", type=click.Choice(["mean", "cls", "max"]), default="mean",
                 help="Of a model whose folder does not say."),
    click.option("--matryoshka", type=sizes, default="", metavar="N,N,…",
                 help="Also train the first so many dimensions, each."),
    click.option("--max-score", type=click.FloatRange(0, min_open=True), default=1.0,
                 help="Scores are divided by it."),
    learning(epochs=1, batch_size=64, learning_rate=2e-5, optimizer="adamw"),
    click.option("--teacher", metavar="NAME_OR_FOLDER",
                 help="A model that gives the numbers: vectors of mse, margins, similarities."),
    click.option("--student-layers", type=sizes, default="", metavar="N,N,…",
                 help="Keep only these layers of the model, 1 = the lowest."),
    click.option("--student-hidden-size", type=click.IntRange(0), default=0,
                 help="Narrow the model to so many dimensions; 0 = its own."),
    click.option("--project", is_flag=True,
                 help="Map the vectors to the teacher's by a layer that is learned and kept."),
    click.option("--chunk", type=click.IntRange(0), default=0,
                 help="Texts encoded at once, with the gradients of the whole batch; 0 = all."),
    click.option("--evaluate-every", type=click.IntRange(0), default=0,
                 help="Updates; 0 = each epoch."),
    click.option("--seed", type=int, default=0, help="Of order and dropout."),
    QUIET,
)  # fmt: skip
def embed(train_file: Path, dev_file: Path | None, output: Path, **given: Any) -> None:
    """Train sentence vectors; OUTPUT/model is a sentence-transformers folder."""
    from bertfeat_tools.embedding.train import EmbedOptions, train_embedding

    options = EmbedOptions(
        **{f.name: given[f.name] for f in fields(EmbedOptions) if f.name in given}
    )
    loss, most = options.loss, options.max_score
    train = read_columns(train_file, given["columns"].split(","), loss, most,
                         taught=options.teacher is not None)  # fmt: skip
    dev = None
    if dev_file is not None:
        dev = read_columns(dev_file, given["dev_columns"].split(","), "cosent", most)
    with step_bar(quiet=given["quiet"]) as show:
        found = train_embedding(
            options, train, dev, output,
            lambda step, steps, values: show(f"loss {values['loss']:.3f}", step, steps),
        )  # fmt: skip
    click.echo(json.dumps({**found, "model": str(output / "model")}))
