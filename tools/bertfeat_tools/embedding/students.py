"""What a student keeps of a model: some of its layers, some of its neurons."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bertfeat.checkpoints import ModelFolder
from bertfeat.config import EncoderConfig
from bertfeat.errors import InputError

LAYER = re.compile(r"^layers/(\d+)/")
KERNELS = {
    "attention/query": ("hidden", "heads"),
    "attention/key": ("hidden", "heads"),
    "attention/value": ("hidden", "heads"),
    "attention/output": ("heads", "hidden"),
    "intermediate": ("hidden", "inner"),
    "output": ("inner", "hidden"),
}
"""What a layer's kernels read and what they give."""


def with_layers(model: ModelFolder, layers: Sequence[int]) -> ModelFolder:
    """Return a model with some of its layers, in the order given.

    Args:
        model: as read.
        layers: numbers from 1, the lowest, to N.

    Raises:
        InputError: there is no such layer, or one comes twice.
    """
    count = model.config.num_hidden_layers
    if len(set(layers)) < len(layers) or not all(1 <= layer <= count for layer in layers):
        raise InputError(
            f"expected different layers of {model.folder} from 1 to {count}, got "
            f"{', '.join(map(str, layers))}; choose among them"
        )
    places = {layer - 1: place for place, layer in enumerate(layers)}
    tensors = {}
    for name, tensor in model.tensors.items():
        found = LAYER.match(name)
        if found is None:
            tensors[name] = tensor
        elif int(found[1]) in places:
            tensors[LAYER.sub(f"layers/{places[int(found[1])]}/", name)] = tensor
    return replace(
        model, tensors=tensors, config=replace(model.config, num_hidden_layers=len(layers)),
        raw_config={**model.raw_config, "num_hidden_layers": len(layers)},
    )  # fmt: skip


def with_hidden_size(model: ModelFolder, size: int) -> ModelFolder:
    """Return a narrower model: of its dimensions, heads and inner neurons those of most weight.

    Heads keep their size; heads and inner neurons become fewer as the dimensions do.  The weight
    of a dimension is the sum of squares of what reads it, that of a head or an inner neuron the
    product of the norms of what it reads and what it gives.  Heads of tasks are left out.

    Args:
        model: as read.
        size: of the hidden states, a multiple of the head's.

    Raises:
        InputError: it is none, or not below the model's.
    """
    config = model.config
    if size % config.head_size or not 0 < size < config.hidden_size:
        raise InputError(
            f"expected a hidden size below {config.hidden_size} of {model.folder} and a multiple "
            f"of its heads' {config.head_size}, got {size}; choose one of those"
        )
    sizes: dict[str, Any] = {
        "hidden_size": size,
        "num_attention_heads": size // config.head_size,
        "intermediate_size": config.intermediate_size * size // config.hidden_size,
    }
    tensors = {name: np.asarray(tensor, np.float32) for name, tensor in model.tensors.items()
               if name.startswith(("embeddings/", "layers/", "pooler/"))}  # fmt: skip
    narrow = replace(config, **sizes)
    kept = {"hidden": heaviest(read_of(tensors), size)}
    layers = [inner_places(tensors, place, narrow) for place in range(config.num_hidden_layers)]
    tensors = {name: cut(name, tensor, kept, layers) for name, tensor in tensors.items()}
    return replace(model, tensors=tensors, config=narrow, raw_config={**model.raw_config, **sizes})


def cut(
    name: str, tensor: np.ndarray, kept: Mapping[str, np.ndarray],
    layers: Sequence[Mapping[str, np.ndarray]],
) -> np.ndarray:  # fmt: skip
    """Return a tensor at the places kept: of the last axis, and of a kernel's first."""
    found = LAYER.match(name)
    owner, _, leaf = LAYER.sub("", name).rpartition("/")
    places = {**kept, **(layers[int(found[1])] if found else {})}
    source, target = KERNELS.get(owner, ("hidden", "hidden"))
    tensor = tensor[..., places[target]]
    return tensor[places[source]] if leaf == "kernel" else tensor


def read_of(tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return how much of each dimension the layers read, float (H,)."""
    readers = tuple(f"{part}/kernel" for part, (source, _) in KERNELS.items() if source == "hidden")
    totals = [(tensor**2).sum(axis=1) for name, tensor in tensors.items()
                   if name.endswith(readers)]  # fmt: skip
    return np.asarray(np.sum(totals, axis=0))


def inner_places(
    tensors: Mapping[str, np.ndarray], layer: int, narrow: EncoderConfig
) -> dict[str, np.ndarray]:
    """Return the heads' dimensions and the inner neurons that a narrower layer keeps."""
    energy = {part: tensors[f"layers/{layer}/{part}/kernel"] ** 2 for part in KERNELS}
    size = narrow.head_size
    read, given = (
        total.reshape(-1, size).sum(axis=1)
        for total in (energy["attention/value"].sum(axis=0), energy["attention/output"].sum(axis=1))
    )
    heads = heaviest(read * given, narrow.num_attention_heads)
    inner = energy["intermediate"].sum(axis=0) * energy["output"].sum(axis=1)
    return {
        "heads": (heads[:, None] * size + np.arange(size)).ravel(),
        "inner": heaviest(inner, narrow.intermediate_size),
    }


def heaviest(weights: np.ndarray, count: int) -> np.ndarray:
    """Return the places of the greatest weights, ascending."""
    return np.sort(np.argsort(-weights, kind="stable")[:count])
