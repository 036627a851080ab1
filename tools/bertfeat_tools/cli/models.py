"""``bertfeat models``: list, fetch, show, convert, verify and whiten models."""

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import click

from bertfeat.extras import require
from bertfeat_tools.cli.options import CONTEXT, DEFAULT_MODEL

FORMATS = ("google", "huggingface", "sentence-transformers", "lite")
ELSEWHERE = {"list": ("models_fetch", "list_models"), "fetch": ("models_fetch", "fetch"),
             "whiten": ("models_whiten", "whiten")}  # fmt: skip
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
OFFLINE = click.option("--offline", is_flag=True, help="Never ask the network for the model.")


class ModelsGroup(click.Group):
    """A group some of whose commands live in files of their own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names in the order of ``--help``."""
        return sorted([*ELSEWHERE, *super().list_commands(ctx)])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command, importing its file where that is another."""
        if cmd_name not in ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        room, command = ELSEWHERE[cmd_name]
        return cast(click.Command, getattr(import_module(f"bertfeat_tools.cli.{room}"), command))


@click.group(cls=ModelsGroup, context_settings=CONTEXT)
def models() -> None:
    """List, fetch, show, convert, verify and whiten models."""


@models.command(context_settings=CONTEXT)
@click.argument("source")
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--to", "format", type=click.Choice(FORMATS), required=True, help="The target's format."
)
@click.option("--drop", is_flag=True, help="Leave out what the format cannot hold.")
@OFFLINE
def convert(source: str, target: Path, format: str, drop: bool, offline: bool) -> None:
    """Write the model SOURCE, a name or a folder, into the new folder TARGET.

    Weights keep their bits, except in the lite format: int8, for serving without TensorFlow.  What
    the format cannot hold is listed: without --drop that is an error and nothing is written.
    """
    from bertfeat import checkpoints

    folder = checkpoints.resolve(source, offline=offline)
    if format == "lite":
        from bertfeat import lite

        lost, fidelity = lite.make(folder, target, drop=drop)
        click.echo(fidelity, err=True)
    else:
        lost = checkpoints.convert(folder, target, format, drop=drop)
    for line in lost:
        click.echo(f"left out: {line}", err=True)
    click.echo(target)


@models.command(context_settings=CONTEXT)
@click.argument("model", default=DEFAULT_MODEL)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@OFFLINE
def show(model: str, as_json: bool, offline: bool) -> None:
    """Show what there is to know about MODEL, a name or a folder."""
    from bertfeat.checkpoints import resolve
    from bertfeat_tools.model_facts import facts

    found = facts(resolve(model, offline=offline))
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else as_lines(found))


@models.command(context_settings=CONTEXT)
@click.argument("model", default=DEFAULT_MODEL)
@click.option(
    "--against", type=FOLDER, metavar="FOLDER", show_default="the model's own",
    help="The Hugging Face folder that transformers reads.",
)  # fmt: skip
@click.option(
    "--texts", multiple=True, type=click.Path(exists=True, dir_okay=False), show_default="none",
    help="A text file of which every line is tokenized by both; repeatable.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as it comes.")
@OFFLINE
def verify(
    model: str, against: Path | None, texts: tuple[str, ...], as_json: bool, offline: bool
) -> int:
    """Compare MODEL, a name or a folder, with what transformers computes from it in float32.

    Token ids, every hidden state and attention, and the heads: on a padded batch, on pairs and on
    a text that fills the model.  Then converts to each other format and back and compares bits.
    Exit code 1 where a figure is over its limit.
    """
    require("bertfeat models verify", "torch", "transformers", extra="dev")
    from bertfeat.checkpoints import resolve
    from bertfeat_tools.parity import figures
    from bertfeat_tools.parity_table import as_table

    folder = resolve(model, offline=offline)
    found = []
    for figure in figures(folder, against, texts):
        found.append(figure)
        if as_json:
            click.echo(json.dumps(vars(figure) | {"passed": figure.passed}))
    if not as_json:
        click.echo(f"{_heading(folder, against)}\n\n{as_table(found)}")
    return int(not all(figure.passed for figure in found))


def as_lines(found: Mapping[str, Any]) -> str:
    """Lay facts out as lines; what is not known is left out."""
    return "\n".join(
        f"{name.replace('_', ' '):<18} {_text(name, value)}"
        for name, value in found.items()
        if value not in (None, [], {})
    )


def _heading(folder: Path, against: Path | None) -> str:
    from importlib.metadata import version

    theirs = f"transformers {version('transformers')} on torch {version('torch')}, float32"
    return f"{folder}\nagainst {theirs}" + (f", reading {against}" if against else "")


def _text(name: str, value: Any) -> str:
    if name in ("parameters", "bytes"):
        return f"{value:,}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key}={text!r}" for key, text in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
