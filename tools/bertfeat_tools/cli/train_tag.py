"""``bertfeat train tag``: entities, or words of texts without blanks, by a softmax over tags."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertfeat_tools.cli.options import CONTEXT, MODEL, with_options
from bertfeat_tools.cli.recipe import FILE, OUTPUT, recipe, train_seeds

if TYPE_CHECKING:
    from bertfeat_tools.finetuning.tags import TagTask


@click.command(context_settings=CONTEXT)
@with_options(
    click.option("--train", "train_file", type=FILE, required=True, help="Tagged sentences."),
    click.option("--dev", "dev_file", type=FILE, required=True, help="Held-out ones."),
    click.option("--task", type=click.Choice(["ner", "segmentation"]), default="ner",
                 help="Entities of columns, JSON lines or standoff; or words of a segmented text: "
                      "SIGHAN's lines with blanks between words, or CoNLL-U."),
    OUTPUT,
    MODEL,
    recipe(),
)  # fmt: skip
def tag(train_file: Path, dev_file: Path, output: Path, task: str, **given: Any) -> None:
    """Train a tagger without a CRF and print its held-out scores as a JSON object.

    The classifier reads each word's first token.  F1 is conlleval's, or SIGHAN's of words, with the
    recall of words that training does not have.  `bertfeat ner train` has the BiLSTM and the CRF.
    """
    from bertfeat_tools.finetuning.classify import ClassifyOptions
    from bertfeat_tools.finetuning.tags import train_tags

    chosen = _task(task, train_file, dev_file, given)

    def run(own: dict[str, Any], folder: Path, progress: Any) -> dict[str, Any]:
        return train_tags(ClassifyOptions.given(own, metric="f1"), chosen, folder, progress())

    click.echo(json.dumps(train_seeds(output, given, "f1", run)))


def _task(task: str, train_file: Path, dev_file: Path, given: dict[str, Any]) -> "TagTask":
    """Read both files."""
    from bertfeat.ner.files import read_tagged
    from bertfeat_tools.finetuning.segmented import as_sentence, read_segmented
    from bertfeat_tools.finetuning.tags import entity_task, segmentation_task

    files = (train_file, dev_file)
    if task == "ner":
        train, dev = (read_tagged(path) for path in files)
        return entity_task(_drawn(train, given), dev)
    train, dev = ([as_sentence(words) for words in read_segmented(path)] for path in files)
    return segmentation_task(_drawn(train, given), dev)


def _drawn(sentences: list[Any], given: dict[str, Any]) -> Sequence[Any]:
    """Return so many sentences, drawn by the seed, as --limit says."""
    import numpy as np

    if given["limit"] is None or given["limit"] >= len(sentences):
        return sentences
    rows = np.random.default_rng(given["seed"]).permutation(len(sentences))[: given["limit"]]
    return [sentences[row] for row in rows]
