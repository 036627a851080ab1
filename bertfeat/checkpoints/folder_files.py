"""The small files of a model folder, and how a whole folder comes to be at once or not at all."""

import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from bertfeat.checkpoints.whole_file import whole_file
from bertfeat.errors import CheckpointError

JSON_KINDS: dict[type, str] = {dict: "object", list: "list"}


def read_json(path: Path, kind: type = dict) -> Any:
    """Parse a JSON file that must hold a `kind` (dict or list).

    Raises:
        CheckpointError: it is missing, damaged or holds something else.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged, not valid JSON: {error}") from error
    if not isinstance(value, kind):
        raise CheckpointError(f"{path} must hold a JSON {JSON_KINDS[kind]}, not {value!r:.60}")
    return value


def read_json_if_there(path: Path) -> dict[str, Any]:
    """Parse a JSON object, or return an empty one where there is no such file."""
    return dict(read_json(path)) if path.is_file() else {}


def write_json(path: Path, value: Mapping[str, Any] | list[Any]) -> None:
    """Write a JSON file in UTF-8, ending with a new line, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        text = json.dumps(value, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def copy_whole(source: Path, target: Path) -> None:
    """Copy a folder's files into another folder, each whole or not at all, over what is there."""
    shutil.copytree(source, target, copy_function=copy_file, dirs_exist_ok=True)


def copy_file(source: str | Path, target: str | Path) -> None:
    """Copy a file, whole or not at all, over what is there."""
    with whole_file(Path(target)) as temporary:
        shutil.copyfile(source, temporary)


def inside(folder: Path, relative: object, source: Path) -> Path:
    """Return `folder`/`relative`, which a file names, if that lies inside the folder.

    Raises:
        CheckpointError: it leads out of the folder.
    """
    parts = PurePosixPath(relative).parts if isinstance(relative, str) else ("..",)
    if ".." in parts or "\\" in str(relative) or PurePosixPath(*parts).is_absolute():
        raise CheckpointError(f"{source} names {relative!r}, which is no place inside {folder}")
    return folder.joinpath(*parts)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a temporary folder that becomes `target` when the block ends well, else vanishes.

    Raises:
        CheckpointError: `target` exists, or its parent cannot be written.
    """
    if target.exists() or target.is_symlink():
        raise CheckpointError(f"{target} exists already; choose another target or remove it first")
    temporary = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}.partial"
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise CheckpointError(f"{target} cannot be written: {error}") from error
    try:
        yield temporary
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
