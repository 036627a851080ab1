"""From a name to a folder, with no network anywhere: folders, caches, names and messages."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bertfeat.checkpoints import resolve
from bertfeat.checkpoints.hub_cache import Found, examine, hub_cache_folder
from bertfeat.checkpoints.names import parse
from bertfeat.checkpoints.registry import RECOMMENDED, find
from bertfeat.errors import ModelNotFound

COMMIT = "0123456789abcdef0123456789abcdef01234567"
POOLING = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {
        "idx": 2,
        "name": "2",
        "path": "2_Normalize",
        "type": "sentence_transformers.models.Normalize",
    },
]
SOCKETS_FORBIDDEN = """
import sys
def forbid(event, arguments):
    if event.startswith("socket."):
        raise AssertionError(event)
sys.addaudithook(forbid)
from bertfeat.checkpoints import resolve
for name in sys.argv[1:]:
    print(resolve(name))
"""


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches, a hub that nobody serves, and a working folder with nothing in it."""
    for variable in ("BERTFEAT_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "cache" / "bertfeat"


def snapshot(repo: str, source: Path, revision: str = "main") -> Path:
    """Lay `source` into the hub's cache as the hub's library does."""
    storage = hub_cache_folder() / f"models--{repo.replace('/', '--')}"
    (storage / "refs").mkdir(parents=True)
    (storage / "refs" / revision).write_text(COMMIT)
    return Path(shutil.copytree(source, storage / "snapshots" / COMMIT))


def make_sentence_folder(folder: Path) -> Path:
    (folder / "modules.json").write_text(json.dumps(MODULES))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(POOLING))
    return folder


def test_a_folder_is_taken_as_it_is(tiny_bert: Callable[..., Path], monkeypatch) -> None:
    folder = tiny_bert()
    assert resolve(str(folder)) == folder
    monkeypatch.chdir(folder.parent)
    assert resolve(folder.name) == folder
    assert resolve(f"./{folder.name}") == folder


def test_a_tilde_stands_for_the_home(tiny_bert: Callable[..., Path], monkeypatch) -> None:
    folder = tiny_bert()
    monkeypatch.setenv("HOME", str(folder.parent))
    assert resolve(f"~/{folder.name}") == folder


def test_a_folder_that_only_shares_a_known_models_name_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "work" / "all-MiniLM-L6-v2").mkdir()
    with pytest.raises(ModelNotFound, match="holds no configuration with weights"):
        resolve("all-MiniLM-L6-v2")


def test_the_users_own_cache_answers_for_short_and_long_names(
    tiny_bert: Callable[..., Path], caches: Path
) -> None:
    place = Path(shutil.copytree(tiny_bert(), caches / "models" / "all-MiniLM-L6-v2"))
    assert resolve("all-MiniLM-L6-v2") == place
    assert resolve("sentence-transformers/all-MiniLM-L6-v2") == place


def test_a_model_placed_by_hand_where_the_message_says_is_found(
    tiny_bert: Callable[..., Path], caches: Path
) -> None:
    with pytest.raises(ModelNotFound) as caught:
        resolve("some/model@v2")
    place = caches / "models" / "some--model@v2"
    assert str(caught.value).endswith(f"or lay it at {place}")
    shutil.copytree(tiny_bert(), place)
    assert resolve("some/model@v2") == place


def test_bertfeat_cache_names_another_cache(
    tiny_bert: Callable[..., Path], tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("BERTFEAT_CACHE", str(tmp_path / "elsewhere"))
    place = Path(shutil.copytree(tiny_bert(), tmp_path / "elsewhere" / "models" / "mine"))
    assert resolve("mine") == place


@pytest.mark.parametrize("variable", ["HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"])
def test_the_hubs_own_cache_is_used_where_its_variables_put_it(
    variable: str, tiny_bert: Callable[..., Path], tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "other"))
    folder = make_sentence_folder(snapshot("sentence-transformers/all-MiniLM-L6-v2", tiny_bert()))
    assert folder.is_relative_to(tmp_path / "other")
    assert resolve("all-MiniLM-L6-v2") == folder


def test_a_cached_revision_is_found_by_tag_and_by_commit(tiny_bert: Callable[..., Path]) -> None:
    folder = snapshot("some/model", tiny_bert(), revision="v1")
    assert resolve("some/model@v1") == folder
    assert resolve(f"some/model@{COMMIT}") == folder
    with pytest.raises(ModelNotFound):
        resolve("some/model")


def test_a_plain_bert_is_found_in_the_hubs_cache_under_its_former_name(
    tiny_bert: Callable[..., Path],
) -> None:
    folder = snapshot("bert-base-uncased", tiny_bert())
    assert resolve("google-bert/bert-base-uncased") == folder


def test_a_sentence_model_without_its_modules_is_not_taken_for_a_plain_bert(
    tiny_bert: Callable[..., Path],
) -> None:
    snapshot("sentence-transformers/all-MiniLM-L6-v2", tiny_bert())
    with pytest.raises(ModelNotFound, match="only some of its files"):
        resolve("all-MiniLM-L6-v2")


