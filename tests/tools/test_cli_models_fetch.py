"""``bertfeat models list`` and ``bertfeat models fetch``."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from bertfeat.checkpoints.registry import RECOMMENDED
from bertfeat.errors import ModelNotFound
from bertfeat_tools.cli.models_fetch import COLUMNS, fetch, list_models
from hub_stub import running_hub


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches and no network."""
    for variable in ("BERTFEAT_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "cache" / "bertfeat"


def listed() -> dict[str, dict[str, object]]:
    result = CliRunner().invoke(list_models, ["--json"], catch_exceptions=False)
    return {row["name"]: row for row in json.loads(result.stdout)}


def test_every_recommended_model_is_listed_with_its_facts() -> None:
    rows = listed()
    assert list(rows) == [entry.name for entry in RECOMMENDED]
    assert rows["LaBSE"] == {
        "name": "LaBSE",
        "installed": False,
        "task": "similarity",
        "languages": "109 languages",
        "licence": "Apache-2.0",
        "size_mb": 1884,
        "dim": 768,
        "max_length": 256,
        "note": "finds translations",
        "repo": "sentence-transformers/LaBSE",
        "folder": None,
    }


def test_what_is_installed_is_marked_and_what_is_unknown_is_added(
    tiny_bert: Callable[..., Path], caches: Path
) -> None:
    place = shutil.copytree(tiny_bert(), caches / "models" / "all-MiniLM-L6-v2")
    other = shutil.copytree(tiny_bert(), caches / "models" / "my-org--my-model")
    (caches / "models" / "empty").mkdir()
    rows = listed()
    assert rows["all-MiniLM-L6-v2"]["folder"] == str(place)
    assert rows["all-MiniLM-L6-v2"]["installed"] is True
    assert rows["my-org/my-model"]["folder"] == str(other)
    assert set(rows) - {entry.name for entry in RECOMMENDED} == {"my-org/my-model"}


def test_the_hubs_cache_counts_as_installed_for_models_of_bert_only(
    tiny_bert: Callable[..., Path], tmp_path: Path
) -> None:
    for name, kind in (("google-bert--bert-base-cased", "bert"), ("org--gpt", "gpt2")):
        storage = tmp_path / "hf" / "hub" / f"models--{name}"
        (storage / "refs").mkdir(parents=True)
        (storage / "refs" / "main").write_text("c0ffee")
        shutil.copytree(tiny_bert(model_type=kind), storage / "snapshots" / "c0ffee")
        (storage / ".no_exist" / "c0ffee").mkdir(parents=True)
        (storage / ".no_exist" / "c0ffee" / "modules.json").touch()
    rows = listed()
    assert rows["bert-base-cased"]["installed"] is True
    assert "org/gpt" not in rows


def test_a_pipe_gets_tab_separated_lines_with_a_header() -> None:
    result = CliRunner().invoke(list_models, [], catch_exceptions=False)
    header, first, *rest = (line.split("\t") for line in result.stdout.splitlines())
    assert header == list(COLUMNS)
    assert first[:4] == ["all-MiniLM-L6-v2", "no", "similarity", "en"]
    assert {len(line) for line in rest} == {len(COLUMNS)}
    scores = next(line for line in rest if line[0] == "ms-marco-MiniLM-L6-v2")
    assert scores[COLUMNS.index("dim")] == "-"


def test_a_terminal_gets_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "160")
    list_models.main([], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert "max length" in lines[1]
    assert any("all-MiniLM-L6-v2" in line and "384" in line for line in lines)


def test_fetch_downloads_and_prints_the_folder(
    tiny_bert: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with running_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        hub.add("some-org/tiny", tiny_bert())
        hub.tags["some-org/tiny"] = ["v1"]
        arguments = ["some-org/tiny", "--revision", "v1", "--quiet"]
        result = CliRunner().invoke(fetch, arguments, catch_exceptions=False)
    (folder,) = result.output.splitlines()
    assert Path(folder, "config.json").is_file()
    assert hub.asked("GET", "/revision/v1") == 1
    again = CliRunner().invoke(fetch, [*arguments, "--offline"], catch_exceptions=False)
    assert again.output == result.output


def test_fetch_of_a_model_that_is_nowhere_ends_in_the_error_that_lists_what_was_tried() -> None:
    result = CliRunner().invoke(fetch, ["no-such-model", "--offline"])
    assert isinstance(result.exception, ModelNotFound)
    assert "tried, in this order" in str(result.exception)
