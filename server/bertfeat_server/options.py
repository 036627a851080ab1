"""Command-line options made from the fields of a configuration, so that each is written once."""

from collections.abc import Callable
from dataclasses import Field, fields
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_type_hints

import click

ENVIRONMENT = "BERTFEAT_SERVE_"
Command = TypeVar("Command", bound=Callable[..., Any])


def options_of(config: type, *, only: tuple[str, ...] = ()) -> Callable[[Command], Command]:
    """Decorate a command with one option for each field of a dataclass.

    Names, types and defaults are the field's; its metadata has ``help`` and may have ``choices``,
    ``names`` (further spellings), ``metavar``, ``shown`` (the default in words) and ``hidden``.
    The environment variable of ``max_wait_ms`` is ``BERTFEAT_SERVE_MAX_WAIT_MS``.

    Args:
        config: the dataclass.
        only: take these fields; all by default.
    """
    hints = get_type_hints(config)

    def decorate(command: Command) -> Command:
        for field in reversed(fields(config)):
            if not only or field.name in only:
                command = _option(field, hints[field.name])(command)
        return command

    return decorate


def _option(field: "Field[Any]", hint: Any) -> Callable[[Command], Command]:
    about, name = field.metadata, field.name.replace("_", "-")
    kind = _kind(hint)
    multiple = isinstance(field.default, tuple)
    spelling = f"--{name}/--no-{name}" if kind is bool and field.default is None else f"--{name}"
    choices = about.get("choices") if "metavar" not in about else None
    return click.option(
        spelling,
        *about.get("names", ()),
        field.name,
        type=click.Choice(choices) if choices else None if kind is bool else kind,
        is_flag=kind is bool,
        multiple=multiple,
        default=field.default,
        help=about["help"],
        metavar=about.get("metavar"),
        hidden=about.get("hidden", False),
        show_default=about.get("shown", True),
        envvar=ENVIRONMENT + field.name.upper(),
        show_envvar=True,
    )


def _kind(hint: Any) -> Any:
    """Return the type behind ``X | None`` and ``tuple[X, ...]``."""
    if isinstance(hint, UnionType):
        hint = next(kind for kind in get_args(hint) if kind is not NoneType)
    return get_args(hint)[0] if get_args(hint) else hint
