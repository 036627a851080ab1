"""``bertfeat predict``: run what ``bertfeat train`` made on new texts."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertfeat.errors import InputError
from bertfeat_tools.cli.options import CONTEXT, RUN, load_options, with_options
from bertfeat_tools.cli.steps import step_bar
from bertfeat_tools.finetuning.known_sets import GLUE, submission

if TYPE_CHECKING:
    from bertfeat.tasks import Predictor

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
    click.option("--questions", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                 help="Answer this file in SQuAD's layout instead, into --output."),
    click.option("--output", type=click.Path(file_okay=False, path_type=Path),
                 help="Folder for the answers to --questions, under Google's names."),
    RUN,
)  # fmt: skip
def predict(folder: Path, source: str, **options: Any) -> None:
    """Predict each line of FILE (standard input unless given); one JSON object a line.

    A line is a text, or a JSON object {"text": …}, {"text": …, "pair": …} or, for a model of
    multiple choice, {"text": …, "choices": […]}; its label is the number of a choice, from 0.
    """
    from bertfeat.tasks import Predictor

    for name, needed in (("task", "data"), ("questions", "output")):
        if bool(options[name]) != bool(options[needed]):
            raise click.UsageError(f"--{name} and --{needed} belong together")
    predictor = Predictor.load(folder, **load_options(options))
    if options["task"]:
        lines = submission(GLUE[options["task"]], options["data"], predictor)
        sys.stdout.writelines(f"{line}\n" for line in lines)
    elif options["questions"]:
        with step_bar(quiet=options["quiet"]) as show:
            progress = partial(show, "answering")
            answer_file(predictor, options["questions"], options["output"], progress)
    else:
        predict_lines(predictor, source)


def predict_lines(predictor: "Predictor", source: str) -> None:
    """Print what is predicted of each line."""
    from bertfeat.features.reader import open_lines

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


def answer_file(
    predictor: "Predictor", questions: Path, output: Path, progress: Callable[[int, int], None]
) -> None:
    """Write the answers to a file of questions; ``progress`` is told how many are found.

    Raises:
        InputError: the model answers no questions, or the file is bad.
    """
    from bertfeat.tasks.answerer import Answerer
    from bertfeat_tools.finetuning.span_examples import read_spans
    from bertfeat_tools.finetuning.span_files import write_answers

    if not isinstance(predictor, Answerer):
        raise InputError(
            f"--questions needs a model that `bertfeat train span` made, this one is for "
            f"{predictor.problem}"
        )
    examples = read_spans(questions, answered=False)
    found = predictor.answers(examples.pairs, progress)
    ids = [row.id for row in examples.rows]
    write_answers(output, ids, found, has_null=predictor.options.has_null)


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
