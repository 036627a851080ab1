"""``bertfeat sentence2vec``: as ``encode``, with everything said in a JSON file."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from bertfeat.errors import InputError
from bertfeat.features.options import EncodeOptions
from bertfeat.loading import LoadOptions
from bertfeat_tools.cli.options import CONTEXT, DEFAULT_MODEL, RESUME, with_options
from bertfeat_tools.cli.pooled_job import pooled_job

KEYS = {
    "input", "model",
    *(f.name for kind in (LoadOptions, EncodeOptions) for f in fields(kind)),
}  # fmt: skip


@click.command(context_settings=CONTEXT)
@with_options(
    click.argument("config", type=click.Path(exists=True, dir_okay=False)),
    click.argument("output"),
    RESUME,
    click.option("--quiet", is_flag=True, help="No progress bar; warnings and errors remain."),
)
def sentence2vec(config: str, output: str, **options: Any) -> int:
    """Turn each line of a file into a vector, as the JSON object in CONFIG says.

    CONFIG has "input", a file, and whatever else is wanted of "model", "layers", "combine",
    "pooling" and the other options of encode.  OUTPUT gets one JSON array a line.
    """
    settings = read_settings(config)
    return pooled_job(settings.pop("input"), output, settings | options).run()


def read_settings(path: str) -> dict[str, Any]:
    """Read the JSON object of a configuration.

    Raises:
        InputError: it is no object, has unknown keys, or no input file.
    """
    try:
        settings = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: expected a JSON object, got no JSON: {error}") from error
    if not isinstance(settings, dict):
        raise InputError(f"{path}: expected a JSON object, got {type(settings).__name__}")
    if unknown := sorted(settings.keys() - KEYS):
        raise InputError(
            f"{path}: unknown key(s) {', '.join(unknown)}; known: {', '.join(sorted(KEYS))}"
        )
    if not isinstance(settings.get("input"), str):
        raise InputError(
            f'{path}: "input" must name the file to read, got {settings.get("input")!r}'
        )
    return {"model": DEFAULT_MODEL} | settings
