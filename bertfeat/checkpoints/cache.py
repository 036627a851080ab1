"""The user's own cache of models: where it lies, and how a model comes into it whole or not at all.

``<cache>/models/<key>`` holds one model each; ``<cache>/partial`` what is still being fetched.
A folder appears under ``models`` by one rename of a finished folder, so what is there is whole.
"""

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIGS = ("config.json", "bert_config.json")
WEIGHTS = ("*.safetensors", "graph.tflite", "pytorch_model*.bin", "*.ckpt.index", "*.ckpt-*.index")

logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return ``$BERTFEAT_CACHE``, else ``$XDG_CACHE_HOME/bertfeat``, else the platform's place."""
    chosen = os.environ.get("BERTFEAT_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]).expanduser().absolute() / "bertfeat"
    try:
        from platformdirs import user_cache_path
    except ImportError:  # the extra [lite] does without
        return Path.home() / ".cache" / "bertfeat"
    return user_cache_path("bertfeat", appauthor=False)


def model_place(key: str) -> Path:
    """Return where the model called `key` lies in the cache, there or not."""
    return cache_folder() / "models" / key


def holds_model(folder: Path) -> bool:
    """Tell whether `folder` has a configuration and weights at its top."""
    has_config = any((folder / name).is_file() for name in CONFIGS)
    return has_config and any(any(folder.glob(pattern)) for pattern in WEIGHTS)


def sha256_of(path: Path) -> str:
    """Return the hexadecimal sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def fetch_lock(key: str) -> Iterator[None]:
    """Hold the lock that keeps two processes from fetching the same model at once.

    Raises:
        OSError: the cache cannot be written.
    """
    from filelock import FileLock, Timeout

    path = cache_folder() / "locks" / f"{key}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        logger.info("another process is fetching %s; waiting for it (%s)", key, path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def staging(key: str) -> Iterator[Path]:
    """Give a fresh folder beside ``models``; what killed fetches of `key` left is swept first.

    The caller holds `fetch_lock(key)`.
    """
    partial = cache_folder() / "partial"
    partial.mkdir(parents=True, exist_ok=True)
    for stale in partial.glob(f"{key}~*"):
        shutil.rmtree(stale, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{key}~", dir=partial))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def move_into_place(folder: Path, key: str) -> Path:
    """Rename a finished `folder` to the place of `key` and return that place.

    Raises:
        OSError: something that is no model already lies there.
    """
    target = model_place(key)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder.replace(target)
    return target
