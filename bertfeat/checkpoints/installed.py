"""Which models are on this machine already, in the user's own cache or in the hub's."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bertfeat.checkpoints import hub_cache, registry
from bertfeat.checkpoints.cache import holds_model, model_place
from bertfeat.checkpoints.hub_cache import Found

MEGABYTE = 10**6


@dataclass(frozen=True)
class Installed:
    """A model on this machine.

    Attributes:
        name: what `bertfeat.checkpoints.resolve` finds it by.
        folder: where it lies.
        size_mb: size of its files in megabytes (10**6 bytes).
    """

    name: str
    folder: Path
    size_mb: int


def installed() -> list[Installed]:
    """Return the models of both caches, each once, in the order in which a name is resolved."""
    found: dict[str, Installed] = {}
    for name, folder in (*_own_models(), *_hub_models()):
        found.setdefault(name, Installed(name, folder, _size_mb(folder)))
    return list(found.values())


def _own_models() -> Iterator[tuple[str, Path]]:
    for folder in sorted(model_place("x").parent.glob("*")):
        if holds_model(folder):
            yield folder.name.replace("--", "/", 1), folder


def _hub_models() -> Iterator[tuple[str, Path]]:
    """The hub's cache holds models of any kind: only BERT's are of interest."""
    for storage in sorted(hub_cache.hub_cache_folder().glob("models--*")):
        repo = storage.name.removeprefix("models--").replace("--", "/")
        entry = registry.find(repo)
        folder = hub_cache.snapshot(repo, None)
        has_modules = entry.has_modules if entry else None
        whole = folder and hub_cache.examine(folder, has_modules) is Found.WHOLE
        if folder and whole and _is_bert(folder):
            yield entry.name if entry else repo, folder


def _is_bert(folder: Path) -> bool:
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") == "bert"


def _size_mb(folder: Path) -> int:
    return round(sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / MEGABYTE)
