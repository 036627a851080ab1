"""Options from a TOML file, below those of the command line and of the environment."""

import difflib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


class Repeatable(click.Command):
    """A command that remembers its arguments, so that they can be understood once more."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:  # fmt: skip
        """Parse arguments."""
        given = list(args)
        context = super().make_context(info_name, args, parent, **extra)
        context.meta[__name__] = given
        return context


def parameters_again() -> dict[str, Any]:
    """Return what the arguments of the command that runs, and the file, say now.

    Raises:
        ClickException: they cannot be read any more.
    """
    context = click.get_current_context()
    given = list(context.meta[__name__])
    return context.command.make_context(context.info_name, given).params


def config_option(command: Command) -> Command:
    """Decorate a command with ``--config FILE``."""
    return click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=_read,
        envvar="BERTFEAT_SERVE_CONFIG",
        show_envvar=True,
        show_default="none",
        help="TOML file of these options by their names; SIGHUP reads it again.",
    )(command)


def _read(context: click.Context, parameter: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{path}: {error}") from error
    values = {name.replace("-", "_"): value for name, value in told.items()}
    known = {p.name for p in context.command.params if p.expose_value and p.name}
    wrong = [_unknown(name, known) for name in sorted(values.keys() - known)]
    if wrong:
        raise click.BadParameter(f"{path}: " + "; ".join(wrong))
    context.default_map = values


def _unknown(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"{name} is no option" + (f", did you mean {near[0]}?" if near else "")
