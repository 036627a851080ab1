"""The one sentence that tells which extra to install when a package is missing.

It looks for packages without importing them, so asking costs nothing.
"""

import sys
from importlib.util import find_spec


class MissingExtra(ImportError):
    """A part of the project was asked for whose packages are not installed."""


def require(what: str, *modules: str, extra: str = "serve") -> None:
    """Check that the packages behind a part of the project are installed.

    Args:
        what: names the part in the message, e.g. ``"bertfeat.Encoder"``.
        modules: import names that the part needs.
        extra: the extra that brings them.

    Raises:
        MissingExtra: one is missing; the message is one sentence naming the extra.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise MissingExtra(
            f"{what} needs {' and '.join(missing)}, which the extra [{extra}] brings: "
            f'pip install "bertfeat[{extra}]"'
        )


def require_or_exit(what: str, *modules: str, extra: str = "serve") -> None:
    """Do as :func:`require` for a command: say the sentence on stderr and exit with 1."""
    try:
        require(what, *modules, extra=extra)
    except MissingExtra as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
