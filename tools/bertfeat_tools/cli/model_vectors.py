"""What the commands share that score the vectors of a model."""

from collections.abc import Mapping
from typing import Any

import click

from bertfeat_tools.cli.options import (
    BATCH_TOKENS,
    FEATURES,
    MAX_SEQ_LEN,
    MODEL,
    RUN,
    encode_options,
)

ENCODER = (MODEL, *FEATURES, MAX_SEQ_LEN, BATCH_TOKENS, *RUN)


def vector_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Pick from a command's options those of ``Encoder.encode`` that give one vector a text.

    Raises:
        click.UsageError: they ask for several, or for packed bits.
    """
    chosen = encode_options(options)
    bits = str(chosen.get("dtype")).endswith("binary")
    if chosen.get("pooling") in ("none", "NONE") or chosen.get("combine") == "none" or bits:
        raise click.UsageError(
            "one vector of numbers is compared for each text: choose another --pooling, --combine "
            "or --dtype"
        )
    return chosen


def names(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    """Read names with commas between them."""
    return tuple(name.strip() for name in value.split(","))
