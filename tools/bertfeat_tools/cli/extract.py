"""``extract_features``: text lines to vectors of every token, layer by layer."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from bertfeat.features.bucketing import ChunkSize
from bertfeat.features.google_pairs import GooglePairs
from bertfeat.features.token_rows import TokenRows
from bertfeat.features.words import WORD_POOLINGS, WORD_SPLITS
from bertfeat.features.writers.google_jsonl import GoogleJsonl
from bertfeat.features.writers.npz import Npz
from bertfeat.features.writers.rows import Format, TokenRow
from bertfeat.features.writers.token_parquet import TokenParquet
from bertfeat_tools.cli.google_checkpoint import GoogleCommand, google_folder
from bertfeat_tools.cli.line_job import INPUT_FILE, LineJob, check_files, made_with
from bertfeat_tools.cli.options import (
    CONTEXT,
    MODEL,
    RESUME,
    RUN,
    TRUNCATE,
    is_given,
    load_encoder,
    with_options,
)

if TYPE_CHECKING:
    from bertfeat.api import Encoder

FORMATS = ("jsonl", "parquet", "npz")
BATCH_TOKENS = 2048
CHUNK_LINES = 1024
CHUNK_BYTES = 128 << 20
"""Vectors that are in memory together."""
INTEGER = re.compile(r"^\s*-\d+\s*$")
FILE = click.Path(exists=True, dir_okay=False)
THREE = ("bert_config_file", "init_checkpoint", "vocab_file")


def _no_tpu(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        raise click.BadParameter("there is no TPU support here; choose a device with --device")


@click.command("extract_features", cls=GoogleCommand, context_settings=CONTEXT)
@with_options(
    click.option("--input-file", required=True, type=INPUT_FILE, help="Text, - is stdin, .gz too."),
    click.option(
        "--output-file", required=True, metavar="FILE", help="Result, - is stdout, .gz for JSONL."
    ),
    click.option(
        "--layers", default="-1,-2,-3,-4", metavar="-1,-2,…",
        help="-1 is the last, -N the first layer; embeddings have no number here.",
    ),
    MODEL,
    click.option("--bert-config-file", type=FILE, help="Google's bert_config.json."),
    click.option("--init-checkpoint", metavar="PREFIX", help="Google's bert_model.ckpt."),
    click.option(
        "--vocab-file", type=FILE, help="Google's vocab.txt; the three together replace --model."
    ),
    click.option(
        "--do-lower-case/--no-do-lower-case", default=None,
        show_default="the model's own; yes with --vocab-file", help="Whether letters lose case.",
    ),
    click.option(
        "--max-seq-length", "--max-seq-len", "max_seq_len", type=click.IntRange(3), default=128,
        help="Tokens read of each line, [CLS] and [SEP] included.",
    ),
    TRUNCATE,
    click.option(
        "--long", type=click.Choice(["truncate", "window"]), default="truncate",
        help="Cut long lines, or read them whole in overlapping windows (no pairs then).",
    ),
    click.option(
        "--stride", type=click.IntRange(0), show_default="half of --max-seq-length",
        help="Tokens that neighbouring windows share.",
    ),
    click.option(
        "--format", type=click.Choice(FORMATS), show_default="by the output's suffix, else jsonl",
        help="Google's JSON lines, or binary.",
    ),
    click.option("--words", is_flag=True, help="A vector for each word, with its characters."),
    click.option(
        "--word-split", type=click.Choice(WORD_SPLITS), default="model",
        help="Words as the model splits them, punctuation apart, or as blanks do.",
    ),
    click.option(
        "--word-pooling", type=click.Choice(WORD_POOLINGS), default="mean",
        help="Which word piece, or what of them all, stands for the word.",
    ),
    RESUME,
    click.option(
        "--batch-size", type=click.IntRange(1), show_default="by tokens",
        help="Lines of full length that are computed together.",
    ),
    click.option(
        "--batch-tokens", type=click.IntRange(1), default=BATCH_TOKENS,
        help="Lines times longest line, in tokens, that are computed together.",
    ),
    RUN,
    click.option("--use-tpu", type=bool, hidden=True, expose_value=False, callback=_no_tpu),
    click.option("--master", hidden=True, expose_value=False),
    click.option("--num-tpu-cores", hidden=True, expose_value=False),
    click.option("--use-one-hot-embeddings", hidden=True, expose_value=False),
)  # fmt: skip
@click.pass_context
def extract_features(ctx: click.Context, /, **options: Any) -> int:
    """Turn lines of text into vectors of every token, layer by layer.

    A line "one ||| other" is a pair.  JSON lines are those of Google's extract_features.py; a line
    that fails keeps its place, without features and with an error.
    """
    chosen = options["format"] or _format_of(options["output_file"])
    check_files(
        options["input_file"], options["output_file"], is_text=chosen == "jsonl",
        resume=options["resume"],
    )  # fmt: skip
    if options["batch_size"]:
        options["batch_tokens"] = options["batch_size"] * options["max_seq_len"]
    with _model(ctx, options) as model:
        encoder = load_encoder(
            options | {"model": model}, max_seq_len=None, lowercase=options["do_lower_case"]
        )
        return _job(ctx, encoder, options | {"format": chosen}).run()


def _job(ctx: click.Context, encoder: "Encoder", options: Mapping[str, Any]) -> LineJob[TokenRow]:
    layers = google_layers(options["layers"], encoder.num_layers)
    limit = _limit(ctx, options["max_seq_len"], encoder.config.max_position_embeddings)
    hidden = encoder.config.hidden_size
    windows = options["long"] == "window"
    stride = limit // 2 if options["stride"] is None else options["stride"]
    extract = partial(
        encoder.extract, layers=layers, truncate=options["truncate"], long=options["long"],
        stride=stride, max_seq_len=limit, return_errors=True,
    )  # fmt: skip
    as_google = options["truncate"] == "right" and not windows
    size = ChunkSize(
        CHUNK_LINES, CHUNK_BYTES // (len(layers) * hidden * 4), None if windows else limit
    )
    return LineJob(
        options["input_file"],
        options["output_file"],
        _format(options["format"], layers, hidden, words=options["words"]),
        TokenRows(
            extract=GooglePairs(extract, encoder.tokenizer, limit) if as_google else extract,
            empty=np.zeros((len(layers), 0, hidden), np.float32),
            pairs_fit=not windows,
            word_pooling=options["word_pooling"] if options["words"] else None,
            word_split=options["word_split"],
        ),
        size,
        made_with(encoder, options) | {"max_seq_len": limit, "stride": stride, "chunk": vars(size)},
        limit,
        options["resume"],
        options["quiet"],
    )


def google_layers(text: str, num_layers: int) -> list[int]:
    """Read ``--layers`` in Google's numbering.

    Raises:
        click.UsageError: one is not from -1 to -N.
    """
    numbers = [int(part) if INTEGER.match(part) else 0 for part in text.split(",")]
    if not all(-num_layers <= number <= -1 for number in numbers):
        raise click.UsageError(
            f"--layers {text}: expected numbers from -1 (last) to -{num_layers} (first layer of "
            "this model) with commas between them"
        )
    return numbers


@contextmanager
def _model(ctx: click.Context, options: Mapping[str, Any]) -> Iterator[str]:
    """Give the model's name or folder: --model, or the three files of Google's."""
    given = [name for name in THREE if options[name] is not None]
    if not given:
        yield options["model"]
        return
    if len(given) < len(THREE) or is_given(ctx, "model"):
        raise click.UsageError(
            "--bert-config-file, --init-checkpoint and --vocab-file go together, instead of --model"
        )
    lowercase = options["do_lower_case"] is not False
    with google_folder(*(options[name] for name in THREE), lowercase=lowercase) as folder:
        yield str(folder)


def _limit(ctx: click.Context, asked: int, positions: int) -> int:
    """Return the tokens that are read of each line; the default gives way to a shorter model."""
    if asked > positions and is_given(ctx, "max_seq_len"):
        raise click.UsageError(f"--max-seq-length {asked}: this model has {positions} positions")
    return min(asked, positions)


def _format_of(target: str) -> str:
    suffix = Path(target).suffix.removeprefix(".")
    return suffix if suffix in FORMATS else "jsonl"


def _format(name: str, layers: Sequence[int], hidden: int, *, words: bool) -> Format[TokenRow]:
    if name == "jsonl":
        return GoogleJsonl(layers, spans=words)
    return (Npz if name == "npz" else TokenParquet)(layers, hidden)
