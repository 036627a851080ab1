"""PyTorch's files are read to the same numbers as PyTorch reads, and nothing in them is run."""

import io
import os
import pickle
import struct
import subprocess
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from bertfeat.checkpoints.pickle_reader import ALLOWED, InertUnpickler
from bertfeat.checkpoints.pytorch_files import read_pytorch
from bertfeat.errors import CheckpointError

ZIP, LEGACY = True, False
both_layouts = pytest.mark.parametrize("layout", [ZIP, LEGACY], ids=["zip", "legacy"])


def saved(state, path: Path, layout: bool = ZIP) -> Path:
    torch.save(state, path, _use_new_zipfile_serialization=layout)
    return path


def as_numpy(tensor: torch.Tensor) -> np.ndarray:
    """NumPy has no bfloat16 of its own, so its bits are compared as 16-bit integers."""
    if tensor.dtype == torch.bfloat16:
        return tensor.contiguous().view(torch.int16).numpy()
    return tensor.detach().numpy()


class Call:
    """Pickles as a call of a function with arguments."""

    def __init__(self, function, *arguments, state=None):
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.parts


@both_layouts
def test_every_type_and_stride_has_the_values_that_pytorch_reads(tmp_path, layout):
    torch.manual_seed(0)
    block = torch.randn(24)
    state = OrderedDict(
        plain=torch.randn(3, 4),
        transposed=block.reshape(4, 6).t(),
        part=block[3:9].reshape(2, 3),
        every_second=block[1::2],
        double=torch.randn(3, dtype=torch.float64),
        half=torch.randn(3, 2).half(),
        bfloat=torch.randn(3, 2).bfloat16(),
        long=torch.arange(5),
        boolean=torch.tensor([True, False]),
        byte=torch.tensor([0, 255], dtype=torch.uint8),
        empty=torch.zeros(0, 3),
        scalar=torch.tensor(2.5),
        parameter=torch.nn.Parameter(torch.randn(2)),
    )
    path = saved(state, tmp_path / "w.bin", layout)
    read, oracle = read_pytorch(path), torch.load(path)
    assert list(read) == list(state)
    for name, tensor in oracle.items():
        expected = as_numpy(tensor)
        array = read[name].view(np.int16) if name == "bfloat" else read[name]
        assert array.dtype == expected.dtype, name
        np.testing.assert_array_equal(array, expected, err_msg=name)
    assert read["bfloat"].dtype.name == "bfloat16"


@both_layouts
def test_a_module_state_dict_with_metadata_is_read(tmp_path, layout):
    layer = torch.nn.Linear(3, 2)
    read = read_pytorch(saved(layer.state_dict(), tmp_path / "w.bin", layout))
    np.testing.assert_array_equal(read["weight"], layer.weight.detach().numpy())
    np.testing.assert_array_equal(read["bias"], layer.bias.detach().numpy())


def test_a_big_endian_file_has_the_same_values(tmp_path):
    path = saved({"a": torch.tensor([1.5, -2.0])}, tmp_path / "little.bin")
    swapped = {"little/byteorder": b"big", "little/data/0": struct.pack(">2f", 1.5, -2.0)}
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "big.bin", "w") as new:
        for name in old.namelist():
            new.writestr(name, swapped.get(name, old.read(name)))
    np.testing.assert_array_equal(read_pytorch(tmp_path / "big.bin")["a"], [1.5, -2.0])


@both_layouts
@pytest.mark.parametrize(
    "call",
    [
        lambda mark: Call(os.system, f"touch {mark}"),
        lambda mark: Call(eval, f"__import__('os').mkdir({str(mark)!r})"),
        lambda mark: Call(os.mkdir, str(mark)),
        lambda mark: Call(subprocess.check_call, ["touch", str(mark)]),
    ],
    ids=["os.system", "eval", "os.mkdir", "subprocess"],
)
def test_a_pickle_that_would_run_something_is_refused_and_nothing_runs(tmp_path, layout, call):
    mark = tmp_path / "mark"
    path = saved({"a": torch.ones(2), "b": call(mark)}, tmp_path / "w.bin", layout)
    with pytest.raises(CheckpointError, match="nothing of it was run") as caught:
        read_pytorch(path)
    assert str(path) in str(caught.value)
    assert not mark.exists()
    torch.load(path, weights_only=False)  # the file does do it where it is trusted
    assert mark.exists()


