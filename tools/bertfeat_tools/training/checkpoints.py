"""The whole state of a run in one file: weights, optimizer, random states, and what led to them.

A file is written under another name, flushed to the disk and renamed, so that what has its name
is whole, whatever moment the run was killed at.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.errors import CheckpointError
from bertfeat_tools.training.hosts import is_first

BEST = "best"
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run.

    Attributes:
        folder: where they lie, ``0000100.safetensors`` for the state after 100 updates.
        keep: how many stay; the best one besides.
    """

    folder: Path
    keep: int = 1

    def save(self, name: str, variables: list[Any], state: Mapping[str, Any]) -> Path:
        """Write the values of variables and a JSON state, if this process is the first of several.

        Raises:
            CheckpointError: the disk is full or cannot be written; what was there is as it was.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import save_file

        path = self.folder / f"{name}{SUFFIX}"
        if not is_first():
            return path
        temporary = path.with_suffix(".partial")
        tensors = {key: np.asarray(value, order="C") for key, value in named(variables).items()}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file(tensors, temporary, metadata={"state": json.dumps(state)})
            _flush(temporary)
            temporary.replace(path)
        except (OSError, SafetensorError) as error:
            temporary.unlink(missing_ok=True)
            newest = self.newest()
            raise CheckpointError(
                f"{path} cannot be written: {error}; the newest whole checkpoint is "
                f"{newest or 'none'}; make room and start the same command again"
            ) from error
        self._drop_old()
        return path

    def save_step(self, step: int, variables: list[Any], state: Mapping[str, Any]) -> None:
        """Write the state after a number of updates."""
        self.save(f"{step:07d}", variables, {**state, "step": step})

    def newest(self) -> Path | None:
        """Return the newest checkpoint by number of updates, or None."""
        numbered = self._numbered()
        return numbered[-1] if numbered else None

    def best(self) -> Path | None:
        """Return the file of the best weights, or None."""
        path = self.folder / f"{BEST}{SUFFIX}"
        return path if path.is_file() else None

    def _numbered(self) -> list[Path]:
        return sorted(path for path in self.folder.glob(f"*{SUFFIX}") if path.stem.isdigit())

    def _drop_old(self) -> None:
        for path in self._numbered()[: -self.keep]:
            path.unlink()


def restore(path: Path, variables: list[Any]) -> dict[str, Any]:
    """Give variables the values of a file and return the state that was saved with them.

    Raises:
        CheckpointError: the file is damaged, or belongs to another model or optimizer.
    """
    from safetensors import SafetensorError, safe_open

    wanted = dict(zip(keys(variables), variables, strict=True))
    try:
        with safe_open(path, framework="numpy") as file:
            found = set(file.keys())
            if found != set(wanted):
                raise CheckpointError(
                    f"{path} belongs to another model or optimizer: it lacks "
                    f"{sorted(set(wanted) - found)[:3]} and has {sorted(found - set(wanted))[:3]} "
                    "besides; choose another folder, or the settings of the run that made it"
                )
            for key, variable in wanted.items():
                variable.assign(file.get_tensor(key))
            state: dict[str, Any] = json.loads((file.metadata() or {}).get("state", "{}"))
            return state
    except (SafetensorError, ValueError, OSError) as error:
        raise CheckpointError(f"{path} is damaged: {error}; delete it to go on without") from error


def named(variables: list[Any]) -> dict[str, np.ndarray]:
    """Return the values of variables under unique names."""
    return {
        key: np.asarray(variable.value if hasattr(variable, "value") else variable)
        for key, variable in zip(keys(variables), variables, strict=True)
    }


def keys(variables: list[Any]) -> list[str]:
    """Name variables by their place and the last parts of their paths.

    The first part of a path may count how many models the process has made, so it is left out.
    """
    return [f"{place:04d}/{v.path.partition('/')[2]}" for place, v in enumerate(variables)]


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
