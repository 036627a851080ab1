"""``bertfeat info``."""

import json
from importlib.metadata import version

from bertfeat.engine.choose import choose_precision
from bertfeat_tools.cli.info import info
from command_line import call, run_program


def test_json_tells_versions_devices_and_choices():
    found = json.loads(call(info, "--json").out)
    assert found["packages"]["numpy"] == version("numpy")
    assert found["engine"] == "litert" or choose_precision("auto", False).precision != "float32"
    assert found["engine_reason"]
    assert isinstance(found["accelerators"], list)
    choice = choose_precision("auto", accelerated=False)
    assert (found["precision"], found["precision_reason"]) == (choice.precision, choice.reason)


def test_text_shows_the_same():
    found = json.loads(call(info, "--json", "--precision=float32").out)
    text = call(info, "--precision=float32").out.decode()
    for value in (found["python"], found["precision"], found["engine_reason"], "asked for"):
        assert value in text
    for name, number in found["packages"].items():
        assert f"{name:<16} {number}" in text


def test_a_device_that_is_none_is_told():
    done = call(info, "--device", "tpu:0")
    assert done.code == 1
    assert "tpu:0" in done.err


def test_a_fresh_process_writes_data_to_stdout_and_nothing_else():
    done = run_program("main", "info")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(b"bertfeat ")
    assert b"\nengine      " in done.out
