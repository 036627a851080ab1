"""``bertfeat pretrain``: vocabulary, examples and pre-training, from raw text to a model folder."""

import json
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from bertfeat_tools.cli.options import CONTEXT, dashes, with_options
from bertfeat_tools.cli.steps import step_bar
from bertfeat_tools.training.settings import PRECISIONS

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
TARGET = click.Path(path_type=Path)
CORPUS = (
    click.argument("corpus", type=FILE, nargs=-1, required=True),
    click.option("--output", type=TARGET, required=True, help="The folder made."),
    click.option("--field", default="text", help="Key or column of the text in JSON and Parquet."),
)
MOSTLY_RANDOM = 0.7
"""Share of random pairs that shows that the corpus is not laid out for next sentences."""
QUIET = click.option("--quiet", is_flag=True, help="No progress bar.")


def read_config(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    """Take options from a TOML file; those on the command line win."""
    if value is None:
        return
    try:
        found = tomllib.loads(value.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise click.BadParameter(f"{value} cannot be read: {error}") from error
    known = {name: p.name for p in ctx.command.params for name in _names(p)}
    unknown = [key for key in found if dashes(key) not in known]
    if unknown:
        raise click.BadParameter(f"{value}: unknown option(s) {', '.join(unknown)}")
    several = {p.name for p in ctx.command.params if getattr(p, "multiple", False)}
    values: dict[str, Any] = {}
    for key, given in found.items():
        name = str(known[dashes(key)])
        values[name] = [given] if name in several and not isinstance(given, list) else given
    ctx.default_map = {**(ctx.default_map or {}), **values}


class BatchSize(click.IntRange):
    """The examples of a batch; ``auto`` is 0: as many as fit."""

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Read a number of 1 or more, or the word."""
        return 0 if value == "auto" else int(super().convert(value, param, ctx))


def _names(parameter: click.Parameter) -> list[str]:
    return [name.lstrip("-") for name in parameter.opts]


@click.group(context_settings=CONTEXT)
def pretrain() -> None:
    """Pre-train an encoder: vocab, then data, then run."""


@pretrain.command(context_settings=CONTEXT)
@with_options(
    CORPUS,
    click.option("--size", type=click.IntRange(100), default=30_522, help="Tokens at most."),
    click.option("--lowercase/--cased", default=True, help="Lower-case and strip accents."),
    click.option("--chinese-characters/--no-chinese-characters", default=True,
                 help="Each Chinese character stands alone."),
    click.option("--min-frequency", type=click.IntRange(1), default=2,
                 help="Times that a piece occurs at least."),
    click.option("--reserved", type=click.IntRange(0), default=0,
                 help="Places kept as [unused0] ..."),
    QUIET,
)  # fmt: skip
def vocab(corpus: tuple[Path, ...], output: Path, field: str, **options: Any) -> None:
    """Train a WordPiece vocabulary on the files CORPUS."""
    from bertfeat_tools.pretraining.documents import read_documents
    from bertfeat_tools.pretraining.vocabulary import VocabularyOptions, train_vocabulary

    del options["quiet"]
    texts = (text for document in read_documents(corpus, field) for text in document)
    size = train_vocabulary(texts, VocabularyOptions(**options), output)
    click.echo(json.dumps({"tokens": size, "folder": str(output)}))


@pretrain.command(context_settings=CONTEXT)
@with_options(
    CORPUS,
    click.option("--tokenizer", type=FOLDER, required=True, help="Folder with vocab.txt."),
    click.option("--max-seq-len", "--max-seq-length", "max_seq_len", type=click.IntRange(8),
                 default=128, help="Tokens of a row."),
    click.option("--objective", type=click.Choice(["nsp", "sop", "none"]), default="nsp",
                 help="Next sentence, sentence order, or single segments."),
    click.option("--short", type=click.FloatRange(0, 1), default=0.1, help="Part of short rows."),
    click.option("--masking", type=click.Choice(["static", "dynamic"]), default="static",
                 help="Mask now, or anew in each epoch of training."),
    click.option("--rate", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.15,
                 help="Part of the tokens predicted."),
    click.option("--mask", type=click.FloatRange(0, 1), default=0.8, help="Of these: [MASK]."),
    click.option("--same", type=click.FloatRange(0, 1), default=0.1, help="Of these: unchanged."),
    click.option("--max-predictions", type=click.IntRange(1), default=20, help="Of a row."),
    click.option("--whole-words", is_flag=True, help="Mask all pieces of a word together."),
    click.option("--ngram", type=click.IntRange(1), default=1, help="Words masked together."),
    click.option("--segmented", is_flag=True,
                 help="Words stand between spaces (Chinese), for --whole-words."),
    click.option("--copies", type=click.IntRange(1), default=1,
                 help="Times each document is used, masked anew."),
    click.option("--held-out-every", type=click.IntRange(0), default=20,
                 help="Hold out every so many-th document; 0 = none."),
    click.option("--shards", type=click.IntRange(1), default=1, help="Files."),
    click.option("--compress", is_flag=True, help="Pack the files with gzip."),
    click.option("--processes", type=click.IntRange(1), default=1,
                 help="Working beside each other; the result is the same."),
    click.option("--seed", type=int, default=12345, help="Of everything random."),
    QUIET,
)  # fmt: skip
def data(corpus: tuple[Path, ...], output: Path, field: str, **o: Any) -> None:
    """Turn the files CORPUS into examples: TFRecords with Google's keys.  Prints statistics."""
    from bertfeat_tools.pretraining.build import build
    from bertfeat_tools.pretraining.documents import read_documents
    from bertfeat_tools.pretraining.masking import Masking
    from bertfeat_tools.pretraining.pairs import PairOptions
    from bertfeat_tools.pretraining.rows import BuildOptions

    masking = Masking(
        rate=o["rate"], mask=o["mask"], same=o["same"], most=o["max_predictions"],
        whole_words=o["whole_words"] or o["segmented"], ngram=o["ngram"],
    )  # fmt: skip
    pairs = PairOptions(max_seq_len=o["max_seq_len"], objective=o["objective"], short=o["short"])
    options = BuildOptions(
        pairs=pairs, masking=masking, dynamic=o["masking"] == "dynamic",
        **{name: o[name] for name in ("copies", "segmented", "held_out_every", "seed", "shards",
                                      "compress")},
    )  # fmt: skip
    found = build(read_documents(corpus, field), o["tokenizer"], options, output, o["processes"])
    random = found["statistics"]["train"]["label_1_share"]
    if o["objective"] == "nsp" and random > MOSTLY_RANDOM:
        click.echo(
            f"warning: {random:.0%} of the pairs are random: a document of one line has no next "
            "sentence; write a sentence a line and blank lines between documents only, or choose "
            "--objective none", err=True,
        )  # fmt: skip
    click.echo(json.dumps(found["statistics"]))


@pretrain.command(context_settings=CONTEXT)
@with_options(
    click.option("--config", type=FILE, callback=read_config, is_eager=True, expose_value=False,
                 help="A TOML file with these options."),
    click.option("--data", type=FOLDER, multiple=True, required=True,
                 help="Examples; several for several phases."),
    click.option("--output", type=TARGET, required=True,
                 help="The folder made; an interrupted run in it goes on."),
    click.option("--steps", type=click.IntRange(1), multiple=True, required=True,
                 help="Updates, for each phase."),
    click.option("--batch-size", "batch_sizes", type=BatchSize(1), metavar="N|auto", multiple=True,
                 default=(32,), help="Examples of a batch, for each phase; auto = what fits."),
    click.option("--update-examples", type=click.IntRange(0), default=0,
                 help="With --batch-size auto: examples of an update, of as few batches as fit."),
    click.option("--init", default="", show_default="from scratch", help="Model to go on from."),
    click.option("--num-layers", type=click.IntRange(1), default=4, help="L."),
    click.option("--hidden-size", type=click.IntRange(1), default=256, help="H."),
    click.option("--num-heads", type=click.IntRange(1), default=4, help="A."),
    click.option("--max-positions", type=click.IntRange(8), default=512, help="Longest row."),
    click.option("--objective", type=click.Choice(["nsp", "sop", "none"]), default="nsp",
                 help="Whether the pair's label is learned."),
    click.option("--left-to-right", is_flag=True,
                 help="Ablation: predict each token from those before; --objective none."),
    click.option("--packed", is_flag=True,
                 help="Short examples share a row: the same losses in less time."),
    click.option("--optimizer", type=click.Choice(["google", "adamw", "lamb"]), default="google",
                 help="google = AdamW without bias correction."),
    click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=1e-4,
                 help="The highest."),
    click.option("--warmup", type=click.FloatRange(0), default=0.01,
                 help="Updates of warm-up; below 1 a part of all."),
    click.option("--weight-decay", type=click.FloatRange(0), default=0.01, help="Of kernels."),
    click.option("--accumulation", type=click.IntRange(1), default=1, help="Batches of an update."),
    click.option("--precision", type=click.Choice(PRECISIONS), default="float32",
                 help="Weights stay float32."),
    click.option("--gradient-checkpointing", is_flag=True,
                 help="Compute layers again for the gradient: less memory, more time."),
    click.option("--log-every", type=click.IntRange(1), default=10, help="Updates."),
    click.option("--save-every", type=click.IntRange(0), default=500, help="Updates."),
    click.option("--evaluate-every", type=click.IntRange(0), default=500, help="Updates."),
    click.option("--keep", type=click.IntRange(1), default=2, help="Checkpoints."),
    click.option("--seed", type=int, default=0, help="Of weights, dropout and order."),
    click.option("--price-per-hour", type=click.FloatRange(0), default=0.0,
                 help="Of this machine; then the cost is projected too."),
    click.option("--devices", type=click.IntRange(1), default=1,
                 help="GPUs or TPU cores that share each batch, with KERAS_BACKEND=jax."),
    click.option("--hosts", default="", metavar="ADDRESS:PORT|auto", show_default="one alone",
                 help="Where the first of several processes listens that share each batch."),
    click.option("--host-number", type=click.IntRange(0), default=0, help="This one's, from 0."),
    click.option("--host-count", type=click.IntRange(1), default=1, help="Of all."),
    QUIET,
)  # fmt: skip
def run(output: Path, quiet: bool, price_per_hour: float, devices: int, **options: Any) -> None:
    """Pre-train on examples and write OUTPUT/model, a Hugging Face folder with its heads."""
    from bertfeat_tools.pretraining.options import PretrainOptions
    from bertfeat_tools.pretraining.run import pretrain
    from bertfeat_tools.training.hosts import Hosts
    from bertfeat_tools.training.settings import TrainSettings

    together = [options[name] for name in ("hosts", "host_number", "host_count")]
    chosen = PretrainOptions(
        **{f.name: options[f.name] for f in fields(PretrainOptions) if f.name in options}
    )
    known = {f.name for f in fields(TrainSettings)} & options.keys() - {"steps"}
    settings = TrainSettings(
        steps=sum(chosen.for_each("steps")), metric="-masked_lm_loss",
        **{name: options[name] for name in known},
    )  # fmt: skip
    with step_bar(quiet=quiet) as show:
        found = pretrain(
            chosen, settings, output,
            lambda step, steps, values: show(f"loss {values['loss']:.3f}", step, steps),
            tell=lambda sentence: None if quiet else click.echo(sentence, err=True),
            price_per_hour=price_per_hour, devices=devices,
            hosts=Hosts(*together) if options["hosts"] else None,
        )  # fmt: skip
    if found:
        click.echo(json.dumps({**found, "model": str(output / "model")}))
