"""A file that appears under its name when it is whole, and never before."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Give a temporary name beside ``target``; rename when the block ends well, else remove."""
    temporary = target.with_name(f"{target.name}.tmp")
    try:
        yield temporary
        os.replace(temporary, target)  # noqa: PTH105
    finally:
        temporary.unlink(missing_ok=True)
