"""The settings of a server: sensible alone, refused together with all reasons when they are not."""

import json

import pytest

from bertfeat.errors import ConfigError
from bertfeat_server.config import ServerConfig


def test_the_defaults_are_those_of_the_documentation():
    config = ServerConfig()
    assert config.frontend == "tcp://127.0.0.1:5557"
    assert config.models == {"all-MiniLM-L6-v2": "all-MiniLM-L6-v2"}
    assert (config.precision, config.workers, config.index) == ("auto", 1, None)


def test_everything_that_cannot_be_is_said_at_once():
    with pytest.raises(ConfigError) as error:
        ServerConfig(
            port=70000, workers=0, precision="float17", max_wait_ms=-1, endpoint="udp://x",
            device="tpu", http_port=70000, model=("a=/x", "a=/y"), pooling="median",
            default_timeout_s=0.0,
        )  # fmt: skip
    for part in (
        "port=70000", "workers=0", "precision='float17'", "max_wait_ms=-1", "endpoint='udp://x'",
        "device='tpu'", "http_port=70000", "gives one name twice", "pooling='median'",
        "default_timeout_s=0.0",
    ):  # fmt: skip
        assert part in str(error.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": ()},
        {"model": ("=folder",)},
        {"model": ("name=",)},
        {"device": "gpu:one"},
        {"device": "cpu:0"},
        {"threads": 0},
        {"max_seq_len": -3},
        {"log_level": "loud"},
        {"combine": "weighted"},
        {"default_timeout_s": float("nan")},
    ],
)
def test_each_of_these_is_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ServerConfig(**wrong)


def test_models_are_named_by_the_user_or_by_their_folder(tmp_path):
    (tmp_path / "my-bert").mkdir()
    config = ServerConfig(model=(f"{tmp_path}/my-bert/", "other=/x/y", "org/name"))
    assert config.models == {
        "my-bert": f"{tmp_path}/my-bert/", "other": "/x/y", "org/name": "org/name"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "devices"),
    [
        ({}, ("auto",)),
        ({"workers": 2, "device": "cpu"}, ("cpu", "cpu")),
        ({"device": "gpu:0,1"}, ("gpu:0", "gpu:1")),
        ({"workers": 3, "device": "gpu:0,1"}, ("gpu:0", "gpu:1", "gpu:0")),
    ],
)
def test_there_is_one_worker_for_each_gpu_named(options, devices):
    assert ServerConfig(**options).devices == devices


def test_workers_share_the_cores_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr("bertfeat_server.settings.models.usable_cores", lambda: 8)
    assert ServerConfig().worker_threads == 8
    assert ServerConfig(workers=2, model=("a=/a", "b=/b")).worker_threads == 2
    assert ServerConfig(workers=99).worker_threads == 1
    assert ServerConfig(workers=2, threads=5).worker_threads == 5


@pytest.mark.parametrize(
    ("options", "frontend"),
    [
        ({"port": 0}, "tcp://127.0.0.1:*"),
        ({"host": "::1", "port": 7}, "tcp://[::1]:7"),
        ({"endpoint": "ipc:///tmp/x", "port": 7}, "ipc:///tmp/x"),
    ],
)
def test_where_clients_connect(options, frontend):
    assert ServerConfig(**options).frontend == frontend


def test_settings_travel_to_the_child_processes_unchanged():
    config = ServerConfig(model=("a=/a", "b"), layers="-2", normalize=False, max_wait_ms=2.5)
    assert ServerConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
