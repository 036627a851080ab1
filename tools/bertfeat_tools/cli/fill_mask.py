"""``bertfeat fill-mask``: what the masked-LM head would put in a gap."""

import json
from typing import Any

import click

from bertfeat_tools.cli.options import CONTEXT, MODEL, RUN, load_encoder, with_options


@click.command("fill-mask", context_settings=CONTEXT)
@with_options(
    click.argument("text"),
    click.option("-k", type=click.IntRange(1), default=5, help="Candidates for each gap."),
    click.option("--json", "as_json", is_flag=True, help="One JSON array, a list for each gap."),
    MODEL, RUN,
)  # fmt: skip
def fill_mask(text: str, k: int, as_json: bool, **options: Any) -> None:
    """Propose words for each [MASK] in TEXT, with their probabilities.

    The model must have a masked-LM head; sentence-transformers models have none.
    """
    gaps = load_encoder(options).fill_mask(text, k)
    if as_json:
        click.echo(json.dumps([[candidate._asdict() for candidate in gap] for gap in gaps]))
        return
    for number, gap in enumerate(gaps):
        if len(gaps) > 1:
            click.echo(f"[MASK] {number + 1}")
        for candidate in gap:
            click.echo(f"{candidate.probability:.4f}  {candidate.token}")
