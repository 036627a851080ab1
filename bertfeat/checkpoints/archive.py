"""Models behind a URL: ``https://host/model.tar.gz#sha256=…``, an archive of any model folder.

The sha256 is no option: an address alone does not say which vectors a server gives.
"""

import re
import tarfile
import zipfile
from pathlib import Path

from bertfeat.checkpoints.cache import (
    fetch_lock,
    holds_model,
    model_place,
    move_into_place,
    sha256_of,
    staging,
)
from bertfeat.checkpoints.progress import download_bar
from bertfeat.errors import CheckpointError, ModelNotFound

PATTERN = re.compile(r"(https?://[^#\s]+/([^#/\s]+))#sha256=([0-9a-f]{64})")
PIECE = 1 << 20
TIMEOUT_S = 60


def is_url(name: str) -> bool:
    """Tell whether a model's name is a URL."""
    return name.startswith(("https://", "http://"))


def fetch(name: str, *, offline: bool, progress: bool) -> Path:
    """Return the folder of the model behind a URL, downloaded and unpacked once.

    Raises:
        ModelNotFound: there is no sha256, the address does not answer, or the network may not be
            used.
        CheckpointError: what came is not what the sha256 says, or holds no model.
    """
    match = PATTERN.fullmatch(name)
    if match is None:
        raise ModelNotFound(f"{name}: expected https://HOST/MODEL.tar.gz#sha256=64 hex digits")
    url, file, digest = match.groups()
    key = f"url-{digest[:32]}"
    if holds_model(model_place(key)):
        return model_place(key)
    if offline:
        raise ModelNotFound(f"{url} is not in the cache, and the network may not be used")
    with fetch_lock(key):
        if not holds_model(model_place(key)):
            with staging(key) as folder:
                _download(url, folder / file, progress)
                _check(folder / file, url, digest)
                move_into_place(_unpack(folder / file, folder / "unpacked"), key)
    return model_place(key)


def _download(url: str, path: Path, progress: bool) -> None:
    import urllib.request  # slow to import, and seldom needed

    try:
        with (
            urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer,  # the pattern admits http(s)
            path.open("wb") as file,
            download_bar(path.name, progress) as report,
        ):
            total = int(answer.headers.get("Content-Length") or 0) or None
            while piece := answer.read(PIECE):
                file.write(piece)
                report(file.tell(), total)
    except OSError as error:
        raise ModelNotFound(f"{url} cannot be fetched: {error}") from error


def _check(path: Path, url: str, digest: str) -> None:
    found = sha256_of(path)
    if found != digest:
        raise CheckpointError(f"{url} is refused: expected sha256 {digest}, got {found}")


def _unpack(archive: Path, target: Path) -> Path:
    """Unpack a tar or zip file; return the model's folder, which may be one level down."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(target)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(target, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise CheckpointError(f"{archive.name} is no tar or zip file: {error}") from error
    inside = [target, *(path for path in target.iterdir() if path.is_dir())]
    for folder in inside:
        if holds_model(folder):
            return folder
    raise CheckpointError(f"{archive.name} holds no model folder at its top or one level down")
