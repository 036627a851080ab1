"""Read ``pytorch_model.bin``: the zip of PyTorch 1.6 and later, and the format before it.

TorchScript archives and pickled modules are refused: they are programs, not weights.
"""

import io
import os
import struct
import sys
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from bertfeat.checkpoints.pickle_reader import SAFER, Storage, arrays, unpickle, views
from bertfeat.errors import CheckpointError

LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
MAX_PICKLE_BYTES = 1 << 26


def read_pytorch(path: Path) -> dict[str, np.ndarray]:
    """Read the state dict in a file of ``torch.save``.

    Returns:
        Names to read-only arrays in the file's own types, bfloat16 as ``ml_dtypes.bfloat16``.

    Raises:
        CheckpointError: the file is damaged or cut off, holds more than plain tensors, or asks for
            something to be called.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(LEGACY_START)) == LEGACY_START:
                return _read_legacy(file)
            if not zipfile.is_zipfile(file):
                raise CheckpointError("it is not a file of torch.save, or its end is missing")
            with zipfile.ZipFile(file) as archive:
                return _read_zip(archive)
    except CheckpointError as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    except Exception as error:  # a damaged pickle can raise anything
        reason = f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{path} is damaged or cut off ({reason}); fetch it again") from error


def _read_zip(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    entries = {info.filename: info for info in archive.infolist()}
    root = _root(entries)
    order = "little"
    if f"{root}byteorder" in entries:
        order = archive.read(f"{root}byteorder").decode("ascii")

    def block(storage: Storage) -> np.ndarray:
        info = entries[f"{root}data/{storage.key}"]
        if info.file_size != storage.nbytes or info.compress_type != zipfile.ZIP_STORED:
            raise CheckpointError(f"block {storage.key} has another size than its tensors say")
        return _numbers(archive.read(info), storage, order)

    pickled = io.BytesIO(archive.read(f"{root}data.pkl"))
    return arrays(views(unpickle(pickled)), block)


def _root(entries: dict[str, zipfile.ZipInfo]) -> str:
    """Return the name of the folder inside the archive, with its slash."""
    roots = [name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl")]
    if len(roots) != 1 or f"{roots[0]}constants.pkl" in entries:
        raise CheckpointError(f"it is an archive of another kind (TorchScript?); {SAFER}")
    if entries[f"{roots[0]}data.pkl"].file_size > MAX_PICKLE_BYTES:
        raise CheckpointError(f"its pickle is larger than {MAX_PICKLE_BYTES} bytes")
    return roots[0]


def _read_legacy(file: IO[bytes]) -> dict[str, np.ndarray]:
    file.seek(0)
    _magic, _protocol, system = (unpickle(file) for _ in range(3))
    order = "little" if system["little_endian"] else "big"
    tensors = views(unpickle(file))
    storages = {view.storage.key: view.storage for view in tensors.values()}
    blocks = {}
    end = os.fstat(file.fileno()).st_size
    for key in unpickle(file):
        (numel,) = struct.unpack("<q" if order == "little" else ">q", file.read(8))
        if numel != storages[key].numel or storages[key].nbytes > end:
            raise CheckpointError(f"block {key} has another size than its tensors say")
        blocks[key] = _numbers(file.read(storages[key].nbytes), storages[key], order)
    return arrays(tensors, lambda storage: blocks[storage.key])


def _numbers(data: bytes, storage: Storage, order: str) -> np.ndarray:
    array = np.frombuffer(data, storage.dtype, storage.numel)
    return array if order == sys.byteorder else array.byteswap()
