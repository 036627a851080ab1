"""``bertfeat train span``: answers in contexts, as in SQuAD and CMRC."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from bertfeat.checkpoints.folder_files import write_json
from bertfeat_tools.cli.options import CONTEXT, MODEL, with_options
from bertfeat_tools.cli.recipe import FILE, OUTPUT, QUIET, learning
from bertfeat_tools.cli.steps import step_bar

COUNT = click.IntRange(1)


@click.command(context_settings=CONTEXT)
@with_options(
    click.option("--train", "train_file", type=FILE, required=True,
                 help="Questions in SQuAD's layout (1.1, 2.0, CMRC); .gz is unpacked."),
    click.option("--dev", "dev_file", type=FILE, required=True, help="Held-out ones."),
    OUTPUT,
    MODEL,
    learning(max_seq_len=384, epochs=3, batch_size=32, learning_rate=5e-5, optimizer="google"),
    click.option("--doc-stride", type=COUNT, default=128, help="From window to window."),
    click.option("--max-query-len", "--max-query-length", "max_query_len", type=COUNT, default=64,
                 help="Tokens read of a question."),
    click.option("--n-best", "--n-best-size", "n_best", type=COUNT, default=20,
                 help="Candidates kept."),
    click.option("--max-answer-len", "--max-answer-length", "max_answer_len", type=COUNT,
                 default=30, help="Tokens of the longest answer."),
    click.option("--null-threshold", type=float, default=0.0,
                 help="No answer if its odds are above, where the data have such questions."),
    click.option("--limit", type=COUNT, show_default="all",
                 help="Questions drawn from the training file."),
    click.option("--seed", type=int, default=0, help="Of everything random."),
    QUIET,
)  # fmt: skip
def span(output: Path, **given: Any) -> None:
    """Train a reader of answers and print its held-out scores as one JSON object."""
    from bertfeat.tasks.span_windows import SpanOptions
    from bertfeat_tools.finetuning.span_examples import read_spans
    from bertfeat_tools.finetuning.spans import SpanTraining, train_spans

    train = read_spans(given["train_file"], answered=True).drawn(given["limit"], given["seed"])
    dev = read_spans(given["dev_file"], answered=False)
    windows = {f.name: given[f.name] for f in fields(SpanOptions) if f.name in given}
    known = {f.name: given[f.name] for f in fields(SpanTraining) if f.name in given}
    options = SpanTraining(spans=SpanOptions(**windows, has_null=train.has_null), **known)
    with step_bar(quiet=given["quiet"]) as show:
        found = train_spans(
            options, train, dev, output,
            lambda step, steps, values: show(f"loss {values['loss']:.3f}", step, steps),
        )  # fmt: skip
    write_json(output / "result.json", found)
    click.echo(json.dumps(found))
