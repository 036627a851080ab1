"""The lite folders of models that were asked for in int8: made once, kept in the user's cache."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bertfeat.checkpoints import lite
from bertfeat.checkpoints.cache import cache_folder, fetch_lock
from bertfeat.checkpoints.hashing import model_hash
from bertfeat.errors import CheckpointError
from bertfeat.extras import require

RECIPE = 1
"""Counts the ways of converting that there have been."""
logger = logging.getLogger(__name__)


def lite_folder(folder: Path, *, progress: bool = True) -> Path:
    """Return the lite folder of a model, converting the model if that was not done before.

    Args:
        folder: a model folder of any format.
        progress: say on a terminal what takes so long.

    Raises:
        CheckpointError: the conversion failed; the message says why.
        MissingExtra: it has to be converted, and a package for reading models is not installed.
    """
    if lite.holds_model(folder):
        return folder
    key = f"{model_hash(folder)[:16]}-{lite.FORMAT}.{RECIPE}"
    place = cache_folder() / "lite" / key
    if not lite.holds_model(place):
        require("int8 for a model that was not converted before", "safetensors", "filelock")
        with fetch_lock(f"lite-{key}"):
            if not lite.holds_model(place):
                _convert(folder, place, progress)
    return place


def _convert(folder: Path, place: Path, progress: bool) -> None:
    logger.info("converting %s to int8, once: %s", folder, place)
    place.parent.mkdir(parents=True, exist_ok=True)
    with _spinner(f"converting {folder.name} to int8, once", progress):
        done = subprocess.run(
            [sys.executable, "-m", "bertfeat.lite", str(folder), str(place)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it was ended"])[-1]
        raise CheckpointError(f"{folder} cannot be converted to int8: {reason}")


@contextmanager
def _spinner(description: str, shown: bool) -> Iterator[None]:
    if not (shown and sys.stderr.isatty()):
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(description):
        yield
