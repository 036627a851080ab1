"""``bertfeat train span``: answers in contexts, as in SQuAD and CMRC."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from bertfeat_tools.cli.options import CONTEXT, MODEL, with_options
from bertfeat_tools.cli.recipe import FILE, OUTPUT, recipe, train_seeds

COUNT = click.IntRange(1)


@click.command(context_settings=CONTEXT)
@with_options(
    click.option("--train", "train_file", type=FILE, required=True,
                 help="Questions in SQuAD's layout (1.1, 2.0, CMRC); .gz is unpacked."),
    click.option("--dev", "dev_file", type=FILE, required=True, help="Held-out ones."),
    OUTPUT,
    MODEL,
    recipe(max_seq_len=384),
    click.option("--doc-stride", type=COUNT, default=128, help="From window to window."),
    click.option("--max-query-len", "--max-query-length", "max_query_len", type=COUNT, default=64,
                 help="Tokens read of a question."),
    click.option("--n-best", "--n-best-size", "n_best", type=COUNT, default=20,
                 help="Candidates kept."),
    click.option("--max-answer-len", "--max-answer-length", "max_answer_len", type=COUNT,
                 default=30, help="Tokens of the longest answer."),
    click.option("--null-threshold", type=float, default=0.0,
                 help="No answer if its odds are above, where the data have such questions."),
)  # fmt: skip
def span(output: Path, **given: Any) -> None:
    """Train a reader of answers and print its held-out scores as one JSON object."""
    from bertfeat.tasks.span_windows import SpanOptions
    from bertfeat_tools.finetuning.span_examples import read_spans
    from bertfeat_tools.finetuning.spans import SpanTraining, train_spans

    train = read_spans(given["train_file"], answered=True).drawn(given["limit"], given["seed"])
    dev = read_spans(given["dev_file"], answered=False)
    windows = {f.name: given[f.name] for f in fields(SpanOptions) if f.name in given}
    spans = SpanOptions(**windows, has_null=train.has_null)

    def run(own: dict[str, Any], folder: Path, progress: Any) -> dict[str, Any]:
        known = {f.name: own[f.name] for f in fields(SpanTraining) if f.name in own}
        return train_spans(SpanTraining(spans=spans, **known), train, dev, folder, progress())

    click.echo(json.dumps(train_seeds(output, given, "f1", run)))
