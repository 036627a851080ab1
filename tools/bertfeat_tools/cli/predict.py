"""``bertfeat predict``: run what ``bertfeat train`` made on new texts."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from bertfeat.errors import InputError
from bertfeat_tools.cli.options import CONTEXT, RUN, load_options, with_options
from bertfeat_tools.finetuning.known_sets import GLUE, submission

CHUNK = 1024
"""Lines that are predicted, and printed, together."""


@click.command(context_settings=CONTEXT)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("source", default="-", metavar="[FILE]")
@with_options(
    click.option("--task", type=click.Choice(list(GLUE)),
                 help="Print GLUE's submission for the test rows of --data instead."),
    click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path),
                 help="Folder of --task's files."),
    RUN,
)  # fmt: skip
def predict(folder: Path, source: str, task: str | None, data: Path | None, **options: Any) -> None:
    """Predict each line of FILE (standard input unless given); one JSON object a line.

    A line is a text, or a JSON object {"text": …}, {"text": …, "pair": …} or, for a model of
    multiple choice, {"text": …, "choices": […]}; its label is the number of a choice, from 0.
    """
    from itertools import islice

    from bertfeat.features.reader import open_lines
    from bertfeat.tasks import Predictor

    if task and not data:
        raise click.UsageError("--task needs --data, the folder of its files")
    predictor = Predictor.load(folder, **load_options(options))
    if task and data:
        sys.stdout.writelines(f"{line}\n" for line in submission(GLUE[task], data, predictor))
        return
    with open_lines(source) as reader:
        lines = iter(reader)
        while chunk := list(islice(lines, CHUNK)):
            items = [item_of(line.text, line.error, reader.where(line.index)) for line in chunk]
            for item, found in zip(items, predictor.predict(items), strict=True):
                text = item if isinstance(item, str) else list(item)
                said = {
                    name: x
                    for name, x in asdict(found).items()
                    if x or name not in ("scores", "labels")
                }
                value = {"text": text, **said}
                sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def item_of(text: str, error: str | None, where: str) -> str | tuple[str, Any]:
    """Return the text, the pair, or the text with its choices of a line.

    Raises:
        InputError: it is not UTF-8, or an object without a text.
    """
    if error:
        raise InputError(error)
    if not text.startswith("{"):
        return text
    try:
        value = json.loads(text)
        parts = [value["text"], *([value["pair"]] if "pair" in value else [])]
        choices = value.get("choices")
    except (ValueError, KeyError, TypeError):
        return text
    if not all(isinstance(part, str) for part in parts):
        raise InputError(f'{where}: "text" and "pair" must be strings')
    if choices is not None:
        if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
            raise InputError(f'{where}: "choices" must be a list of strings')
        return parts[0], choices
    return (parts[0], parts[1]) if len(parts) == 2 else str(parts[0])
