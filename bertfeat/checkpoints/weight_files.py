"""Find and read the weight files of Hugging Face and sentence-transformers folders.

``model.safetensors`` or ``pytorch_model.bin``, whole or in shards that an index file lists.  Other
kinds (``tf_model.h5``, ``flax_model.msgpack``, ONNX) are not read.
"""

from pathlib import Path

import numpy as np

from bertfeat.checkpoints.folder_files import inside, read_json
from bertfeat.checkpoints.pytorch_files import read_pytorch
from bertfeat.errors import CheckpointError

NAMES = ("model.safetensors", "pytorch_model.bin")
INDEX = ".index.json"
GIT_LFS = b"version https://git-lfs"


def find_weights(folder: Path) -> tuple[Path, ...]:
    """Return the weight files of a folder: one, or all shards; empty where there are none.

    Raises:
        CheckpointError: the index of the shards is damaged or a shard is missing.
    """
    for name in NAMES:
        if (folder / name).is_file():
            return (folder / name,)
        if (folder / f"{name}{INDEX}").is_file():
            return tuple(dict.fromkeys(_shard_of(folder / f"{name}{INDEX}").values()))
    return ()


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    """Read all tensors of a folder under the file's own names.

    Raises:
        CheckpointError: there is no weight file, or one is damaged or cut off.
    """
    paths = find_weights(folder)
    if not paths:
        raise CheckpointError(
            f"{folder} has no {' and no '.join(NAMES)} (nor a list of shards, *{INDEX}); it holds: "
            f"{', '.join(sorted(path.name for path in folder.glob('*'))) or 'nothing'}"
        )
    tensors: dict[str, np.ndarray] = {}
    for path in paths:
        tensors |= read_file(path)
    _check_index(folder, tensors)
    return tensors


def read_file(path: Path) -> dict[str, np.ndarray]:
    """Read one weight file, ``.safetensors`` or PyTorch's.

    Raises:
        CheckpointError: it is damaged or cut off; the message says how.
    """
    with path.open("rb") as file:
        if file.read(len(GIT_LFS)) == GIT_LFS:
            raise CheckpointError(
                f"{path} is a Git LFS pointer, not the weights; fetch them with git lfs pull"
            )
    return read_safetensors(path) if path.suffix == ".safetensors" else read_pytorch(path)


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Read a safetensors file, bfloat16 as ``ml_dtypes.bfloat16``.

    Raises:
        CheckpointError: it is damaged, cut off or holds a type that NumPy does not know.
    """
    import ml_dtypes  # noqa: F401  without it NumPy knows no bfloat16
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} ({path.stat().st_size} bytes) is damaged or cut off: {error}; fetch it again"
        ) from error


def write_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Write C-contiguous tensors; transformers asks for the mark ``format: pt``."""
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    mode = path.stat().st_mode  # save_file would leave it readable by its owner alone
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(mode)


def _shard_of(index: Path) -> dict[str, Path]:
    """Return for each tensor the shard that an index file names."""
    found = read_json(index).get("weight_map")
    if not isinstance(found, dict) or not found:
        raise CheckpointError(f"{index} has no weight_map from tensor names to files")
    shards = {name: inside(index.parent, file, index) for name, file in found.items()}
    missing = sorted({path.name for path in shards.values() if not path.is_file()})
    if missing:
        raise CheckpointError(f"{index} lists {', '.join(missing)}, which is not there")
    return shards


def _check_index(folder: Path, tensors: dict[str, np.ndarray]) -> None:
    for name in NAMES:
        if (folder / name).is_file():
            return
        index = folder / f"{name}{INDEX}"
        if index.is_file() and (absent := sorted(set(_shard_of(index)) - set(tensors))):
            raise CheckpointError(f"{index} lists tensors that no shard has: {', '.join(absent)}")
