"""Models from the Hugging Face hub, through ``huggingface_hub`` and into the hub's own cache.

Honoured: ``HF_ENDPOINT``, ``HF_HOME``, ``HF_HUB_CACHE``, ``HF_TOKEN``, ``HF_HUB_ETAG_TIMEOUT`` and
proxies.  That the hub cannot be reached is found out in seconds.  No telemetry.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

from bertfeat.checkpoints.cache import sha256_of
from bertfeat.checkpoints.hub_cache import DECISIVE, hub_cache_folder
from bertfeat.checkpoints.hub_files import choose
from bertfeat.checkpoints.progress import Report, download_bar, tqdm_class
from bertfeat.errors import CheckpointError

DEFAULT_PATIENCE_S = 8.0
SHA256_LENGTH = 64

T = TypeVar("T")


def endpoint() -> str:
    """Return the hub's address, or that of the mirror which ``HF_ENDPOINT`` names."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def patience_s() -> float:
    """Return the seconds that the hub has for its first answer."""
    return float(os.environ.get("HF_HUB_ETAG_TIMEOUT") or DEFAULT_PATIENCE_S)


def fetch(repo: str, revision: str | None, *, progress: bool) -> Path:
    """Download what is needed of `repo` and return the snapshot's folder in the hub's cache.

    Small files come first and weights last: where weights are, all the rest is.

    Raises:
        CheckpointError: the repository has nothing that we read, or a file came damaged.
        Exception: whatever the HTTP library raises; `explain` puts it in words.
    """
    with _discreet_hub():
        from huggingface_hub import HfApi

        ask = partial(HfApi(endpoint=endpoint()).model_info, timeout=patience_s() / 2)
        info = within(patience_s(), partial(ask, repo, revision=revision or "main"))
        names = [sibling.rfilename for sibling in info.siblings or ()]
        small, weights = choose(names)
        with download_bar(repo, progress) as report:
            first = _download(repo, small[0], revision or "main", _silent)
            for name in small[1:]:
                _download(repo, name, info.sha, _silent)
            _note_absence(first.parent, names)
            for name in weights:
                _check(_download(repo, name, info.sha, report), repo, name, info.sha)
    if first.parent.name != info.sha:
        raise CheckpointError("the repository changed while it was downloaded; run it again")
    return first.parent


def answered(error: Exception) -> bool:
    """Tell whether the hub was reached: another repository's name may then be tried."""
    return isinstance(error, CheckpointError) or _status(error) is not None


def explain(error: Exception, repo: str) -> str:
    """Say in one line why the hub did not give `repo`."""
    token = f"HF_TOKEN is {'set' if os.environ.get('HF_TOKEN') else 'not set'}"
    match type(error).__name__, _status(error):
        case "GatedRepoError", _:
            return f"gated: accept its terms at {endpoint()}/{repo} and set HF_TOKEN ({token})"
        case "RevisionNotFoundError", _:
            return "it has no such revision"
        case ("RepositoryNotFoundError", _) | (_, 404):
            return f"no such repository, or a private one ({token})"
        case _, (401 | 403) as status:
            return f"access refused with HTTP {status} ({token})"
        case name, _:
            said = str(error).strip().partition("\n")[0]
            return said if isinstance(error, CheckpointError) else f"{name}: {said}"


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what `call` returns, waiting no longer than `seconds`.

    An HTTP library's time limit holds for one address, and not for looking up the name.

    Raises:
        TimeoutError: it took longer; a daemon thread sees it to its end.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True, name="bertfeat-hub").start()
    try:
        return future.result(seconds)
    except TimeoutError as error:
        raise TimeoutError(str(error) or f"no answer within {seconds:g} s") from error


def _status(error: Exception) -> int | None:
    status: int | None = getattr(getattr(error, "response", None), "status_code", None)
    return status


def _download(repo: str, name: str, revision: str | None, report: Report) -> Path:
    """Download one file into the hub's cache, or find it there; return its path."""
    from huggingface_hub import hf_hub_download

    options: dict[str, Any] = {"cache_dir": hub_cache_folder(), "endpoint": endpoint()}
    if "tqdm_class" in signature(hf_hub_download).parameters:
        options["tqdm_class"] = tqdm_class(report)
    return Path(
        hf_hub_download(repo, name, revision=revision, etag_timeout=patience_s(), **options)
    )


def _check(path: Path, repo: str, name: str, revision: str | None) -> None:
    """Compare a large file with the sha256 that the hub states; take it away if it differs."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(repo, name, revision=revision, endpoint=endpoint())
    stated = get_hf_file_metadata(url, timeout=patience_s()).etag or ""
    if len(stated) != SHA256_LENGTH:
        return
    found = sha256_of(path)
    if found != stated:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise CheckpointError(f"{name} came damaged: expected sha256 {stated}, got {found}")


def _note_absence(folder: Path, names: Sequence[str]) -> None:
    """Note in the hub's cache, as its own library does, which decisive files do not exist."""
    notes = folder.parent.parent / ".no_exist" / folder.name
    notes.mkdir(parents=True, exist_ok=True)
    for name in DECISIVE:
        if name not in names:
            (notes / name).touch()


@contextmanager
def _discreet_hub() -> Iterator[None]:
    """Keep ``huggingface_hub`` from telling who calls and from commenting on standard error."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_TELEMETRY = True
    talker = logging.getLogger("huggingface_hub")
    level = talker.level
    talker.setLevel(logging.ERROR)
    try:
        yield
    finally:
        talker.setLevel(level)


def _silent(done: int, total: int | None) -> None:
    """Report nothing: the file is small."""
