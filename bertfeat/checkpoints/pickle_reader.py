"""Unpickle the state dict of a PyTorch file without running anything that it holds.

A pickle is a program: it may name any function of any installed module and have it called.  The
unpickler here knows a handful of names, each bound to an inert stand-in that only notes down its
arguments; every other name ends the reading.  Stand-ins are immutable, so that a file cannot
change them for the next one.
"""

import io
import math
import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import IO, Any, NamedTuple

import numpy as np

from bertfeat.errors import CheckpointError

SAFER = "save it again as model.safetensors (safetensors.torch.save_file) in the program it is from"
STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


class StorageType(NamedTuple):
    """Stands in for a class such as ``torch.FloatStorage``."""

    dtype: str


class Storage(NamedTuple):
    """One block of numbers: the name of its type, its key in the file, how many there are."""

    type_name: str
    key: str
    numel: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's type, in this machine's byte order."""
        if self.type_name != "bfloat16":
            return np.dtype(self.type_name)
        import ml_dtypes

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16

    @property
    def nbytes(self) -> int:
        """Size of the block in bytes."""
        return self.numel * self.dtype.itemsize


class Strided(NamedTuple):
    """One tensor: a view of a block."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class RebuildTensor:
    """Stands in for ``torch._utils._rebuild_tensor_v2``."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Strided:
        """Note down a view after checking that its parts are of the right kind."""
        numbers = (offset, *size, *stride)
        if not isinstance(storage, Storage) or not all(type(n) is int and n >= 0 for n in numbers):
            raise pickle.UnpicklingError("a tensor's parts are not what PyTorch writes")
        return Strided(storage, offset, tuple(size), tuple(stride))


class RebuildParameter:
    """Stands in for ``torch._utils._rebuild_parameter``."""

    __slots__ = ()

    def __call__(self, data: Any, *_: Any) -> Any:
        """Return the parameter's tensor."""
        return data


ALLOWED: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): RebuildTensor(),
    ("torch._utils", "_rebuild_parameter"): RebuildParameter(),
    **{("torch", name): StorageType(dtype) for name, dtype in STORAGES.items()},
}


class InertUnpickler(pickle.Unpickler):
    """An unpickler for which only the names in ``ALLOWED`` exist."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a name, or end the reading."""
        if (module, name) not in ALLOWED:
            raise CheckpointError(
                f"it asks for {module}.{name}, which no plain set of weights needs; "
                f"nothing of it was run. If you trust the file, {SAFER}"
            )
        return ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Storage:
        """Note down a block of numbers."""
        kind, storage_type, key, _, numel, *view = pid
        if kind != "storage" or not isinstance(storage_type, StorageType) or any(view):
            raise pickle.UnpicklingError("a storage's parts are not what PyTorch writes")
        if not isinstance(key, str) or type(numel) is not int or numel < 0:
            raise pickle.UnpicklingError("a storage's key or size is not what PyTorch writes")
        return Storage(storage_type.dtype, key, numel)


def unpickle(file: IO[bytes]) -> Any:
    """Read one pickle from where a file stands, and leave the file behind it.

    Raises:
        CheckpointError: it asks for something to be called.
        Exception: it is damaged; any kind.
    """
    start = file.tell()
    for opcode, argument, _ in pickletools.genops(file):
        # Python makes room for as many notes as the largest number says, be it 2**32.
        if opcode.name.endswith("PUT") and (argument or 0) > file.tell() - start:
            raise pickle.UnpicklingError(f"note number {argument} in so short a pickle")
    size = file.tell() - start
    file.seek(start)
    return InertUnpickler(io.BytesIO(file.read(size))).load()


def views(state: Any) -> dict[str, Strided]:
    """Check that an unpickled object is a flat state dict, and return it as a plain one.

    Raises:
        CheckpointError: it holds something else than names and tensors.
    """
    if not isinstance(state, dict):
        raise CheckpointError(f"it holds a {type(state).__name__}, not names and tensors; {SAFER}")
    for name, value in dict.items(state):  # not state.items(): the file may have set that
        if not isinstance(name, str) or not isinstance(value, Strided):
            kind = type(value).__name__
            raise CheckpointError(f"its entry {name!r} is a {kind}, not a tensor; {SAFER}")
    return dict(dict.items(state))


def arrays(
    tensors: Mapping[str, Strided], block: Callable[[Storage], np.ndarray]
) -> dict[str, np.ndarray]:
    """Turn views into arrays; tensors that share a block share memory.

    Args:
        tensors: what :func:`views` returned.
        block: fetches the numbers of a storage, one-dimensional.

    Raises:
        CheckpointError: a tensor reaches beyond its block.
    """
    blocks: dict[str, np.ndarray] = {}
    found = {}
    for name, view in tensors.items():
        if view.storage.key not in blocks:
            blocks[view.storage.key] = block(view.storage)
        found[name] = _view(name, blocks[view.storage.key], view)
    return found


def _view(name: str, block: np.ndarray, view: Strided) -> np.ndarray:
    pairs = list(zip(view.size, view.stride, strict=True))
    count = math.prod(view.size)
    last = view.offset + sum((size - 1) * stride for size, stride in pairs)
    if count > block.size or (count and last >= block.size):
        raise CheckpointError(f"tensor {name} reaches beyond its block of numbers")
    if not count:
        return np.empty(view.size, block.dtype)
    strides = [stride * block.itemsize for stride in view.stride]
    return np.lib.stride_tricks.as_strided(block[view.offset :], view.size, strides)
