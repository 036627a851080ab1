"""The frames: round trips, damage of every kind, and the bytes of version 1.0."""

import itertools
import json
import struct

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bertfeat_client.errors import MalformedMessage, VersionMismatch
from bertfeat_client.protocol import (
    DTYPES,
    MAGIC,
    Message,
    bfloat16_to_float32,
    decode_header,
    decode_message,
    encode_message,
    float32_to_bfloat16,
    join_rows,
    split_rows,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
reserved = {"v", "items", "arrays"}
headers = st.dictionaries(st.text().filter(lambda key: key not in reserved), json_values)
dtypes = st.sampled_from([dtype for name, dtype in DTYPES.items() if name != "bfloat16"])
arrays = dtypes.flatmap(
    lambda dtype: hnp.arrays(
        dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
    )
)
messages = st.builds(
    Message,
    headers,
    st.none() | st.lists(json_values, max_size=4),
    st.dictionaries(st.text(), arrays, max_size=3),
)


def as_bytes(frames):
    return [bytes(frame) for frame in frames]


def assert_same(one, other):
    assert one.header == {key: value for key, value in other.header.items() if key != "v"}
    assert one.items == other.items
    assert list(one.arrays) == list(other.arrays)
    for name, array in one.arrays.items():
        assert other.arrays[name].dtype == array.dtype and other.arrays[name].shape == array.shape
        assert other.arrays[name].tobytes() == array.tobytes()
    assert (one.ragged, one.bfloat16) == (other.ragged, other.bfloat16)


@given(messages)
def test_a_message_comes_back_as_it_was(message):
    assert_same(message, decode_message(as_bytes(encode_message(message))))


@given(arrays)
def test_strided_and_big_endian_arrays_come_back_by_value(array):
    for form in (array.T, array.astype(array.dtype.newbyteorder(">"))):
        back = decode_message(encode_message(Message({}, arrays={"a": form}))).arrays["a"]
        np.testing.assert_array_equal(back, form)
        assert back.dtype.byteorder in "=<|"


@given(st.lists(st.integers(0, 3), max_size=5), st.integers(0, 3))
def test_ragged_arrays_come_back_with_their_lengths(lengths, width):
    vectors = np.arange(sum(lengths) * width, dtype=np.float32).reshape(sum(lengths), width)
    arrays = {"vectors": vectors, "lengths": np.array(lengths, np.int32)}
    message = Message({}, None, arrays, frozenset({"vectors"}))
    assert_same(message, decode_message(encode_message(message)))


@settings(max_examples=50)
@given(messages, st.data())
def test_every_truncated_list_of_frames_is_malformed(message, data):
    frames = as_bytes(encode_message(message))
    assume(len(frames) > 1)
    kept = data.draw(st.integers(0, len(frames) - 1))
    with pytest.raises(MalformedMessage):
        decode_message(frames[:kept])
    with pytest.raises(MalformedMessage):
        decode_message([*frames, b""])


@settings(max_examples=50)
@given(messages, st.data())
def test_every_truncated_frame_is_malformed(message, data):
    frames = as_bytes(encode_message(message))
    number = data.draw(st.integers(0, len(frames) - 1))
    assume(frames[number])
    frames[number] = frames[number][: data.draw(st.integers(0, len(frames[number]) - 1))]
    with pytest.raises((MalformedMessage, VersionMismatch)):
        decode_message(frames)


@settings(max_examples=50)
@given(messages)
def test_frames_in_another_order_are_malformed_or_say_the_same(message):
    frames = as_bytes(encode_message(message))
    for order in itertools.islice(itertools.permutations(range(len(frames))), 24):
        mixed = [frames[number] for number in order]
        sizes = [len(frame) for frame in mixed]
        if sizes == [len(frame) for frame in frames]:
            continue  # arrays of equal size cannot be told apart, nor does ZeroMQ swap them
        with pytest.raises(MalformedMessage):
            decode_message(mixed)


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_foreign_frames_raise_nothing_but_protocol_errors(frames):
    with pytest.raises((MalformedMessage, VersionMismatch)):
        decode_message(frames)


@given(st.lists(st.binary(max_size=20), max_size=3), json_values)
def test_a_good_beginning_before_rubbish_raises_nothing_but_protocol_errors(frames, header):
    first = MAGIC + b"\x01" + json.dumps(header).encode()
    try:
        decode_message([first, *frames])
    except (MalformedMessage, VersionMismatch):
        return
    assert isinstance(header, dict) and not frames


@pytest.mark.parametrize(
    "entry",
    [
        None,
        7,
        {},
        {"name": "a"},
        {"name": "a", "dtype": "float32"},
        {"name": 1, "dtype": "float32", "shape": [1]},
        {"name": "a", "dtype": ["float32"], "shape": [1]},
        {"name": "a", "dtype": "object", "shape": [1]},
        {"name": "a", "dtype": "float32", "shape": [2]},
        {"name": "a", "dtype": "float32", "shape": [-1]},
        {"name": "a", "dtype": "float32", "shape": [1.0]},
        {"name": "a", "dtype": "float32", "shape": [True]},
        {"name": "a", "dtype": "float32", "shape": "1"},
        {"name": "a", "dtype": "float32", "shape": [1] * 70},
        {"name": "a", "dtype": "float32", "shape": [0, 2**39, 2**39]},
        {"name": "a", "dtype": "float32", "shape": [1], "ragged": True},
    ],
    ids=str,
)
def test_an_array_that_is_described_wrongly_is_malformed(entry):
    header = MAGIC + b"\x01" + json.dumps({"arrays": [entry]}).encode()
    for data in (b"", b"1234"):
        with pytest.raises(MalformedMessage):
            decode_message([header, data])


def test_two_arrays_of_one_name_are_malformed():
    entry = {"name": "a", "dtype": "int8", "shape": [1]}
    header = MAGIC + b"\x01" + json.dumps({"arrays": [entry, entry]}).encode()
    with pytest.raises(MalformedMessage, match="'a' comes twice"):
        decode_message([header, b"1", b"2"])


@pytest.mark.parametrize("lengths", [[1, 1], [4], [-1, 4], [1.0, 2.0]])
def test_lengths_that_do_not_add_up_are_malformed(lengths):
    arrays = {"vectors": np.zeros((3, 2), np.float32), "lengths": np.array(lengths)}
    frames = encode_message(Message({}, None, arrays, frozenset({"vectors"})))
    with pytest.raises(MalformedMessage, match="lengths"):
        decode_message(frames)


@pytest.mark.parametrize(
    "frame",
    [
        b"BFT\x01",
        b"BFT\x01nonsense",
        b"BFT\x01[1]",
        b"BFT\x01\xff\xfe",
        b'BFT\x01{"a":' + b"[" * 100_000,
        b'BFT\x01{"a":' + b"9" * 5000 + b"}",
    ],
    ids=lambda frame: repr(frame[:12]),
)
def test_a_header_that_is_no_json_object_is_malformed(frame):
    with pytest.raises(MalformedMessage, match="the header frame"):
        decode_header(frame)


def test_another_major_version_is_told_as_such():
    with pytest.raises(VersionMismatch, match="the peer speaks protocol 2, this side 1"):
        decode_message([MAGIC + b"\x02 whatever that means"])


@pytest.mark.parametrize(
    ("array", "bfloat16"),
    [
        (np.zeros(2, np.complex64), False),
        (np.array(["text"]), False),
        (np.array([None]), False),
        (np.zeros(2, np.uint16), False),
        (np.zeros(2, np.float32), True),
    ],
    ids=str,
)
def test_an_array_that_cannot_travel_is_refused_by_the_sender(array, bfloat16):
    names = frozenset({"a"}) if bfloat16 else frozenset()
    with pytest.raises(TypeError, match="array 'a' of .* cannot travel"):
        encode_message(Message({}, None, {"a": array}, bfloat16=names))


def test_lone_surrogates_travel():
    message = Message({}, ["\ud800 text"])
    assert decode_message(as_bytes(encode_message(message))).items == ["\ud800 text"]


def test_large_contiguous_arrays_are_not_copied():
    array = np.arange(6000, dtype=np.float32)
    frame = encode_message(Message({}, arrays={"a": array}))[-1]
    assert np.shares_memory(np.frombuffer(frame, np.uint8), array)


@given(hnp.arrays(np.uint16, st.integers(0, 20)))
def test_bfloat16_survives_widening_and_rounding(bits):
    wide = bfloat16_to_float32(bits)
    finite = np.isfinite(wide)
    np.testing.assert_array_equal(float32_to_bfloat16(wide)[finite], bits[finite])


@given(
    hnp.arrays(np.float32, st.integers(0, 20), elements=st.floats(-(2.0**100), 2.0**100, width=32))
)
def test_bfloat16_is_the_nearest_one(values):
    rounded = bfloat16_to_float32(float32_to_bfloat16(values))
    bits = values.view(np.uint32) & np.uint32(0xFFFF0000)
    below = bits.view(np.float32)
    above = (bits + np.uint32(0x10000)).view(np.float32)
    nearest = np.minimum(np.abs(values - below), np.abs(above - values))
    np.testing.assert_array_equal(np.abs(values - rounded), nearest)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.data())
