"""The group ``bertfeat``: finds each command's file by the command's name and imports it then."""

from importlib import import_module
from typing import cast

import click

COMMANDS = (
    "encode", "evaluate", "fill-mask", "index", "info", "mine-negatives", "models", "ner",
    "predict", "pretrain", "sentence2vec", "train",
)  # fmt: skip


class LazyGroup(click.Group):
    """A group whose command ``fill-mask`` is the object ``fill_mask`` of the file of that name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names in the order of ``--help``."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command's file; None where there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        return cast(click.Command, getattr(import_module(f"bertfeat_tools.cli.{name}"), name))


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
@click.version_option(package_name="bertfeat")
def bertfeat() -> None:
    """Turn text into BERT vectors, any layer, per token or pooled, and search them.

    Data go to stdout, everything else to stderr.  Exit codes: 0 done, 1 failed, 2 wrong usage.
    """
