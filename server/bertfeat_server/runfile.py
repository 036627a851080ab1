"""The run file: where a server of this user is, and what proves that it is yours.

One JSON file for each running server in the user's runtime folder, readable by nobody else.  The
server holds a lock on it while it lives, so a file without a lock is a dead server's and goes.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed, which is lock enough
    fcntl = None  # type: ignore[assignment]

from bertfeat.errors import BertFeatError

PREFIX = "serve-"


class RuntimeFolderError(BertFeatError):
    """The folder for run files is not this user's alone."""


@dataclass(frozen=True)
class RunFile:
    """One running server.

    Attributes:
        pid: the supervisor's process id.
        endpoint: where clients connect.
        door: where processes of its owner do, if not there.
        token: what ``stop`` and joining workers must show.
    """

    pid: int
    endpoint: str
    token: str
    door: str = ""


def runtime_folder() -> Path:
    """Return the user's folder for run files and sockets, made if need be.

    Raises:
        RuntimeFolderError: it belongs to somebody else or others may look into it.
    """
    base = os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("LOCALAPPDATA")
    user = f"-{os.getuid()}" if hasattr(os, "getuid") else ""
    folder = Path(base) / "bertfeat" if base else Path(tempfile.gettempdir()) / f"bertfeat{user}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o077):
        raise RuntimeFolderError(
            f"{folder} must belong to you with mode 0700, as the servers' tokens lie there; "
            "remove it, or let XDG_RUNTIME_DIR name another folder"
        )
    return folder


@contextmanager
def published(server: RunFile) -> Iterator[Path]:
    """Keep a server's run file in place while the block runs."""
    path = runtime_folder() / f"{PREFIX}{server.pid}.json"
    draft = path if fcntl is None else path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(json.dumps(asdict(server)))
            file.flush()
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
                draft.replace(path)
            yield path
    finally:
        path.unlink(missing_ok=True)


def running() -> list[RunFile]:
    """Return this user's servers on this machine; what dead ones left is removed."""
    found = []
    for path in sorted(runtime_folder().glob(f"{PREFIX}*.json")):
        with suppress(OSError, ValueError, TypeError):
            if not _remove_stale(path):
                found.append(RunFile(**json.loads(path.read_text(encoding="utf-8"))))
    return found


def backend_path(pid: int) -> Path:
    """Return where a server's private socket for its workers lies."""
    return runtime_folder() / f"backend-{pid}.ipc"


def door_path(pid: int) -> Path:
    """Return where the socket of a server lies that only its owner can reach."""
    return runtime_folder() / f"door-{pid}.ipc"


def _remove_stale(path: Path) -> bool:
    if fcntl is None:
        with suppress(PermissionError):
            path.unlink()
            return True
        return False
    with path.open(encoding="utf-8") as file:
        if not _lockable(file):
            return False
        path.unlink()
        pid = path.stem.removeprefix(PREFIX)
        if pid.isdigit():
            for path_of in (backend_path, door_path):
                path_of(int(pid)).unlink(missing_ok=True)
        return True


def _lockable(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
