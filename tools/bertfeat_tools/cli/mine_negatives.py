"""``bertfeat mine-negatives``: pairs in, triplets with hard negatives out."""

import json
from pathlib import Path
from typing import Any

import click

from bertfeat_tools.cli.options import (
    BATCH_TOKENS,
    CONTEXT,
    MODEL,
    RUN,
    load_encoder,
    with_options,
)
from bertfeat_tools.cli.recipe import FILE


@click.command(context_settings=CONTEXT)
@with_options(
    click.argument("pairs", type=FILE),
    click.argument("output", type=click.Path(dir_okay=False, path_type=Path)),
    click.option("--columns", default="1,2", metavar="ANCHOR,POSITIVE",
                 help="Names, or numbers where the file has none."),
    click.option("--corpus", type=FILE, show_default="the positives of all",
                 help="Further texts to find negatives among, a text a line."),
    click.option("--negatives", type=click.IntRange(1), default=1, help="Of each pair, at most."),
    click.option("--margin", type=float, default=0.05,
                 help="A negative's cosine lies at least so far below the positive's."),
    click.option("--skip", type=click.IntRange(0), default=0,
                 help="So many nearest texts are passed over."),
    click.option("--among", type=click.IntRange(1), default=50,
                 help="So many nearest texts are looked at."),
    MODEL, BATCH_TOKENS, RUN,
)  # fmt: skip
def mine_negatives(
    pairs: Path, output: Path, columns: str, corpus: Path | None, **options: Any
) -> None:
    """Find hard negatives for the PAIRS of a file and write JSON lines to OUTPUT.

    Each line is an object with anchor, positive and negative, for ``bertfeat train embed``.  The
    file appears when it is whole.  Pairs without a negative are counted on stderr.
    """
    from bertfeat.checkpoints.whole_file import whole_file
    from bertfeat_tools.embedding.negatives import Mining, mine, pairs_of
    from bertfeat_tools.table import read_table, read_texts

    names = columns.split(",")
    if len(names) != 2:
        raise click.BadParameter(f"{columns!r}: expected two, anchor and positive")
    given = pairs_of(read_table(pairs, names))
    further = read_texts(corpus) if corpus is not None else []
    mining = Mining(options["negatives"], options["margin"], options["skip"], options["among"])
    found = list(mine(load_encoder(options), given, further, mining))
    with whole_file(output) as temporary, temporary.open("w", encoding="utf-8") as file:
        for anchor, positive, negative in found:
            row = {"anchor": anchor, "positive": positive, "negative": negative}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    without = len(given) - len({row[:2] for row in found})
    click.echo(f"{len(found)} triplets, {without} of {len(given)} pairs without", err=True)
