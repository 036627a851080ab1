"""``bertfeat models whiten``: a model with whitened vectors."""

from pathlib import Path
from typing import Any

import click

from bertfeat_tools.cli.options import BATCH_TOKENS, CONTEXT, RUN, load_options, with_options
from bertfeat_tools.cli.recipe import FILE


@click.command(context_settings=CONTEXT)
@with_options(
    click.argument("source"),
    click.argument("target", type=click.Path(path_type=Path)),
    click.option("--texts", type=FILE, required=True,
                 help="A text a line, of the kind that will be compared."),
    click.option("--dimensions", type=click.IntRange(1), show_default="all",
                 help="Of the new vectors: those in which the texts differ most."),
    BATCH_TOKENS, RUN,
)  # fmt: skip
def whiten(source: str, target: Path, texts: Path, dimensions: int | None, **options: Any) -> None:
    """Write the model SOURCE with whitened vectors into the new folder TARGET.

    On the given texts the new vectors have mean 0 and covariance 1.  TARGET is a
    sentence-transformers folder with one Dense layer more.
    """
    from bertfeat_tools.embedding.whitening import whiten as write_whitened
    from bertfeat_tools.table import read_texts

    given = read_texts(texts)
    layer = write_whitened(source, given, target, dimensions=dimensions, **load_options(options))
    before, after = layer.kernel.shape
    click.echo(f"{len(given)} texts, {before} dimensions become {after}", err=True)
    click.echo(target)