def test_rows_that_were_split_are_joined_to_what_they_were(lengths, data):
    rows = len(lengths)
    tokens = np.arange(sum(lengths) * 2, dtype=np.float32).reshape(-1, 2)
    arrays = {
        "vectors": tokens,
        "lengths": np.array(lengths, np.int32),
        "truncated": np.arange(rows) % 2 == 0,
    }
    items = [[f"token {n}"] * length for n, length in enumerate(lengths)]
    message = Message({"id": "x"}, items, arrays, frozenset({"vectors"}))
    cut = data.draw(st.integers(0, rows))
    groups = split_rows(message, [cut, rows - cut])
    parts = [Message({"id": "x"}, part, held, message.ragged) for held, part in groups]
    assert sum(len(held["vectors"]) for held, _ in groups[:1]) == sum(lengths[:cut])
    assert_same(message, join_rows(parts))


def test_a_message_written_by_hand_is_read():
    header = (
        b'BFT\x01{"id": "7", "status": "ok", "v": [1, 3], "a new key": 1, "items": true, '
        b'"arrays": [{"name": "vectors", "dtype": "float32", "shape": [1, 2]}]}'
    )
    message = decode_message([header, '["Käse"]'.encode(), struct.pack("<2f", 1.5, -2.0)])
    assert (message.header["id"], message.items) == ("7", ["Käse"])
    np.testing.assert_array_equal(message.arrays["vectors"], [[1.5, -2.0]])