def test_code_hidden_in_the_header_of_a_legacy_file_is_refused(tmp_path):
    mark = tmp_path / "mark"
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
    (tmp_path / "w.bin").write_bytes(head + pickle.dumps(Call(os.system, f"touch {mark}"), 2))
    with pytest.raises(CheckpointError, match="posix.system"):
        read_pytorch(tmp_path / "w.bin")
    assert not mark.exists()


def test_a_pickled_module_is_refused(tmp_path):
    path = saved(torch.nn.Linear(2, 2), tmp_path / "w.bin")
    with pytest.raises(CheckpointError, match=r"torch\.nn\.modules\.linear\.Linear.*safetensors"):
        read_pytorch(path)


def test_torchscript_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.bin", "w") as archive:
        archive.writestr("w/data.pkl", pickle.dumps({}))
        archive.writestr("w/constants.pkl", pickle.dumps(()))
    with pytest.raises(CheckpointError, match="TorchScript"):
        read_pytorch(tmp_path / "w.bin")


@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_a_file_cannot_change_a_stand_in_for_the_next_file(name):
    module, attribute = name
    target = f"c{module}\n{attribute}\n".encode()
    for state in ({"dtype": "x"}, (None, {"dtype": "x", "__call__": "x"})):
        evil = target + pickle.dumps(state, 0)[:-1] + b"b."
        with pytest.raises((AttributeError, TypeError, pickle.UnpicklingError)):
            InertUnpickler(io.BytesIO(evil)).load()


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [(0, (1000,), (1,)), (3, (2,), (1,)), (0, (2, 2), (3, 1)), (0, (5,), (0,)), (-1, (2,), (1,))],
)
def test_a_tensor_that_reaches_beyond_its_block_is_refused(tmp_path, offset, size, stride):
    """Four numbers are there; a view that leaves them must not read foreign memory."""
    path = saved({"a": torch.ones(4)}, tmp_path / "w.bin")
    with zipfile.ZipFile(path) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    entries["w/data.pkl"] = _view_pickle(offset, size, stride)
    with zipfile.ZipFile(tmp_path / "evil.bin", "w") as new:
        for name, data in entries.items():
            new.writestr(name, data)
    with pytest.raises(CheckpointError, match="beyond its block|not what PyTorch writes"):
        read_pytorch(tmp_path / "evil.bin")


def _view_pickle(offset, size, stride) -> bytes:
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return obj.pid if isinstance(obj, Pid) else None

    class Pid:
        pid = ("storage", torch.FloatStorage, "0", "cpu", 4)

    out = io.BytesIO()
    view = Call(torch._utils._rebuild_tensor_v2, Pid(), offset, size, stride, False, OrderedDict())
    Pickler(out, 2).dump({"a": view})
    return out.getvalue()


@both_layouts
def test_a_file_cut_off_anywhere_is_an_error_with_its_name(tmp_path, layout):
    state = {"a": torch.randn(40, 5), "b": torch.randn(7)}
    whole = saved(state, tmp_path / "w.bin", layout).read_bytes()
    cut = tmp_path / "cut.bin"
    for length in (*range(0, len(whole) - 1, 97), len(whole) - 1):
        cut.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"cut\.bin"):
            read_pytorch(cut)


def test_a_note_with_an_enormous_number_is_refused_before_room_is_made_for_it(tmp_path):
    """Python's own unpickler would set 2**35 bytes aside for it."""
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
    note = b"\x80\x02}r\xff\xff\xff\xff."  # PROTO 2, EMPTY_DICT, LONG_BINPUT 2**32 - 1, STOP
    (tmp_path / "w.bin").write_bytes(head + note)
    with pytest.raises(CheckpointError, match="note number 4294967295"):
        read_pytorch(tmp_path / "w.bin")


def test_a_changed_byte_in_the_numbers_is_noticed(tmp_path):
    path = saved({"a": torch.arange(100.0)}, tmp_path / "w.bin")
    data = bytearray(path.read_bytes())
    data[data.index(struct.pack("<f", 50.0))] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"damaged.*CRC"):
        read_pytorch(path)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ([torch.ones(1)], "holds a list"),
        ({"state_dict": {"a": torch.ones(1)}}, "'state_dict' is a dict"),
        ({"a": torch.ones(1), "epoch": 3}, "'epoch' is a int"),
    ],
)
def test_what_is_no_flat_state_dict_is_named(tmp_path, state, reason):
    with pytest.raises(CheckpointError, match=reason):
        read_pytorch(saved(state, tmp_path / "w.bin"))
