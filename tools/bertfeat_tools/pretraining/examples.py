"""Examples as Google's files hold them: TFRecords of ``tf.train.Example``, read and written.

The keys are those of google-research/bert; files with the newer names of the Model Garden
(``input_word_ids``, ``input_type_ids``) are read too.
"""

import gzip
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from bertfeat.errors import InputError

INTEGERS = ("input_ids", "input_mask", "segment_ids", "masked_lm_positions", "masked_lm_ids",
            "next_sentence_labels", "word_ids")  # fmt: skip
OTHER_NAMES = {"input_word_ids": "input_ids", "input_type_ids": "segment_ids"}


def serialize(example: Mapping[str, np.ndarray]) -> bytes:
    """Return an example as the bytes of a ``tf.train.Example``."""
    from tensorflow.core.example import example_pb2, feature_pb2

    features = {}
    for name, values in example.items():
        if name in INTEGERS:
            feature = feature_pb2.Feature(int64_list=feature_pb2.Int64List(value=values.tolist()))
        else:
            feature = feature_pb2.Feature(float_list=feature_pb2.FloatList(value=values.tolist()))
        features[name] = feature
    made = example_pb2.Example(features=feature_pb2.Features(feature=features))
    return bytes(made.SerializeToString(deterministic=True))


def parse(data: bytes) -> dict[str, np.ndarray]:
    """Return what an example holds, int32 and float32, under Google's names."""
    from tensorflow.core.example import example_pb2

    found = {}
    for name, feature in example_pb2.Example.FromString(data).features.feature.items():
        own = OTHER_NAMES.get(name, name)
        if feature.WhichOneof("kind") == "float_list":
            found[own] = np.array(feature.float_list.value, np.float32)
        else:
            found[own] = np.array(feature.int64_list.value, np.int32)
    return found


@dataclass
class RecordFiles:
    """The examples of TFRecord files by number, read where they lie; ``.gz`` once into memory.

    Attributes:
        paths: of the files, in order.
    """

    paths: list[Path]

    def __len__(self) -> int:
        """Count the examples of all files."""
        return len(self._index)

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        """Return an example."""
        file, start, length = self._index[number]
        return parse(bytes(self._files[file][start : start + length]))

    @cached_property
    def _files(self) -> list[np.ndarray]:
        return [_contents(path) for path in self.paths]

    @cached_property
    def _index(self) -> list[tuple[int, int, int]]:
        """Return file, first byte and length of each example."""
        return [
            (number, start, length)
            for number, (path, data) in enumerate(zip(self.paths, self._files, strict=True))
            for start, length in _frames(path, data)
        ]


def _contents(path: Path) -> np.ndarray:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if packed:
        return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8)
    return np.memmap(path, np.uint8, "r") if path.stat().st_size else np.empty(0, np.uint8)


def _frames(path: Path, data: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield first byte and length of each record: length, its checksum, data, their checksum.

    Raises:
        InputError: the file is cut off.
    """
    at = 0
    while at < len(data):
        length = struct.unpack("<Q", data[at : at + 8].tobytes())[0] if at + 8 <= len(data) else -1
        if length < 0 or at + length + 16 > len(data):
            raise InputError(f"{path} is cut off after {at} bytes; make the file anew")
        yield at + 12, length
        at += length + 16
