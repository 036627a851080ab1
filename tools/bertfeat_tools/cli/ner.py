"""``bertfeat ner``: train taggers, use and score them, redo a paper's table."""

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertfeat.checkpoints.folder_files import copy_whole, write_json
from bertfeat.ner.files import FORMATS, WRITERS
from bertfeat.ner.schemes import SCHEMES
from bertfeat_tools.cli.options import CONTEXT, MODEL, RUN, load_encoder, load_options, with_options
from bertfeat_tools.cli.steps import step_bar

if TYPE_CHECKING:
    from bertfeat_tools.ner.job import Features

OF_THE_APPROACH = "{}; {} with --fine-tune-encoder"
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FORMAT = click.option(
    "--format", "format", type=click.Choice(["auto", *FORMATS]), default="auto",
    help="Of files read: CoNLL columns, sentences of one line, JSON lines, text, standoff.",
)  # fmt: skip
DATA = (
    click.option("--train", "train_file", type=FILE, required=True, help="Tagged sentences."),
    click.option("--dev", "dev_file", type=FILE, required=True, help="Held-out ones."),
    click.option(
        "--output", type=click.Path(path_type=Path), required=True,
        help="The folder made; an interrupted run in it goes on.",
    ),
    FORMAT,
)  # fmt: skip
FEATURES = (
    MODEL,
    click.option(
        "--word-pooling", type=click.Choice(["first", "last", "mean", "max"]), default="first",
        help="Which sub-token stands for a word.",
    ),
    click.option(
        "--context", type=click.Choice(["none", "document"]), default="none",
        help="Read each sentence between its neighbours in the document.",
    ),
)  # fmt: skip
NETWORK = (
    click.option(
        "--scheme", type=click.Choice(SCHEMES), show_default="that of the training file",
        help="Label scheme of the tagger.",
    ),
    click.option("--rnn", type=click.Choice(["lstm", "gru", "none"]), default="lstm",
                 help="Recurrent layers between features and tags."),
    click.option("--rnn-layers", type=click.IntRange(1), default=2, help="How many."),
    click.option("--rnn-units", type=click.IntRange(1), default=128,
                 help="Units of each direction; the paper's are 768."),
    click.option("--dropout", type=click.FloatRange(0, 1, max_open=True), default=0.5,
                 help="Of features and between layers."),
    click.option("--crf/--no-crf", default=True, help="A CRF on top, or each tag for itself."),
    click.option("--constrained/--unconstrained", default=False,
                 help="Train the CRF among the scheme's allowed paths only."),
)  # fmt: skip
TRAINING = (
    click.option("--epochs", type=click.IntRange(1), show_default=OF_THE_APPROACH.format(30, 5),
                 help="At most."),
    click.option("--patience", type=click.IntRange(0), default=5,
                 help="Epochs without a better entity F1 until it ends; 0 = never."),
    click.option("--batch-size", type=click.IntRange(1), default=32, help="Sentences."),
    click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=1e-3,
                 help="The highest of the network; it falls to 0."),
    click.option("--warmup", type=click.FloatRange(0), show_default=OF_THE_APPROACH.format(0, 0.1),
                 help="Updates of linear warm-up; below 1 a fraction of all."),
    click.option("--weight-decay", type=click.FloatRange(0),
                 show_default=OF_THE_APPROACH.format(0, 0.01),
                 help="Of all weights but biases and normalizations."),
)  # fmt: skip
FINE_TUNING = (
    click.option("--fine-tune-encoder", is_flag=True,
                 help="Train the encoder too; the tagger's folder then holds its own."),
    click.option("--encoder-learning-rate", type=click.FloatRange(0, min_open=True), default=3e-5,
                 help="The encoder's highest, with --fine-tune-encoder."),
)  # fmt: skip


@click.group(context_settings=CONTEXT)
def ner() -> None:
    """Tag named entities with a BiLSTM-CRF on an encoder, frozen or trained with it."""


@ner.command(context_settings=CONTEXT)
@with_options(
    DATA, FEATURES,
    click.option("--layers", show_default=OF_THE_APPROACH.format("-4:", "-1"),
                 help="0 = embeddings … N = last, -1 = last."),
    click.option("--combine", type=click.Choice(["concat", "sum", "mean", "weighted"]),
                 default="concat", help="How layers become one; weighted is learned."),
    click.option("--characters", is_flag=True,
                 help="No encoder: a trainable table of the training file's words or characters."),
    FINE_TUNING, NETWORK, TRAINING,
    click.option("--seeds", type=click.IntRange(1), default=1,
                 help="Runs, with seeds from --seed on; the best one's tagger is kept."),
    RUN,
)  # fmt: skip
def train(**options: Any) -> None:
    """Train a tagger and print its scores on the held-out file as one JSON object."""
    from bertfeat.ner.files import read_tagged
    from bertfeat_tools.ner.job import best_seed, data_for, train_seeds

    files = [read_tagged(options[name], options["format"]) for name in ("train_file", "dev_file")]
    features = _features(options)
    settings = features.settings(files[0], **_network(options, "combine"))
    output, seed = options["output"], options["seed"]
    with step_bar(quiet=options["quiet"]) as show:
        data = data_for(features, settings, files, lambda n, total: show("extracting", n, total))
        result = train_seeds(
            settings, data, _training(options), output, range(seed, seed + options["seeds"]),
            lambda step, steps, values: show(f"loss {values['loss']:.3f}", step, steps),
            approach=features.approach,
        )  # fmt: skip
    best = output / f"seed-{best_seed(result)}" / "tagger"
    copy_whole(best, output)
    write_json(output / "result.json", result)
    click.echo(json.dumps(result))


