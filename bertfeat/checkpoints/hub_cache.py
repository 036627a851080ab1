"""The Hugging Face hub's own cache, read with no import of ``huggingface_hub`` and no network.

Layout: ``models--ORG--NAME/{refs/REVISION, snapshots/COMMIT/FILES, .no_exist/COMMIT/FILES}``
(huggingface.co/docs/huggingface_hub/guides/manage-cache).
"""

import json
import os
from enum import Enum
from pathlib import Path

from bertfeat.checkpoints.cache import holds_model

DECISIVE = ("modules.json", "tokenizer_config.json")
"""Small files that change what a model computes, so that their absence must be known, not seen."""


class Found(Enum):
    """What can be said of a cached snapshot."""

    NOTHING = "not there"
    PARTIAL = "only some of its files are there"
    UNSURE = "it may lack files: whether the repository has more cannot be told from the cache"
    WHOLE = "whole"


def hub_cache_folder() -> Path:
    """Return the folder that ``huggingface_hub`` uses, from the same environment variables."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(variable):
            return _expanded(os.environ[variable])
    return hub_home() / "hub"


def hub_home() -> Path:
    """Return ``$HF_HOME`` or its default."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _expanded(os.environ.get("HF_HOME") or f"{cache}/huggingface")


def storage_folder(repo: str) -> Path:
    """Return where the hub's cache keeps `repo`, there or not."""
    return hub_cache_folder() / f"models--{repo.replace('/', '--')}"


def snapshot(repo: str, revision: str | None) -> Path | None:
    """Return the folder of the cached snapshot of `repo` at `revision`, whole or not."""
    storage = storage_folder(repo)
    reference = storage / "refs" / (revision or "main")
    commit = reference.read_text("utf-8").strip() if reference.is_file() else revision
    folder = storage / "snapshots" / commit if commit else None
    return folder if folder and folder.is_dir() else None


def examine(folder: Path, sentence: bool | None = None) -> Found:
    """Say how much of a model a snapshot's `folder` holds.

    Args:
        folder: ``snapshots/COMMIT``.
        sentence: whether the repository has a ``modules.json``; None where nobody knows.
    """
    if not holds_model(folder) or not _has_vocabulary(folder):
        return Found.PARTIAL
    if sentence and not (folder / "modules.json").is_file():
        return Found.PARTIAL
    if not _modules_are_there(folder):
        return Found.PARTIAL
    asked = DECISIVE[1:] if sentence is False else DECISIVE
    return Found.WHOLE if all(_settled(folder, name) for name in asked) else Found.UNSURE


def _expanded(path: str) -> Path:
    return Path(os.path.expandvars(path)).expanduser().absolute()


def _has_vocabulary(folder: Path) -> bool:
    return (folder / "tokenizer.json").is_file() or (folder / "vocab.txt").is_file()


def _settled(folder: Path, name: str) -> bool:
    """Tell whether `name` is there, or noted as not being in the repository."""
    missing = folder.parent.parent / ".no_exist" / folder.name / name
    return (folder / name).is_file() or missing.is_file()


def _modules_are_there(folder: Path) -> bool:
    """Look for what ``modules.json`` names; a damaged one names nothing that is there."""
    path = folder / "modules.json"
    try:
        modules = json.loads(path.read_text("utf-8")) if path.is_file() else []
        return all(_module_is_there(folder, m["type"], m["path"]) for m in modules)
    except (KeyError, TypeError, ValueError):
        return False


def _module_is_there(folder: Path, kind: str, path: str) -> bool:
    """Only Normalize has neither configuration nor weights; only Dense has both."""
    if kind.endswith(".Normalize"):
        return True
    is_dense, place = kind.endswith(".Dense"), folder / path
    return holds_model(place) if is_dense else (place / "config.json").is_file()
