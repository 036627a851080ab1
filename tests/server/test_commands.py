"""The command line without a server: options, defaults, environment, exit codes."""

import os
import subprocess
import sys
from dataclasses import fields

import click
import pytest
from click.testing import CliRunner

from bertfeat_server import commands
from bertfeat_server.config import ServerConfig
from bertfeat_server.runfile import RunFile, published
from bertfeat_server.texts import status_table


@pytest.fixture(autouse=True)
def runtime(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name in [name for name in os.environ if name.startswith("BERTFEAT_SERVE")]:
        monkeypatch.delenv(name)


@pytest.fixture
def started(monkeypatch):
    """Runs ``start`` with arguments and returns the settings that the supervisor would get."""

    def start(*arguments, **environment):
        found = []

        class Recorder:
            def __init__(self, config, reread):
                found.append(config)

            def run(self, on_ready):
                pass

        monkeypatch.setattr(commands, "Supervisor", Recorder)
        result = CliRunner().invoke(commands.group, ["start", *arguments], env=environment)
        return found[0] if found else result

    return start


def test_the_options_of_start_are_the_fields_of_the_settings():
    options = {option.name: option for option in commands.start.params if option.expose_value}
    assert set(options) == {field.name for field in fields(ServerConfig)}
    for field in fields(ServerConfig):
        assert f"--{field.name.replace('_', '-')}" in options[field.name].opts
        assert options[field.name].envvar == f"BERTFEAT_SERVE_{field.name.upper()}"


def test_start_without_options_is_the_default_settings(started):
    assert started() == ServerConfig()


def test_every_option_reaches_the_settings(started):
    config = started(
        "--host", "::1", "--port", "99", "--model", "a=/a", "--model", "b=/b", "--workers", "2",
        "--max-wait-ms", "1.5", "--max-seq-length", "64", "--layers", "-2", "--no-normalize",
        "--pooling", "REDUCE_MEAN", "--log-json", "--offline", "--quiet", "--index", "/i",
    )  # fmt: skip
    assert config == ServerConfig(
        host="::1", port=99, model=("a=/a", "b=/b"), workers=2, max_wait_ms=1.5, max_seq_len=64,
        layers="-2", normalize=False, pooling="REDUCE_MEAN", log_json=True, offline=True,
        quiet=True, index="/i",
    )  # fmt: skip


def test_every_option_has_an_environment_variable_which_the_command_line_overrides(started):
    environment = {
        "BERTFEAT_SERVE_PORT": "77",
        "BERTFEAT_SERVE_MODEL": "a=/a b=/b",
        "BERTFEAT_SERVE_NORMALIZE": "false",
        "BERTFEAT_SERVE_LOG_JSON": "1",
    }
    found = started("--port", "78", **environment)
    assert found == ServerConfig(port=78, model=("a=/a", "b=/b"), normalize=False, log_json=True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--port", "70000"), "port=70000 is not between 0 and 65535"),
        (("--workers", "none"), "'none' is not a valid integer"),
        (("--precision", "float17"), "'float17' is not one of"),
        (("--nonsense",), "No such option"),
        (("--model", "a=x", "--model", "a=y"), "gives one name twice"),
    ],
)
def test_wrong_usage_exits_with_two_and_says_what_is_wrong(started, arguments, said):
    result = started(*arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_help_states_every_default():
    for command in (commands.start, commands.status, commands.stop, commands.worker):
        for option in command.params:
            assert option.is_flag or option.show_default or option.default or option.hidden
    text = CliRunner().invoke(commands.group, ["start", "--help"]).output
    shown = text.count("default:")
    flags = {
        "batch_invariant",
        "compat",
        "compat_show_tokens",
        "insecure",
        "lazy",
        "log_json",
        "log_requests",
        "offline",
        "quiet",
    }
    assert shown == len(fields(ServerConfig)) - len(flags)  # --config beside the hidden one
    assert "encoder-factory" not in text


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-c", "from bertfeat_server.cli import main; main()", *arguments],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("command", ["status", "stop", "worker"])
def test_without_a_server_the_commands_say_so_and_fail(command):
    result = run(command)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "bertfeat-serve: no server of yours runs on this machine; give --endpoint\n"
    )


@pytest.mark.parametrize("command", ["status", "stop", "worker"])
def test_several_servers_are_listed_to_choose_from(command):
    with published(RunFile(11, "tcp://127.0.0.1:1", "t")), published(RunFile(12, "ipc://x", "t")):
        result = run(command)
    assert result.returncode == 2
    assert "--endpoint tcp://127.0.0.1:1   (pid 11)" in result.stderr
    assert "--endpoint ipc://x   (pid 12)" in result.stderr


@pytest.mark.parametrize("missing", ["click", "tokenizers"])
def test_a_missing_extra_is_one_sentence(missing):
    code = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        f"u.find_spec = lambda name, *a: None if name == {missing!r} else real(name, *a)\n"
        "from bertfeat_server.cli import main; sys.argv[0] = 'bertfeat-serve'; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "start"], capture_output=True, text=True, timeout=60
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert f"needs {missing}" in result.stderr
    assert 'pip install "bertfeat[serve]"' in result.stderr


def test_help_does_not_load_tensorflow():
    code = (
        "import sys; from bertfeat_server.commands import run; sys.argv[1:] = ['start', '-h'];"
        "run(); print([m for m in ('tensorflow', 'keras', 'tokenizers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("[]\n")


def test_the_status_table_shows_all_processes():
    report = {
        "endpoint": "ipc://x", "ready": True, "draining": False, "uptime_s": 61.2,
        "queue": {"requests": 2, "tokens": 30, "max_tokens": 1000},
        "requests": {"answered": 5, "failed": 1},
        "batches": {"running": 1, "done": 3, "lost": 0, "rows": 9, "tokens": 90},
        "workers": [
            {"pid": 17, "state": "busy", "model": "m"}, {"pid": 18, "state": "ready", "model": None}
        ],
    }  # fmt: skip
    assert status_table(report).splitlines() == [
        "ipc://x  ready  up 61 s",
        "queue     2 requests, 30 of 1000 tokens",
        "requests  5 answered, 1 failed",
        "batches   3 done, 9 rows, 0 lost",
        "      pid  state     model",
        "       17  busy      m",
        "       18  ready     (index)",
    ]


def test_all_commands_take_help():
    for name, command in commands.group.commands.items():
        assert isinstance(command, click.Command)
        assert CliRunner().invoke(commands.group, [name, "-h"]).exit_code == 0