@ner.command(context_settings=CONTEXT)
@click.argument("tagger", type=FOLDER)
@click.argument("source", default="-", metavar="[FILE]")
@with_options(
    FORMAT,
    click.option("--to", "target", type=click.Choice(list(WRITERS)), default="jsonl",
                 help="JSON lines with character offsets, CoNLL columns, or brat's standoff."),
    click.option("--output", type=click.Path(dir_okay=False, path_type=Path),
                 show_default="stdout", help="The file written."),
    RUN,
)  # fmt: skip
def tag(tagger: Path, source: str, format: str, target: str, **options: Any) -> None:
    """Tag FILE (standard input unless given) with the tagger in the folder TAGGER."""
    from bertfeat.ner.files import read_sentences, write_sentences

    sentences = read_sentences(source, format)
    found = _load(tagger, options).tagged(sentences)
    if options["output"]:
        write_sentences(found, options["output"], target)
    else:
        sys.stdout.writelines(f"{line}\n" for line in WRITERS[target](found))


@ner.command("eval", context_settings=CONTEXT)
@click.argument("tagger", type=FOLDER)
@click.argument("source", type=FILE, metavar="FILE")
@with_options(
    FORMAT,
    click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table."),
    click.option("--html", type=click.Path(dir_okay=False, path_type=Path),
                 help="Also write a page to browse the errors."),
    RUN,
)  # fmt: skip
def evaluate(tagger: Path, source: Path, format: str, as_json: bool, **options: Any) -> None:
    """Score the tagger in the folder TAGGER on the tagged FILE, as conlleval does."""
    from bertfeat.ner.files import read_tagged
    from bertfeat.ner.schemes import convert
    from bertfeat_tools.scoring.chunks import conlleval
    from bertfeat_tools.scoring.tagging import report

    sentences = read_tagged(source, format)
    found = _load(tagger, options).tagged(sentences)
    gold, predicted = ([convert(s.tags or (), "IOB2") for s in x] for x in (sentences, found))
    if options["html"]:
        from bertfeat_tools.ner.error_page import write_page

        write_page(sentences, found, options["html"])
    if as_json:
        click.echo(json.dumps(report(gold, predicted, "conlleval", "IOB2")))
    else:
        click.echo(conlleval(gold, predicted), nl=False)


@ner.command(context_settings=CONTEXT)
@with_options(
    DATA, FEATURES, NETWORK, TRAINING,
    click.option("--seeds", type=click.IntRange(1), default=3, help="Runs of each row."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table."),
    RUN,
)  # fmt: skip
def repro(**options: Any) -> None:
    """Train the six feature-based rows of the BERT paper's NER table and print it.

    Layers are extracted once; each cell goes on where it was interrupted.
    """
    from bertfeat.ner.files import read_tagged
    from bertfeat_tools.ner.repro import reproduce, table

    files = [read_tagged(options[name], options["format"]) for name in ("train_file", "dev_file")]
    with step_bar(quiet=options["quiet"]) as show:
        result = reproduce(
            _features(options), files, _training(options), options["output"],
            seeds=options["seeds"], network=_network(options), progress=show,
        )  # fmt: skip
    click.echo(json.dumps(result) if options["as_json"] else table(result, options["model"]))


def _features(options: dict[str, Any]) -> "Features":
    from bertfeat.engine.backend import load_keras
    from bertfeat_tools.ner.job import Features

    fine_tuned = options.get("fine_tune_encoder", False)
    if options.get("characters"):
        if fine_tuned:
            raise click.UsageError("--characters has no encoder that --fine-tune-encoder may train")
        load_keras(options["device"], options["threads"])
        return Features(None)
    encoder = load_encoder(options, **{"precision": "float32"} if fine_tuned else {})
    is_folder = Path(options["model"]).is_dir()  # found again from wherever the tagger is loaded
    name = str(encoder.folder.resolve()) if is_folder else options["model"]
    layers = options.get("layers") or ("-1" if fine_tuned else "-4:")
    rate = options["encoder_learning_rate"] if fine_tuned else None
    return Features(
        encoder, name, layers, options["word_pooling"], options["context"], rate
    )  # fmt: skip


def _network(options: dict[str, Any], *others: str) -> dict[str, Any]:
    names = ("rnn", "rnn_layers", "rnn_units", "dropout", "crf", "constrained", *others)
    scheme = {"scheme": options["scheme"]} if options["scheme"] else {}
    return {name: options[name] for name in names} | scheme


def _training(options: dict[str, Any]) -> Any:
    from bertfeat_tools.ner.train import FINE_TUNING_DEFAULTS, NerTraining

    known = {f.name for f in fields(NerTraining)}
    given = {name: options[name] for name in known if options.get(name) is not None}
    if options.get("fine_tune_encoder"):
        return NerTraining(**FINE_TUNING_DEFAULTS | given)
    return NerTraining(**{name: value for name, value in given.items() if name != "precision"})


def _load(tagger: Path, options: dict[str, Any]) -> Any:
    from bertfeat.tasks import Tagger

    return Tagger.load(tagger, **load_options(options))
