"""Options from a file, and what a running server takes over when it is read again."""

import logging
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from bertfeat_server import commands
from bertfeat_server.config import ServerConfig
from bertfeat_server.logs import reload_log
from bertfeat_server.reloading import CHANGEABLE, merged
from bertfeat_server.watching import pace
from broker_stage import Stage

KEYS = ("a first key, long enough", "a second key, long enough")


@pytest.fixture
def told(monkeypatch, tmp_path):
    """Run ``start`` with a file of this text and return the settings, or the result if it fails."""

    def run(text, *arguments, **environment):
        found, path = [], tmp_path / "serve.toml"
        path.write_text(text)

        class Supervisor:
            def __init__(self, config, reread):
                found.extend([config, reread])

            def run(self, on_ready):
                path.write_text("max-wait-ms = 99")
                found.append(found[1]())

        monkeypatch.setattr(commands, "Supervisor", Supervisor)
        monkeypatch.setattr(commands, "require", lambda *_: None)
        monkeypatch.setattr(commands, "set_up", lambda *_: None)
        result = CliRunner(env=environment).invoke(
            commands.group, ["start", "--config", str(path), *arguments]
        )
        return (found[0], found[2]) if found else result

    return run


def test_the_command_line_comes_before_the_environment_before_the_file(told):
    text = 'port = 1\nmax_wait_ms = 2.5\nmax-queue-tokens = 3\nmodel = ["a=/a", "b=/b"]\n'
    text += "quiet = true"
    config, _ = told(text, "--port", "7", BERTFEAT_SERVE_MAX_WAIT_MS="8")
    assert config == ServerConfig(
        port=7, max_wait_ms=8, max_queue_tokens=3, model=("a=/a", "b=/b"), quiet=True
    )


def test_the_same_arguments_are_understood_again_with_the_file_as_it_is_then(told):
    first, then = told("max_wait_ms = 1", "--port", "7")
    assert (first.max_wait_ms, then.max_wait_ms) == (1, 99)
    assert first.port == then.port == 7


@pytest.mark.parametrize(("text", "said"), [
    ("max_wait = 3", "did you mean max_wait_ms?"),
    ("xyzzy = 3", "xyzzy is no option"),
    ("port = ", "Invalid value"),
    ('port = "many"', "not a valid integer"),
    ("[server]\nport = 3", "server is no option"),
])  # fmt: skip
def test_a_file_that_is_wrong_is_wrong_usage(told, text, said):
    result = told(text)
    assert result.exit_code == 2 and said in result.output


def test_only_what_can_change_is_taken_over_and_the_rest_is_named(caplog):
    old = ServerConfig(port=1, max_wait_ms=1)
    found = merged(old, ServerConfig(port=2, max_wait_ms=9, pooling="max"))
    assert found == ServerConfig(port=1, max_wait_ms=9, pooling="max")
    assert "port=2 needs a restart, it stays 1" in caplog.text
    assert {"port", "host", "model", "workers", "http_port"}.isdisjoint(CHANGEABLE)
    assert {"max_message_mb", "max_connections"}.isdisjoint(CHANGEABLE), "the sockets have them"


def test_limits_hold_for_what_waits_already():
    stage = Stage().client(items=["a", "b"]).hello(state="loading")
    stage.dispatcher.reload(ServerConfig(model=("m=/m",), max_request_texts=1, max_queue_tokens=3))
    assert stage.client(items=["a", "b"], name="2").error["message"].startswith("2 texts in one")
    assert stage.dispatcher.scheduler.max_queue_tokens == 3
    assert len(stage.hello("w2").serve().replies) == 2


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP here")
def test_a_running_server_reads_its_file_and_its_keys_again(start, client, tmp_path, wait_for):
    keys, options = tmp_path / "keys.toml", tmp_path / "serve.toml"

    def write(key, most):
        keys.write_text(f'[alice]\nkey = "{key}"\n')
        keys.chmod(0o600)
        options.write_text(f'max_request_texts = {most}\nlog_level = "debug"\nworkers = {most}\n')

    def outcome(key, texts):
        header = connection.ask("encode", ["a"] * texts, key=key).header
        return header["status"] if header["status"] == "ok" else header["error"]["code"]

    write(KEYS[0], 1)
    server = start("--config", str(options), "--api-key-file", str(keys), "--log-level", "info")
    connection = client(server.endpoint)
    assert outcome(KEYS[0], 1) == "ok" and outcome(KEYS[0], 2) == "invalid_request"
    pids = server.pids()
    write(KEYS[1], 2)
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: outcome(KEYS[1], 2) == "ok")
    assert outcome(KEYS[0], 1) == "unauthorized"
    assert "workers=2 needs a restart, it stays 1" in server.errors.read_text()
    options.write_text("nonsense = 1")
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "stay as they are" in server.errors.read_text())
    assert outcome(KEYS[1], 2) == "ok" and server.pids() == pids


def test_the_pace_is_told_between_two_states_of_one_server():
    def state(uptime_s, rows):
        batches = {"rows": rows, "tokens": 10 * rows, "done": rows // 4}
        return {"uptime_s": uptime_s, "batches": batches, "latency_ms": {"p50": 1.5, "p99": 9}}

    [line] = pace(state(10, 100), state(12, 300))
    assert "100 texts/s, 1000 tokens/s, 4.0 texts in a batch, p50 1.5 ms, p99 9.0 ms" in line
    assert pace(None, state(1, 1)) == [] and pace(state(9, 5), state(1, 1)) == []


def test_the_status_is_watched_until_it_is_interrupted(start):
    server = start()
    watching = subprocess.Popen(
        [sys.executable, "-m", "serve_main", "status", "--watch"], env=server.environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    with watching:
        with pytest.raises(subprocess.TimeoutExpired):
            watching.wait(3)
        watching.send_signal(signal.SIGINT)
        assert "ready" in watching.communicate(timeout=20)[0]
    assert watching.returncode == 130


def test_levels_are_changed_in_every_process(caplog):
    logger = logging.getLogger("bertfeat_server")
    before, handlers = logger.level, logging.getLogger().handlers[:]
    try:
        told = ServerConfig(log_level="debug").to_dict()
        reload_log({"command": "reload", "config": told})
        assert logger.level == logging.DEBUG
    finally:
        logger.setLevel(before)
        logging.getLogger().handlers[:] = handlers
        logging.captureWarnings(False)
