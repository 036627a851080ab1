"""What every group of options can do: state a field, and say which of its values cannot be."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any


def option(default: Any, help: str, **more: Any) -> Any:
    """State an option of the command line.

    Args:
        default: its value unless told.
        help: what it means.
        **more: ``choices``, ``metavar``, further ``names``, ``shown`` (the default in words),
            ``hidden``.
    """
    return field(default=default, metadata={"help": help, **more})


@dataclass(frozen=True, kw_only=True)
class Group:
    """Some options that belong together."""

    def wrong(self) -> Iterator[str]:
        """Say what cannot be: each sentence names an option, its value and what is right."""
        yield from ()

    def _not_positive(self, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            value = getattr(self, name)
            if value is not None and not value > 0:
                yield f"{name}={value} is not positive"

    def _negative(self, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            if not getattr(self, name) >= 0:
                yield f"{name}={getattr(self, name)} is negative"

    def _no_port(self, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            if not 0 <= getattr(self, name) < 65536:
                yield f"{name}={getattr(self, name)} is not between 0 and 65535"


def no_choice(group: Group) -> Iterator[str]:
    """Say which options have a value that is none of their choices."""
    for option in fields(group):
        choices, value = option.metadata.get("choices"), getattr(group, option.name)
        if choices is not None and value not in (None, *choices):
            yield f"{option.name}={value!r} is none of " + ", ".join(choices)
