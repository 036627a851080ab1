"""Options of fine-tunings on the common loop, each written once, and which run is kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bertfeat.checkpoints.folder_files import copy_file, copy_whole, write_json
from bertfeat_tools.cli.steps import step_bar
from bertfeat_tools.training.settings import OPTIMIZER_NAMES, PRECISIONS

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
OUTPUT = click.option(
    "--output", type=click.Path(path_type=Path), required=True,
    help="The folder made; an interrupted run in it goes on.",
)  # fmt: skip
QUIET = click.option("--quiet", is_flag=True, help="No progress bar.")


def learning(
    *, epochs: int, batch_size: int, learning_rate: float, optimizer: str, max_seq_len: int = 128
) -> tuple[Any, ...]:
    """Return the options of the loop that every fine-tuning has, with their defaults."""
    return (
        click.option("--max-seq-len", "--max-seq-length", "max_seq_len", type=click.IntRange(3),
                     default=max_seq_len, help="Tokens read at once."),
        click.option("--epochs", type=click.IntRange(1), default=epochs,
                     help="Times through the rows."),
        click.option("--batch-size", type=click.IntRange(1), default=batch_size, help="Rows."),
        click.option("--learning-rate", type=click.FloatRange(0, min_open=True),
                     default=learning_rate, help="The highest."),
        click.option("--optimizer", type=click.Choice(OPTIMIZER_NAMES), default=optimizer,
                     help="google = AdamW without bias correction."),
        click.option("--warmup", type=click.FloatRange(0), default=0.1,
                     help="Updates of warm-up; below 1 a part of all."),
        click.option("--weight-decay", type=click.FloatRange(0), default=0.01, help="Of kernels."),
        click.option("--precision", type=click.Choice(PRECISIONS), default="float32",
                     help="Weights stay float32."),
        click.option("--gradient-checkpointing", is_flag=True,
                     help="Compute layers again for the gradient: less memory, more time."),
        click.option("--devices", type=click.IntRange(1), default=1,
                     help="That share each batch; more than one with KERAS_BACKEND=jax."),
    )  # fmt: skip


def recipe(max_seq_len: int = 128) -> tuple[Any, ...]:
    """Return the options of a fine-tuning with labels, in BERT's recipe."""
    return (
        *learning(epochs=3, batch_size=32, learning_rate=5e-5, optimizer="google",
                  max_seq_len=max_seq_len),
        click.option("--patience", type=click.IntRange(0), default=0,
                     help="Epochs without a better score until it ends; 0 = never."),
        click.option("--layer-decay", type=click.FloatRange(0, 1, min_open=True), default=1.0,
                     help="Factor of the learning rate from a layer to the one below."),
        click.option("--frozen", type=click.IntRange(-1), default=-1,
                     help="So many lowest layers and the embeddings stay; -1 = none."),
        click.option("--limit", type=click.IntRange(1), show_default="all",
                     help="Rows drawn from the training file."),
        click.option("--seed", type=int, default=0, help="The first run's."),
        click.option("--seeds", type=click.IntRange(1), default=1,
                     help="Runs; the best one is kept."),
        QUIET,
    )  # fmt: skip


Progress = Callable[[int, int, dict[str, float]], None]


def train_seeds(
    output: Path,
    given: dict[str, Any],
    metric: str,
    train: Callable[[dict[str, Any], Path, Callable[..., Progress]], dict[str, Any]],
) -> dict[str, Any]:
    """Train once with each seed, keep the best run's model and return the result.

    Args:
        output: the folder of all runs.
        given: the options as they came, with ``seed``, ``seeds`` and ``quiet``.
        metric: the score that decides.
        train: takes the options of one run, its folder, and what makes of a stage's name (none
            unless there are several) what is called after each update; returns its scores.
    """
    runs: list[dict[str, Any]] = []
    for seed in range(given["seed"], given["seed"] + given["seeds"]):
        with step_bar(quiet=given["quiet"]) as show:

            def progress(stage: str = "", show: Any = show) -> Progress:
                return lambda step, steps, values: show(
                    f"{stage} loss {values['loss']:.3f}".lstrip(), step, steps
                )

            found = train(given | {"seed": seed}, output / f"seed-{seed}", progress)
        runs.append({"run": f"seed-{seed}", **found})
    return keep_best(output, runs, metric)


def keep_best(output: Path, runs: list[dict[str, Any]], metric: str) -> dict[str, Any]:
    """Copy the best run's model, and its answers if any; write and return ``result.json``.

    Args:
        output: the folder of all runs.
        runs: name, scores and times of each.
        metric: the score that decides.
    """
    from bertfeat_tools.scoring.bootstrap import mean_and_sd

    best = max(runs, key=lambda run: run[metric])
    folder = output / best["run"]
    copy_whole(folder / "model", output / "model")
    for answers in folder.glob("*.json"):
        copy_file(answers, output / answers.name)
    scores = [{k: v for k, v in r.items() if k not in ("run", "best_step")} for r in runs]
    result = {**mean_and_sd(scores), "best": best["run"], "runs": runs}
    write_json(output / "result.json", result)
    return result