@pytest.mark.parametrize(
    "missing", ["config.json", "model.safetensors", "1_Pooling/config.json", "vocab"]
)
def test_a_snapshot_with_a_file_missing_is_partial(
    missing: str, tiny_bert: Callable[..., Path]
) -> None:
    folder = make_sentence_folder(snapshot("some/model", tiny_bert()))
    assert examine(folder) is Found.WHOLE
    for path in [folder / missing] if missing != "vocab" else [*folder.glob("tokenizer.json")]:
        path.unlink()
    if missing == "vocab":
        (folder / "vocab.txt").unlink(missing_ok=True)
    assert examine(folder) is Found.PARTIAL


@pytest.mark.parametrize("damage", ["{", "[1]", '[{"type": "a.Pooling"}]'])
def test_a_snapshot_with_damaged_modules_is_partial(
    damage: str, tiny_bert: Callable[..., Path]
) -> None:
    folder = make_sentence_folder(snapshot("some/model", tiny_bert()))
    (folder / "modules.json").write_text(damage)
    assert examine(folder) is Found.PARTIAL


def test_a_file_known_not_to_exist_makes_a_snapshot_whole(tiny_bert: Callable[..., Path]) -> None:
    folder = snapshot("some/model", tiny_bert())
    assert examine(folder) is Found.UNSURE
    note = folder.parent.parent / ".no_exist" / COMMIT / "modules.json"
    note.parent.mkdir(parents=True)
    note.touch()
    assert examine(folder) is Found.WHOLE


def test_the_message_lists_every_thing_tried_with_its_reason(caches: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound) as caught:
        resolve("al-minilm-l6-v2")
    hub = tmp_path / "hf" / "hub"
    assert str(caught.value).splitlines() == [
        "no model 'al-minilm-l6-v2' was found; tried, in this order:",
        "  folder al-minilm-l6-v2: not there",
        f"  cache {caches}/models/al-minilm-l6-v2: not there",
        f"  hub's cache {hub}/models--sentence-transformers--al-minilm-l6-v2: not there",
        f"  hub's cache {hub}/models--al-minilm-l6-v2: not there",
        "  network: not used, as offline was asked for",
        "is it all-MiniLM-L6-v2 or all-MiniLM-L12-v2 or ms-marco-MiniLM-L6-v2? "
        "`bertfeat models list` shows recommended names; to place a model by hand, give the path "
        "of a folder with config.json, model.safetensors and tokenizer.json or vocab.txt, "
        f"or lay it at {caches}/models/al-minilm-l6-v2",
    ]


@pytest.mark.parametrize("name", ["", "/no/such/folder", "../up", "a/b/c", "a b", "a/..", "x@"])
def test_what_is_no_name_is_tried_as_a_folder_only(name: str) -> None:
    assert parse(name) is None
    with pytest.raises(ModelNotFound, match=r"^no model .*\n  folder .*\n`bertfeat models list`"):
        resolve(name)


def test_a_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_text("")
    with pytest.raises(ModelNotFound, match="a file, and a model is a folder"):
        resolve(str(tmp_path / "model.txt"))


def test_offline_is_obeyed_from_argument_and_environment(monkeypatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with pytest.raises(ModelNotFound, match="network: not used"):
        resolve("all-MiniLM-L6-v2", offline=True)
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "yes")
    with pytest.raises(ModelNotFound, match="network: not used"):
        resolve("all-MiniLM-L6-v2")


def test_short_names_and_repositories_mean_one_model_each() -> None:
    names = [name for entry in RECOMMENDED for name in entry.known_as]
    assert len(names) == len(set(names))
    assert all(find(entry.name) is entry and find(entry.repo) is entry for entry in RECOMMENDED)
    assert find("ms-marco-MiniLM-L-6-v2") is find("cross-encoder/ms-marco-MiniLM-L6-v2")


def test_what_is_cached_opens_no_socket(
    tiny_bert: Callable[..., Path], caches: Path, monkeypatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    place = Path(shutil.copytree(tiny_bert(), caches / "models" / "all-MiniLM-L6-v2"))
    folder = snapshot("bert-base-uncased", tiny_bert())
    assert run_without_sockets("all-MiniLM-L6-v2", "bert-base-uncased") == [place, folder]


@pytest.mark.network_namespace
def test_what_is_cached_needs_no_network(
    tiny_bert: Callable[..., Path], caches: Path, monkeypatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    place = Path(shutil.copytree(tiny_bert(), caches / "models" / "all-MiniLM-L6-v2"))
    assert run_without_network("all-MiniLM-L6-v2") == [place]


@pytest.mark.network_namespace
def test_a_machine_with_no_network_is_told_so_without_a_wait(monkeypatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run_without_network("some/model")
    assert "hub https://huggingface.co/some/model: Connect" in caught.value.stderr


def run_without_sockets(*names: str) -> list[Path]:
    return run([sys.executable, "-c", SOCKETS_FORBIDDEN, *names])


def run_without_network(*names: str) -> list[Path]:
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "-rn", "true"], capture_output=True).returncode:
        pytest.skip("this machine does not let us make a network namespace (unshare -rn)")
    program = "import sys; from bertfeat.checkpoints import resolve; print(resolve(sys.argv[1]))"
    return run([unshare, "-rn", sys.executable, "-c", program, *names])


def run(command: list[str]) -> list[Path]:
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [Path(line) for line in ended.stdout.splitlines()]
