"""Frames of every version of the protocol that was released are understood as they were meant."""

import base64
import importlib.util
import json
from pathlib import Path

import pytest

from bertfeat_client.errors import VersionMismatch
from bertfeat_client.protocol import VERSION, Message, decode_message, encode_message
from broker_stage import Stage

FOLDER = Path(__file__).parent / "golden"
SPEC = importlib.util.spec_from_file_location("golden_write", FOLDER / "write.py")
write = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(write)
FILES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
ENCODES = [
    (version, name)
    for version, told in FILES.items() for name, case in told.items()
    if case["means"]["header"].get("op") == "encode"
]  # fmt: skip
CASES = [(version, name) for version, told in FILES.items() for name in told]


def frames(version, name):
    return [base64.b64decode(frame) for frame in FILES[version][name]["frames"]]


@pytest.mark.parametrize(("version", "name"), CASES)
def test_a_message_of_each_version_means_what_it_meant(version, name):
    found = write.plain(decode_message(frames(version, name)))
    assert found["header"].pop("v") == [int(part) for part in version.split(".")]
    assert found == FILES[version][name]["means"]


@pytest.mark.parametrize("name", FILES["1.0"])
def test_what_1_0_could_say_is_still_written_in_the_same_frames_but_for_the_number(name):
    now = encode_message(write.message_of(FILES["1.0"][name]["means"]))
    ours = f'"v":[{VERSION[0]},{VERSION[1]}]'.encode()
    assert [bytes(f).replace(ours, b'"v":[1,0]') for f in now] == frames("1.0", name)


@pytest.mark.parametrize("name", write.MESSAGES)
def test_this_version_still_writes_the_same_frames(name):
    now = [bytes(frame) for frame in encode_message(write.MESSAGES[name])]
    assert now == frames(f"{VERSION[0]}.{VERSION[1]}", name), "frames changed: a new version is due"


@pytest.mark.parametrize(("version", "name"), ENCODES)
def test_the_broker_serves_a_client_of_each_version(version, name):
    stage = Stage(max_batch_tokens=1000).hello()
    stage.frames(frames(version, name))
    stage.serve()
    texts = FILES[version][name]["means"]["items"]
    assert stage.reply.header["status"] == "ok"
    assert len(stage.reply.arrays["vectors"]) == len(texts)
    stage.client("info", None, name="i")
    assert stage.replies[-1][1].header["info"]["protocol"] == list(VERSION)


def test_what_a_newer_minor_version_adds_is_left_alone():
    message = Message({"op": "encode", "id": "1", "novelty": {"a": 1}}, ["a"])
    newer = [bytes(frame) for frame in encode_message(message)]
    ours = f'"v":[{VERSION[0]},{VERSION[1]}]'.encode()
    assert ours in newer[0]
    newer[0] = newer[0].replace(ours, f'"v":[{VERSION[0]},99]'.encode())
    assert decode_message(newer).header["v"] == [VERSION[0], 99]
    stage = Stage().hello()
    stage.frames(newer)
    assert stage.serve().reply.header["status"] == "ok"
    stage.client("invented", name="2")
    assert "invented" in stage.replies[-1][1].header["error"]["message"]


def test_another_major_version_is_refused_and_both_are_named():
    other = bytearray(frames("1.0", "cancel")[0])
    other[3] = 2
    with pytest.raises(VersionMismatch, match=r"protocol 2, this side 1"):
        decode_message([bytes(other)])
    stage = Stage()
    stage.frames([bytes(other)])
    assert "protocol 2, this side 1" in stage.error["message"]
