"""``bertfeat train classify``: classes, several labels or values of texts and pairs."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertfeat.errors import InputError
from bertfeat_tools.cli.options import CONTEXT, MODEL, with_options
from bertfeat_tools.cli.recipe import FILE, OUTPUT, RECIPE, keep_best
from bertfeat_tools.cli.steps import step_bar
from bertfeat_tools.finetuning.examples import TASKS, read_examples

if TYPE_CHECKING:
    from bertfeat_tools.finetuning.classify import ClassifyOptions

PROBLEMS = {"single": "single_label_classification", "multi": "multi_label_classification",
            "regression": "regression"}  # fmt: skip
GRID = tuple(itertools.product((16, 32), (5e-5, 3e-5, 2e-5), (2, 3, 4)))
"""Batch size, learning rate, epochs (Devlin et al. 2019, A.3)."""


@click.command(context_settings=CONTEXT)
@with_options(
    click.option("--train", "train_file", type=FILE, help="Labelled rows: CSV, TSV, JSON lines."),
    click.option("--dev", "dev_file", type=FILE, help="Held-out ones."),
    click.option("--columns", metavar="TEXT[,TEXT],LABEL",
                 help="Names of columns, or numbers where the file has no names."),
    click.option("--task", type=click.Choice(list(TASKS)),
                 help="A known data set: its files in --data, its columns and its metric."),
    click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path),
                 help="Folder of --task's files, as GLUE lays them out."),
    OUTPUT,
    MODEL,
    click.option("--problem", type=click.Choice(list(PROBLEMS)), default="single",
                 help="One class, several labels (with | between them), or a value."),
    click.option("--metric", show_default="accuracy, f1 or spearman",
                 help="Decides which epoch's weights are kept."),
    click.option("--positive", help="Label whose F1 counts (with --metric f1)."),
    RECIPE,
    click.option("--class-weights", type=click.Choice(["none", "balanced"]), default="none",
                 help="Weigh rare classes more."),
    click.option("--smoothing", type=click.FloatRange(0, 1, max_open=True), default=0.0,
                 help="Of the labels."),
    click.option("--grid", is_flag=True, help="The paper's batch sizes, rates and epochs, all."),
)  # fmt: skip
def classify(output: Path, **given: Any) -> None:
    """Train a classifier and print its held-out scores as one JSON object."""
    from bertfeat_tools.finetuning.classify import train_classifier

    files, columns, options = _task(given)
    train, dev = (read_examples(path, columns) for path in files)
    train = train.drawn(given["limit"], given["seed"])
    runs: list[dict[str, Any]] = []
    with step_bar(quiet=given["quiet"]) as show:
        for name, chosen in _runs(options, given):
            found = train_classifier(
                chosen, train, dev, output / name,
                lambda step, steps, values: show(f"loss {values['loss']:.3f}", step, steps),
            )  # fmt: skip
            runs.append({"run": name, **found})
    click.echo(json.dumps(keep_best(output, runs, options.metric)))


def _task(given: dict[str, Any]) -> tuple[tuple[Path, Path], list[str], "ClassifyOptions"]:
    """Return the files, their columns and the options of the first run."""
    from bertfeat_tools.finetuning.classify import ClassifyOptions

    known = {f.name for f in fields(ClassifyOptions)} & given.keys()
    values = {name: given[name] for name in known if given[name] is not None}
    values["problem"] = PROBLEMS[given["problem"]]
    if given["task"]:
        if not given["data"]:
            raise click.UsageError("--task needs --data, the folder of its files")
        task = TASKS[given["task"]]
        values |= {"problem": task.problem, "metric": given["metric"] or task.metric,
                   "positive": task.positive}  # fmt: skip
        files = given["data"] / task.train, given["data"] / task.dev
        return files, list(task.columns), ClassifyOptions(**values)
    if not (given["train_file"] and given["dev_file"] and given["columns"]):
        raise click.UsageError("give --train, --dev and --columns, or --task and --data")
    usual = {"single": "accuracy", "multi": "f1", "regression": "spearman"}
    values["metric"] = given["metric"] or usual[given["problem"]]
    if values["metric"] == "f1" and given["problem"] == "single" and not given["positive"]:
        raise InputError("--metric f1 needs --positive, the label whose F1 counts; or macro_f1")
    files = given["train_file"], given["dev_file"]
    return files, given["columns"].split(","), ClassifyOptions(**values)


def _runs(
    options: "ClassifyOptions", given: dict[str, Any]
) -> Iterator[tuple[str, "ClassifyOptions"]]:
    """Yield name and options of each run."""
    for seed in range(given["seed"], given["seed"] + given["seeds"]):
        own = replace(options, seed=seed)
        if not given["grid"]:
            yield f"seed-{seed}", own
            continue
        for size, rate, epochs in GRID:
            cell = replace(own, batch_size=size, learning_rate=rate, epochs=epochs)
            yield f"batch-{size}-rate-{rate}-epochs-{epochs}-seed-{seed}", cell
