"""The hash that tells one model's weights from another's."""

import hashlib
from functools import lru_cache
from pathlib import Path

from bertfeat.checkpoints import lite
from bertfeat.checkpoints.cache import sha256_of
from bertfeat.checkpoints.formats import FORMATS, detect
from bertfeat.errors import CheckpointError


def model_hash(folder: Path) -> str:
    """Return the sha256 of a model's weights, hexadecimal.

    That of the file where the weights are one file, else that of the lines ``sha256  name`` of
    all of them, as ``sha256sum`` prints them.  Unchanged files are read once per process.  A lite
    folder's is that of the weights that it was made from.

    Raises:
        CheckpointError: the folder holds no model.
    """
    format = detect(folder)
    if format == "lite":
        return lite.recorded_hash(folder)
    files = FORMATS[format].weight_files(folder)
    if not files:
        raise CheckpointError(f"{folder} has no weight files")
    hashes = {path.relative_to(folder).as_posix(): file_hash(path) for path in files}
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def file_hash(path: Path) -> str:
    """Return the sha256 of a file, hexadecimal; read again only when it has changed."""
    status = path.stat()
    return _cached_hash(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _cached_hash(path: Path, size: int, mtime_ns: int) -> str:
    return sha256_of(path)
