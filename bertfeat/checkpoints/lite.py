"""Lite folders: a model converted once to int8, to be run by LiteRT and little else.

``lite.json`` says what the model was and how its sentence vectors are made, ``graph.tflite`` holds
the layers, ``tensors/`` the embeddings and the heads as they were, one NumPy file each, mapped into
memory and so shared by all processes that serve the model.  The weights cannot be had back.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.checkpoints.cache import sha256_of
from bertfeat.checkpoints.folder_files import read_json, write_json
from bertfeat.checkpoints.model_folder import Dense, ModelFolder, SentenceModules
from bertfeat.config import EncoderConfig
from bertfeat.engine.lite_runner import TABLES
from bertfeat.errors import CheckpointError

FORMAT = 1
DESCRIPTION, CONFIG, GRAPH, TENSORS = "lite.json", "config.json", "graph.tflite", "tensors"
HEADS = ("pooler", "next_sentence", "classifier", "span")


def holds_model(folder: Path) -> bool:
    """Tell whether a folder looks like a lite one."""
    return (folder / DESCRIPTION).is_file()


def read(folder: Path) -> ModelFolder:
    """Read a lite folder; its tensors are the embeddings, the heads and no layers.

    Raises:
        CheckpointError: files are missing, damaged or of another version.
        ConfigError: the configuration asks for what cannot be.
    """
    description = read_json(folder / DESCRIPTION)
    if description.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder / DESCRIPTION} has format {description.get('format')!r}, this version reads "
            f"{FORMAT}; convert the model anew: bertfeat models convert MODEL FOLDER --to lite"
        )
    raw = read_json(folder / CONFIG)
    _check_graph(folder, description)
    names = description.get("tensors", [])
    tensors = {name: _load(folder, name) for name in names}
    return ModelFolder(
        folder=folder,
        format="lite",
        config=EncoderConfig.from_dict(raw, str(folder / CONFIG)),
        raw_config=raw,
        tensors=tensors,
        sentence=_sentence(description.get("sentence"), folder, tensors),
    )


def weight_files(folder: Path) -> tuple[Path, ...]:
    """Return the files that hold weights."""
    return (folder / GRAPH, *sorted((folder / TENSORS).glob("*.npy")))


def recorded_hash(folder: Path) -> str:
    """Return the sha256 of the weights that a lite folder was made from."""
    return str(read_json(folder / DESCRIPTION).get("model_hash"))


def fidelity(folder: Path) -> dict[str, Any] | None:
    """Return what :func:`note_fidelity` wrote down, if anything."""
    noted: dict[str, Any] | None = read_json(folder / DESCRIPTION).get("fidelity")
    return noted


def note_fidelity(folder: Path, figures: dict[str, Any]) -> None:
    """Write into a lite folder how faithful its vectors are."""
    description = read_json(folder / DESCRIPTION)
    write_json(folder / DESCRIPTION, description | {"fidelity": figures})


def kept(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the tensors that are kept as they are: the embeddings and the heads."""

    def keeps(name: str) -> bool:
        return name.removeprefix("embeddings/") in TABLES or name.partition("/")[0] in HEADS

    return {name: array for name, array in tensors.items() if keeps(name)}


def losses(model: ModelFolder) -> list[str]:
    """List what of a model the format cannot hold."""
    groups = {name.partition("/")[0] for name in model.tensors}
    return ["the masked-LM head"] if "masked_lm" in groups else []


def write(model: ModelFolder, folder: Path) -> None:
    """Convert a model and write everything but the tokenizer."""
    from bertfeat.checkpoints.hashing import model_hash
    from bertfeat.engine.lite_convert import convert

    (folder / GRAPH).write_bytes(convert(model.config, model.tensors))
    sentence = asdict(model.sentence) if model.sentence else None
    arrays = kept(model.tensors)
    for number, dense in enumerate(model.sentence.dense if model.sentence else ()):
        arrays[f"dense/{number}/kernel"] = dense.kernel
        if dense.bias is not None:
            arrays[f"dense/{number}/bias"] = dense.bias
    if sentence:
        sentence["prompts"] = dict(sentence["prompts"])
        sentence["dense"] = [dense["activation"] for dense in sentence["dense"]]
    for name, array in arrays.items():
        path = _tensor_path(folder, name)
        path.parent.mkdir(exist_ok=True)
        np.save(path, np.ascontiguousarray(array, np.float32), allow_pickle=False)
    write_json(folder / CONFIG, dict(model.raw_config) | model.config.to_dict())
    write_json(folder / DESCRIPTION, {
        "format": FORMAT,
        "model_hash": model_hash(model.folder),
        "graph_sha256": sha256_of(folder / GRAPH),
        "tensors": sorted(arrays),
        "sentence": sentence,
    })  # fmt: skip


def _check_graph(folder: Path, description: dict[str, Any]) -> None:
    path = folder / GRAPH
    if not path.is_file() or sha256_of(path) != description.get("graph_sha256"):
        raise CheckpointError(
            f"{path} is missing, damaged or cut off: its sha256 is not the one in {DESCRIPTION}; "
            "convert the model anew"
        )


def _load(folder: Path, name: str) -> np.ndarray:
    path = _tensor_path(folder, name)
    try:
        tensor: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CheckpointError(f"{path} is missing, damaged or cut off: {error}") from error
    return tensor


def _sentence(raw: Any, folder: Path, tensors: dict[str, np.ndarray]) -> SentenceModules | None:
    if raw is None:
        return None
    dense = tuple(
        Dense(tensors[f"dense/{n}/kernel"], tensors.get(f"dense/{n}/bias"), activation)
        for n, activation in enumerate(raw["dense"])
    )
    return SentenceModules(**raw | {"dense": dense, "pooling": tuple(raw["pooling"])})


def _tensor_path(folder: Path, name: str) -> Path:
    return folder / TENSORS / f"{name.replace('/', '.')}.npy"
