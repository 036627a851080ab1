"""Options that several commands have, each written once; their names are those of the library."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from bertfeat.engine.choose import PRECISIONS
from bertfeat.features.options import (
    COMBINATIONS,
    DTYPES,
    POOLING_ALIASES,
    POOLINGS,
    TRUNCATIONS,
    EncodeOptions,
)
from bertfeat.loading import LoadOptions

if TYPE_CHECKING:
    from bertfeat.api import Encoder

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]

DEFAULT_MODEL = "all-MiniLM-L6-v2"
OF_THE_MODEL = "the model's own"
LOAD = LoadOptions()


def dashes(name: str) -> str:
    """Read ``--max_seq_len``, as Google's tools spell it, as ``--max-seq-len``."""
    return name.replace("_", "-")


CONTEXT: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    "show_default": True,
    "token_normalize_func": dashes,
}


def layer_weights(value: str) -> tuple[float, ...]:
    """Read numbers with commas between them."""
    try:
        return tuple(float(weight) for weight in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r}: expected numbers with commas between them") from None


RUN = (
    click.option(
        "--precision", type=click.Choice(PRECISIONS), default=LOAD.precision,
        show_default="float32; int8 for a lite folder", help="What the model computes in.",
    ),
    click.option(
        "--device", default=LOAD.device, metavar="auto|cpu|gpu:N",
        help="Where to compute; auto takes a GPU if there is one.",
    ),
    click.option("--offline", is_flag=True, help="Never ask the network for the model."),
    click.option(
        "--threads", type=click.IntRange(1), show_default="all cores",
        help="Cores that one operation may use.",
    ),
    click.option(
        "--batch-invariant", is_flag=True,
        help="Compute each text alone: the same bits whatever else is encoded; slower.",
    ),
    click.option(
        "--seed", type=int, default=0,
        help="Taken by every command; computing features draws no random numbers.",
    ),
    click.option("--quiet", is_flag=True, help="No progress bar; warnings and errors remain."),
)  # fmt: skip
BATCH_TOKENS = click.option(
    "--batch-tokens", type=click.IntRange(1), default=LOAD.batch_tokens,
    show_default="512 on a CPU, 16384 on a GPU",
    help="Texts times longest text, in tokens, that are computed together.",
)  # fmt: skip
MODEL = click.option(
    "--model", default=DEFAULT_MODEL, metavar="NAME_OR_FOLDER",
    help="A folder, or a name that is looked up in caches and on the hub.",
)  # fmt: skip
MAX_SEQ_LEN = click.option(
    "--max-seq-len", "--max-seq-length", "max_seq_len", type=click.IntRange(3),
    show_default=OF_THE_MODEL, help="Tokens read of each text, [CLS] and [SEP] included.",
)  # fmt: skip
TRUNCATE = click.option(
    "--truncate", type=click.Choice(TRUNCATIONS), default=EncodeOptions().truncate,
    help="Which part of a too long text goes; error fails its line.",
)  # fmt: skip
RESUME = click.option(
    "--resume", is_flag=True, help="Go on where an interrupted run of the same command stopped."
)
POOLING = click.option(
    "--pooling", type=click.Choice([*POOLINGS, *POOLING_ALIASES]),
    metavar=f"[{'|'.join(POOLINGS)}]", show_default=OF_THE_MODEL,
    help="How token vectors become one; bert-as-service's names are known too.",
)  # fmt: skip
FEATURES = (
    click.option(
        "--layers", metavar="-1|-4:|all|…", show_default=f"{OF_THE_MODEL}, the last",
        help="0 = embeddings … N = last, -1 = last; several with commas, or a range.",
    ),
    click.option(
        "--combine", type=click.Choice(COMBINATIONS), show_default="concat",
        help="How several layers become one.",
    ),
    click.option(
        "--layer-weights", type=layer_weights, metavar="w,w,…", show_default="none",
        help="A factor for each layer, with --combine weighted.",
    ),
    POOLING,
    click.option(
        "--normalize/--no-normalize", default=None, show_default=OF_THE_MODEL,
        help="Scale each vector to length 1.",
    ),
    click.option(
        "--dimensions", type=click.IntRange(1), show_default="all",
        help="Keep only the first so many components.",
    ),
    click.option(
        "--dtype", type=click.Choice(DTYPES), default=EncodeOptions().dtype,
        help="Number format of the vectors.",
    ),
    TRUNCATE,
    click.option("--prompt", show_default=OF_THE_MODEL, help="Text put before each text."),
    click.option("--prompt-name", show_default=OF_THE_MODEL, help="The model's prompt so named."),
)  # fmt: skip


def with_options(*options: Decorator[Any] | tuple[Decorator[Any], ...]) -> Decorator[Any]:
    """Give a command several options, in the order of ``--help``."""
    flat = [one for some in options for one in (some if isinstance(some, tuple) else (some,))]

    def decorate(command: Command) -> Command:
        for option in reversed(flat):
            command = option(command)
        return command

    return decorate


def encode_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Pick from a command's options those of ``Encoder.encode``."""
    return {f.name: options[f.name] for f in fields(EncodeOptions) if f.name in options}


def load_encoder(options: Mapping[str, Any], **others: Any) -> "Encoder":
    """Load the model that a command's options name.

    Args:
        options: the command's.
        others: further fields of :class:`bertfeat.loading.LoadOptions`.
    """
    from bertfeat import Encoder

    return Encoder.load(options["model"], **load_options(options) | others)


def load_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Pick from a command's options those of :class:`bertfeat.loading.LoadOptions`."""
    known = {f.name: options[f.name] for f in fields(LoadOptions) if f.name in options}
    return {"progress": not options.get("quiet", False), **known}


def is_given(ctx: click.Context, name: str) -> bool:
    """Tell whether an option stands on the command line, rather than having its default."""
    return ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
