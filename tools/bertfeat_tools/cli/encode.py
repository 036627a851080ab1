"""``bertfeat encode``: text lines to one vector each."""

from typing import Any

import click

from bertfeat_tools.cli.line_job import INPUT_FILE
from bertfeat_tools.cli.options import (
    BATCH_TOKENS,
    CONTEXT,
    FEATURES,
    MAX_SEQ_LEN,
    MODEL,
    RESUME,
    RUN,
    with_options,
)
from bertfeat_tools.cli.pooled_job import pooled_job


@click.command(context_settings=CONTEXT)
@with_options(
    click.argument("file", type=INPUT_FILE, default="-"),
    click.option(
        "--output", "-o", default="-", metavar="FILE",
        help="x.npy, x.parquet, x.jsonl or x.jsonl.gz; - is JSON lines on stdout.",
    ),
    MODEL, FEATURES, MAX_SEQ_LEN, RESUME, BATCH_TOKENS, RUN,
)  # fmt: skip
def encode(file: str, output: str, **options: Any) -> int:
    """Turn each line of FILE (stdin unless given) into a vector.

    A line that fails is null in JSON and Parquet and zero in a NumPy file; it is named on stderr
    and the exit code is 1.
    """
    return pooled_job(file, output, options).run()
