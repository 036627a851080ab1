"""``bertfeat train``: fine-tune an encoder; each task in a file of its own, imported when run."""

from importlib import import_module
from typing import cast

import click

from bertfeat_tools.cli.options import CONTEXT

TASKS = ("choice", "classify", "embed", "relation", "span", "tag")


class TrainGroup(click.Group):
    """A group whose command ``classify`` is that of the file ``train_classify``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the tasks' names."""
        return list(TASKS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a task's file; None where there is no such task."""
        if cmd_name not in TASKS:
            return None
        return cast(
            click.Command,
            getattr(import_module(f"bertfeat_tools.cli.train_{cmd_name}"), cmd_name),
        )


@click.group(cls=TrainGroup, context_settings=CONTEXT)
def train() -> None:
    """Fine-tune an encoder on a task."""
