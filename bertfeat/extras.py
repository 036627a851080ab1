"""The one sentence that tells which extra to install when a package is missing.

It looks for packages without importing them, so asking costs nothing.
"""

import re
import sys
from importlib.metadata import requires
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
        raise MissingExtra(_sentence(what, ", ".join(missing), extra))


def require_or_exit(what: str, *modules: str, extra: str = "serve") -> None:
    """Do as :func:`require` for a command: say the sentence on stderr and exit with 1."""
    try:
        require(what, *modules, extra=extra)
    except MissingExtra as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


def explain(what: str, error: ModuleNotFoundError) -> MissingExtra:
    """Turn the failed import of a package that some extra brings into the sentence about it.

    Raises:
        ModuleNotFoundError: the error itself; no extra brings that module.
    """
    module = (error.name or "").partition(".")[0]
    for requirement in requires("bertfeat") or []:
        found = re.match(r"([\w-]+).*extra == \W(\w+)", requirement)
        if found and found[1].lower().replace("-", "_") in (module, f"{module}_cpu"):
            return MissingExtra(_sentence(what, module, found[2]))
    raise error


def _sentence(what: str, missing: str, extra: str) -> str:
    return f'{what} needs {missing}: the extra [{extra}] brings it, pip install "bertfeat[{extra}]"'
