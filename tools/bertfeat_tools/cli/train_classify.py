"""``bertfeat train classify``: classes, several labels or values of texts and pairs."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertfeat.checkpoints.folder_files import write_json
from bertfeat.errors import InputError
from bertfeat.extras import require
from bertfeat_tools.cli.options import CONTEXT, MODEL, with_options
from bertfeat_tools.cli.recipe import FILE, OUTPUT, keep_best, recipe
from bertfeat_tools.cli.steps import step_bar
from bertfeat_tools.finetuning.examples import Examples, read_examples
from bertfeat_tools.finetuning.known_sets import LANGUAGES, TASKS

if TYPE_CHECKING:
    from bertfeat_tools.finetuning.classify import ClassifyOptions

PROBLEMS = {"single": "single_label_classification", "multi": "multi_label_classification",
            "regression": "regression", "relevance": "relevance"}  # fmt: skip
GRID = tuple(itertools.product((16, 32), (5e-5, 3e-5, 2e-5), (2, 3, 4)))
"""Batch size, learning rate, epochs (Devlin et al. 2019, A.3)."""


def row_counts(ctx: click.Context, parameter: click.Parameter, value: str | None) -> list[int]:
    """Read numbers of rows with commas between them, ascending."""
    parts = value.split(",") if value else []
    if not all(part.strip().isdecimal() and int(part) > 1 for part in parts):
        raise click.BadParameter(f"{value!r} is not like 50,100,500")
    return sorted(map(int, parts))


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
    click.option("--language", type=click.Choice(LANGUAGES), default="en", help="Of --task xnli."),
    OUTPUT,
    MODEL,
    click.option("--problem", type=click.Choice(list(PROBLEMS)), default="single",
                 help="One class, several labels (with | between them), a value, or how well a "
                 "pair fits, from 0 to 1."),
    click.option("--metric", show_default="accuracy, f1 or spearman",
                 help="Decides which epoch's weights are kept."),
    click.option("--positive", help="Label whose F1 counts (with --metric f1)."),
    recipe(),
    click.option("--class-weights", type=click.Choice(["none", "balanced"]), default="none",
                 help="Weigh rare classes more."),
    click.option("--smoothing", type=click.FloatRange(0, 1, max_open=True), default=0.0,
                 help="Of the labels."),
    click.option("--grid", is_flag=True, help="The paper's batch sizes, rates and epochs, all."),
    click.option("--learning-curve", callback=row_counts, metavar="ROWS,ROWS,…",
                 show_default="all rows",
                 help="Train on so many rows, each beside a probe of the frozen encoder."),
)  # fmt: skip
def classify(output: Path, **given: Any) -> None:
    """Train a classifier and print its held-out scores as one JSON object."""
    (train, dev), options = _task(given)
    if not given["learning_curve"]:
        train = train.drawn(given["limit"], given["seed"])
        click.echo(json.dumps(_train(output, (options, train, dev), given)))
        return
    if options.problem != PROBLEMS["single"]:
        raise click.UsageError("--learning-curve is for one class a row (--problem single)")
    require("--learning-curve", "sklearn", extra="train")
    curve = list(_curve(output, (options, train, dev), given))
    result = {"metric": options.metric, "learning_curve": curve}
    write_json(output / "result.json", result)
    click.echo(json.dumps(result))


def _train(
    output: Path, what: tuple["ClassifyOptions", Examples, Examples], given: dict[str, Any]
) -> dict[str, Any]:
    """Train all runs and return their result; the best one's model is kept."""
    from bertfeat_tools.finetuning.classify import train_classifier

    options, train, dev = what
    runs: list[dict[str, Any]] = []
    with step_bar(quiet=given["quiet"]) as show:
        for name, chosen in _runs(options, given):
            own = train
            if given["learning_curve"]:
                own = train.drawn(given["limit"], chosen.seed)
            found = train_classifier(
                chosen, own, dev, output / name,
                lambda step, steps, values: show(f"loss {values['loss']:.3f}", step, steps),
            )  # fmt: skip
            runs.append({"run": name, **found})
    return keep_best(output, runs, options.metric)


def _curve(
    output: Path, what: tuple["ClassifyOptions", Examples, Examples], given: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield rows, scores of the probe and scores of fine-tuning, for each number of rows."""
    from bertfeat import Encoder
    from bertfeat_tools.finetuning.learning_curve import FrozenProbe, summary

    options, train, dev = what
    probe = FrozenProbe(Encoder.load(options.model), train, dev)
    seeds = range(given["seed"], given["seed"] + given["seeds"])
    for count in given["learning_curve"]:
        own = given | {"limit": min(count, len(train))}
        found = _train(output / f"rows-{own['limit']}", what, own)
        yield {
            "rows": own["limit"], "frozen": probe.score(own["limit"], seeds),
            "fine_tuned": summary(found["runs"]),
        }  # fmt: skip


def _task(given: dict[str, Any]) -> tuple[tuple[Examples, Examples], "ClassifyOptions"]:
    """Return what is trained on, what is held out, and the options of the first run."""
    from bertfeat_tools.finetuning.classify import ClassifyOptions

    values: dict[str, Any] = {"problem": PROBLEMS[given["problem"]]}
    if given["task"]:
        if not given["data"]:
            raise click.UsageError("--task needs --data, the folder of its files")
        task = TASKS[given["task"]]
        values |= {"problem": task.problem, "metric": given["metric"] or task.metric,
                   "positive": task.positive}  # fmt: skip
        return task.read(given["data"], given["language"]), ClassifyOptions.given(given, **values)
    if not (given["train_file"] and given["dev_file"] and given["columns"]):
        raise click.UsageError("give --train, --dev and --columns, or --task and --data")
    usual = {"single": "accuracy", "multi": "f1", "regression": "spearman",
             "relevance": "spearman"}  # fmt: skip
    values["metric"] = given["metric"] or usual[given["problem"]]
    if values["metric"] == "f1" and given["problem"] == "single" and not given["positive"]:
        raise InputError("--metric f1 needs --positive, the label whose F1 counts; or macro_f1")
    train, dev = (
        read_examples(given[name], given["columns"].split(","))
        for name in ("train_file", "dev_file")
    )
    return (train, dev), ClassifyOptions.given(given, **values)


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
