"""Models from a hub: a stub on 127.0.0.1 stands in for the real one."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bertfeat.checkpoints import resolve
from bertfeat.checkpoints.hub import within
from bertfeat.checkpoints.hub_files import choose
from bertfeat.errors import CheckpointError, ModelNotFound
from hub_stub import HubStub, running_hub

REPO = "some-org/tiny"
RESOLVE = "import sys; from bertfeat.checkpoints import resolve; print(resolve(sys.argv[1]))"
UNWANTED = {
    "onnx/model.onnx": b"onnx",
    "openvino/openvino_model.bin": b"openvino",
    "pytorch_model.bin": b"pickle",
    "tf_model.h5": b"h5",
    "2_Dense/config.json": b"{}",
    "2_Dense/pytorch_model.bin": b"dense",
    "README.md": b"---\nlicense: mit\n---\n",
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStub]:
    """A hub that the environment points to, and empty caches."""
    variables = ("HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN", "BERTFEAT_CACHE", "HTTP_PROXY")
    for variable in (*variables, "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    with running_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


def files(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_what_is_needed_is_fetched_and_nothing_else(
    hub: HubStub, tiny_bert: Callable[..., Path]
) -> None:
    source = tiny_bert()
    hub.add(REPO, source, UNWANTED)
    expected = files(source) | {
        name: UNWANTED[name]
        for name in ("README.md", "2_Dense/config.json", "2_Dense/pytorch_model.bin")
    }
    assert files(resolve(REPO)) == expected
    assert hub.asked("GET", "tf_model.h5") == hub.asked("HEAD", "tf_model.h5") == 0


def test_a_pickle_is_fetched_where_there_are_no_safetensors(
    hub: HubStub, tiny_bert: Callable[..., Path]
) -> None:
    hub.add(REPO, tiny_bert(), UNWANTED)
    del hub.repos[REPO]["model.safetensors"]
    assert (resolve(REPO) / "pytorch_model.bin").read_bytes() == b"pickle"


def test_once_fetched_a_model_is_found_without_asking(
    hub: HubStub, tiny_bert: Callable[..., Path]
) -> None:
    hub.add(REPO, tiny_bert())
    first = resolve(REPO)
    hub.requests.clear()
    assert resolve(REPO) == first
    assert resolve(REPO, offline=True) == first
    assert hub.requests == []


def test_short_names_are_looked_up(hub: HubStub, tiny_bert: Callable[..., Path]) -> None:
    hub.add("google-bert/bert-base-cased", tiny_bert(seed=1))
    hub.add("sentence-transformers/unheard-of", tiny_bert(seed=2))
    hub.add("without-organisation", tiny_bert(seed=3))
    for name in ("bert-base-cased", "unheard-of", "without-organisation"):
        repo = next(repo for repo in hub.repos if repo.endswith(name))
        assert (resolve(name) / "model.safetensors").read_bytes() == hub.repos[repo][
            "model.safetensors"
        ]


def test_a_revision_is_asked_for_by_name(hub: HubStub, tiny_bert: Callable[..., Path]) -> None:
    hub.add(REPO, tiny_bert())
    hub.tags[REPO] = ["v1"]
    folder = resolve(f"{REPO}@v1")
    assert folder.name == hub.commit(REPO)
    assert hub.asked("GET", "/revision/v1") == 1
    with pytest.raises(ModelNotFound, match=f"{REPO}: it has no such revision"):
        resolve(f"{REPO}@v2")


def test_the_other_programs_of_the_hub_find_what_we_fetched(
    hub: HubStub, tiny_bert: Callable[..., Path], tmp_path: Path
) -> None:
    from huggingface_hub import try_to_load_from_cache

    hub.add(REPO, tiny_bert())
    folder = resolve(REPO)
    found = try_to_load_from_cache(REPO, "config.json", cache_dir=tmp_path / "hf" / "hub")
    assert found == str(folder / "config.json")


def test_only_what_a_partial_snapshot_lacks_is_fetched(
    hub: HubStub, tiny_bert: Callable[..., Path]
) -> None:
    hub.add(REPO, tiny_bert(), {"modules.json": b"[]"})
    folder = resolve(REPO)
    (folder / "modules.json").resolve().unlink()
    (folder / "modules.json").unlink()
    hub.requests.clear()
    assert (resolve(REPO) / "modules.json").read_bytes() == b"[]"
    assert hub.asked("GET", "model.safetensors") == 0
    assert hub.asked("GET", "modules.json") == 1


def test_a_snapshot_that_nobody_can_vouch_for_serves_when_the_hub_is_gone(
    hub: HubStub, tiny_bert: Callable[..., Path]
) -> None:
    hub.add(REPO, tiny_bert())
    folder = resolve(REPO)
    shutil.rmtree(folder.parent.parent / ".no_exist")
    hub.status = 503
    assert resolve(REPO) == folder


def test_the_token_is_sent_and_opens_a_private_repository(
    hub: HubStub, tiny_bert: Callable[..., Path], monkeypatch
) -> None:
    hub.add(REPO, tiny_bert())
    hub.private[REPO] = "hf_secret"
    with pytest.raises(ModelNotFound, match=r"or a private one \(HF_TOKEN is not set\)"):
        resolve(REPO)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(ModelNotFound, match=r"or a private one \(HF_TOKEN is set\)"):
        resolve(REPO)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.requests.clear()
    assert resolve(REPO).is_dir()
    assert {request.token for request in hub.requests} == {"Bearer hf_secret"}


def test_a_gated_repository_says_what_to_do(hub: HubStub, tiny_bert: Callable[..., Path]) -> None:
    hub.add(REPO, tiny_bert())
    hub.gated.add(REPO)
    with pytest.raises(ModelNotFound, match=f"gated: accept its terms at {hub.endpoint}/{REPO}"):
        resolve(REPO)


def test_an_unknown_repository_is_named_with_what_was_tried(hub: HubStub) -> None:
    with pytest.raises(ModelNotFound, match=f"hub {hub.endpoint}/no/such: no such repository"):
        resolve("no/such")


def test_a_repository_without_weights_says_what_it_holds(hub: HubStub) -> None:
    hub.repos[REPO] = {"config.json": b"{}", "model.gguf": b""}
    with pytest.raises(ModelNotFound, match=r"expected .* got config.json, model.gguf"):
        resolve(REPO)


@pytest.mark.parametrize("status", [403, 500, 503])
def test_a_hub_that_refuses_or_is_down_is_a_reason_in_the_message(
    status: int, hub: HubStub
) -> None:
    hub.status = status
    with pytest.raises(ModelNotFound, match=str(status)):
        resolve(REPO)


def test_a_download_that_is_cut_off_leaves_no_model(
    hub: HubStub, tiny_bert: Callable[..., Path]
) -> None:
    hub.add(REPO, tiny_bert())
    hub.cut_off.add("model.safetensors")
    with pytest.raises(ModelNotFound, match=f"hub {hub.endpoint}/{REPO}: "):
        resolve(REPO)
    with pytest.raises(ModelNotFound, match="only some of its files"):
        resolve(REPO, offline=True)
    hub.cut_off.clear()
    folder = resolve(REPO)
    assert files(folder)["model.safetensors"] == hub.repos[REPO]["model.safetensors"]


def test_a_file_that_came_damaged_is_refused_and_fetched_anew(
    hub: HubStub, tiny_bert: Callable[..., Path]
) -> None:
    hub.add(REPO, tiny_bert())
    hub.damaged.add("model.safetensors")
    with pytest.raises(ModelNotFound, match="model.safetensors came damaged: expected sha256"):
        resolve(REPO)
    with pytest.raises(ModelNotFound):
        resolve(REPO, offline=True)
    hub.damaged.clear()
    assert files(resolve(REPO))["model.safetensors"] == hub.repos[REPO]["model.safetensors"]


def test_nothing_is_told_about_the_caller(hub: HubStub, tiny_bert: Callable[..., Path]) -> None:
    hub.add(REPO, tiny_bert())
    resolve(REPO)
    assert all(REPO in request.path for request in hub.requests)
    assert not any("torch" in request.user_agent for request in hub.requests)


def test_no_bar_and_no_chatter_where_nobody_looks(
    hub: HubStub, tiny_bert: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    hub.add(REPO, tiny_bert())
    resolve(REPO, progress=True)
    assert capfd.readouterr() == ("", "")


def test_a_hub_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()
    try:
        with pytest.raises(TimeoutError, match=r"no answer within 0\.01 s"):
            within(0.01, never.wait)
    finally:
        never.set()


def test_the_answer_and_the_error_of_a_timed_call_are_the_calls_own() -> None:
    assert within(5, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)


def test_a_proxy_is_gone_through(hub: HubStub, tiny_bert: Callable[..., Path], monkeypatch) -> None:
    hub.add(REPO, tiny_bert())
    monkeypatch.setenv("http_proxy", hub.endpoint)
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    monkeypatch.setenv("NO_PROXY", "")
    folder = subprocess.run(
        [sys.executable, "-c", RESOLVE, REPO], capture_output=True, text=True, timeout=60
    )
    assert folder.returncode == 0, folder.stderr
    assert files(Path(folder.stdout.strip())) == hub.repos[REPO]


def test_two_processes_at_once_make_one_download(
    hub: HubStub, tiny_bert: Callable[..., Path]
) -> None:
    hub.add(REPO, tiny_bert())
    command = [sys.executable, "-c", RESOLVE, REPO]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    folders = [process.communicate(timeout=60)[0] for process in both]
    assert folders[0] == folders[1] != ""
    assert hub.asked("GET", "model.safetensors") == hub.asked("GET", "/revision/main") == 1


def test_a_kill_in_the_middle_leaves_nothing_that_looks_whole(
    hub: HubStub, tiny_bert: Callable[..., Path]
) -> None:
    hub.add(REPO, tiny_bert())
    hub.stalled.add("model.safetensors")
    process = subprocess.Popen([sys.executable, "-c", RESOLVE, REPO])
    assert hub.began.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with pytest.raises(ModelNotFound, match="only some of its files"):
        resolve(REPO, offline=True)
    hub.go_on.set()
    hub.stalled.clear()
    assert files(resolve(REPO)) == hub.repos[REPO]


def test_weights_are_chosen_at_the_top_and_in_module_folders() -> None:
    names = ["config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    extra = ["model.safetensors.index.json", "pytorch_model.bin", "3_Dense/model.safetensors"]
    small, weights = choose([*names, *extra, "3_Dense/pytorch_model.bin", "onnx/config.json"])
    assert small == ["config.json", "model.safetensors.index.json"]
    assert weights == [*names[1:], "3_Dense/model.safetensors"]
    with pytest.raises(CheckpointError, match="got no files"):
        choose([])
