"""What is no message of the protocol is answered or forgotten, and hurts nobody."""

import pytest

from bertfeat_client.protocol import Message, encode_message
from broker_stage import TOKEN, Stage

GOOD = encode_message(Message({"op": "encode", "id": "1"}, ["a"]))
JUNK = {
    "nothing": [],
    "an empty frame": [b""],
    "REQ's empty delimiter": [b"", *GOOD],
    "random bytes": [b"\x00\xff\x13\x37" * 9],
    "magic alone": [b"BFT"],
    "another major version": [b"BFT\x09" + GOOD[0][4:], *GOOD[1:]],
    "no JSON": [b"BFT\x01{{{"],
    "no object": [b"BFT\x01[1,2]"],
    "no UTF-8": [b'BFT\x01{"id":"\xff"}'],
    "deep nesting": [b"BFT\x01" + b"[" * 100_000],
    "a missing frame": GOOD[:1],
    "a frame too many": [*GOOD, b"more"],
    "items that are no list": [GOOD[0], b"{}"],
    "items that are no JSON": [GOOD[0], b"\xff\xfe"],
    "no id": encode_message(Message({"op": "encode"}, ["a"])),
    "no op": encode_message(Message({"id": "1"}, ["a"])),
    "an array of nonsense": [b'BFT\x01{"id":"1","arrays":[{"dtype":"object"}]}', b""],
    "an array of no size": [
        b'BFT\x01{"id":"1","arrays":[{"name":"a","dtype":"int8","shape":[9]}]}', b""
    ],
    "arrays that are no list": [b'BFT\x01{"id":"1","arrays":7}'],
    "an array that is a number": [b'BFT\x01{"id":"1","arrays":[7]}', b""],
    "a dtype that is a list": [b'BFT\x01{"id":"1","arrays":[{"dtype":[]}]}', b""],
    "a worker's message": encode_message(Message({"op": "hello", "id": "1", "token": TOKEN})),
    "a lone surrogate as id": encode_message(Message({"op": "info", "id": "\ud800"})),
    "a NUL in op": encode_message(Message({"op": "enc\0de", "id": "1"}, ["a"])),
}  # fmt: skip


@pytest.mark.parametrize("frames", JUNK.values(), ids=JUNK.keys())
def test_junk_is_answered_and_hurts_nobody(frames):
    stage = Stage().hello()
    stage.frames(frames)
    assert stage.reply.header["status"] == "error" or stage.reply.header["id"] == "\ud800"
    stage.replies.clear()
    assert stage.client(items=["abc"], name="2").serve().reply.arrays["vectors"].tolist() == [[3]]


@pytest.mark.parametrize("frames", JUNK.values(), ids=JUNK.keys())
def test_junk_from_behind_hurts_nobody(frames):
    stage = Stage().hello()
    stage.dispatcher.from_worker("w1", frames, stage.now)
    stage.pump()
    assert stage.client(items=["abc"]).serve().reply.arrays["vectors"].tolist() == [[3]]


def test_another_major_version_is_told_both_versions():
    stage = Stage()
    stage.frames([b"BFT\x09" + GOOD[0][4:], *GOOD[1:]])
    assert stage.error["code"] == "invalid_request"
    assert "the peer speaks protocol 9, this side 1" in stage.error["message"]
