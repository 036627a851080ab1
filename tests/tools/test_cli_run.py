"""How commands end: messages, exit codes, and nothing that looks like a crash."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import sys; sys.path[:] = {paths!r}
import click, time, warnings
from bertfeat.errors import CheckpointError
from bertfeat.extras import require
from bertfeat_client.errors import ConnectTimeout
from bertfeat_tools.cli.run import run

@click.command()
@click.option("--count", type=click.IntRange(1), default=1)
def command(count):
    {body}

run(command, "program")
"""


def start(body: str, *arguments: str) -> subprocess.Popen[str]:
    """Run a program whose command has this body."""
    code = PROGRAM.format(paths=[path for path in sys.path if path], body=body)
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(body: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a program."""
    process = start(body, *arguments)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_a_command_that_is_done_exits_0():
    assert outcome("click.echo('data')") == (0, "data\n", "")


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        ("CheckpointError('model.safetensors: cut off')", "model.safetensors: cut off"),
        ("ConnectTimeout('no server at tcp://127.0.0.1:1')", "no server at tcp://127.0.0.1:1"),
        ("FileNotFoundError(2, 'No such file', 'a.txt')", "[Errno 2] No such file: 'a.txt'"),
        ("OSError(28, 'No space left on device', 'x')", "[Errno 28] No space left on device: 'x'"),
    ],
)
def test_an_expected_failure_is_one_message_and_exit_code_1(raised, message):
    assert outcome(f"raise {raised}") == (1, "", f"program: {message}\n")


def test_a_missing_extra_is_one_message_and_exit_code_1():
    code, out, err = outcome("require('this', 'no_such_package', extra='train')")
    assert (code, out) == (1, "")
    assert err == (
        "program: this needs no_such_package: the extra [train] brings it, "
        'pip install "bertfeat[train]"\n'
    )


def test_a_failed_import_of_a_package_that_an_extra_brings_names_the_extra():
    code, out, err = outcome("raise ModuleNotFoundError('?', name='tensorflow.keras')")
    assert (code, out) == (1, "")
    assert err == (
        'program needs tensorflow: the extra [serve] brings it, pip install "bertfeat[serve]"\n'
    )


def test_a_failed_import_of_anything_else_is_a_bug():
    assert "Traceback" in outcome("import no_such_package")[2]


def test_wrong_usage_exits_2_and_names_the_option():
    code, out, err = outcome("pass", "--count", "0")
    assert (code, out) == (2, "")
    assert "'--count': 0 is not in the range x>=1" in err


def test_a_commands_own_exit_code_is_kept():
    assert outcome("return 1") == (1, "", "")
    assert outcome("click.get_current_context().exit(2)") == (2, "", "")


def test_a_bug_keeps_its_traceback():
    code, _, err = outcome("1 / 0")
    assert code == 1
    assert "Traceback" in err
    assert "ZeroDivisionError" in err


def test_a_warning_is_one_line_without_a_place_in_the_code():
    assert outcome("warnings.warn('two texts were cut')") == (
        0, "", "warning: two texts were cut\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    "body", ["[click.echo('x' * 1000) for _ in range(10_000)]", "print('y' * 100_000)"]
)
def test_a_reader_that_leaves_is_no_noise(body):
    process = start(body)
    process.stdout.close()
    assert process.wait(60) == 1
    assert process.stderr.read() == ""
    process.stderr.close()


def test_ctrl_c_exits_130_without_a_traceback():
    process = start("click.echo('started'); time.sleep(60)")
    assert process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert err.strip() == ""


def test_the_groups_help_lists_every_command_with_a_sentence():
    from bertfeat_tools.cli.group import COMMANDS

    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {[p for p in sys.path if p]!r}\n"
         "from bertfeat_tools.cli import main; main()", "--help"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    listed = {line.split()[0]: line for line in done.stdout.splitlines() if line.startswith("  ")}
    for name in COMMANDS:
        assert len(listed[name].split()) > 2, f"{name} has no help"
