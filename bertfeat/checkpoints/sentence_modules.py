"""The modules behind the encoder in a sentence-transformers folder: Pooling, Dense, Normalize."""

from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.checkpoints.fit import Shape, check_fit
from bertfeat.checkpoints.folder_files import read_json, read_json_if_there, write_json
from bertfeat.checkpoints.model_folder import Dense, SentenceModules
from bertfeat.checkpoints.weight_files import find_weights, read_weights, write_safetensors
from bertfeat.errors import CheckpointError

# Their name, the key before 5.4, our name; in the order in which those keys concatenate.
POOLINGS = (
    ("cls", "pooling_mode_cls_token", "cls"),
    ("max", "pooling_mode_max_tokens", "max"),
    ("mean", "pooling_mode_mean_tokens", "mean"),
    ("mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len"),
    ("weightedmean", "pooling_mode_weightedmean_tokens", "weighted_mean"),
    ("lasttoken", "pooling_mode_lasttoken", "sep"),
)
# Keys that releases before 2.3 insist on or do not know.
ALWAYS_WRITTEN = ("cls", "max", "mean", "mean_sqrt_len")
ACTIVATIONS = {
    "identity": "torch.nn.modules.linear.Identity",
    "tanh": "torch.nn.modules.activation.Tanh",
    "gelu": "torch.nn.modules.activation.GELU",
    "relu": "torch.nn.modules.activation.ReLU",
    "sigmoid": "torch.nn.modules.activation.Sigmoid",
    "silu": "torch.nn.modules.activation.SiLU",
}
SENTENCE = "sentence_embedding"


def read(modules: list[tuple[str, Path]], hidden_size: int, source: Path) -> SentenceModules:
    """Read the modules behind the encoder.

    Args:
        modules: class name and place of each.
        hidden_size: of the encoder.
        source: ``modules.json``, for the message.

    Raises:
        CheckpointError: a module is not computed here, stands in another order, is damaged or does
            not fit the one before it.
    """
    kinds = [kind for kind, _ in modules if kind != "Dropout"]
    count = kinds.count("Dense")
    if kinds not in (["Pooling", *["Dense"] * count, *last] for last in ([], ["Normalize"])):
        raise CheckpointError(
            f"{source}: behind the encoder there must be a Pooling, then any number of Dense, then "
            f"perhaps a Normalize, not {', '.join(kinds) or 'nothing'}"
        )
    places = {kind: place for kind, place in modules}
    pooling, include_prompt = _read_pooling(places["Pooling"] / "config.json", hidden_size)
    dense = tuple(_read_dense(place) for kind, place in modules if kind == "Dense")
    _check_chain(dense, len(pooling) * hidden_size, source)
    if "Normalize" in places:
        _check_features(places["Normalize"] / "config.json")
    return SentenceModules(pooling, include_prompt, dense, "Normalize" in kinds)


def losses(sentence: SentenceModules) -> list[str]:
    """List what sentence-transformers has no module for."""
    known = {ours for _, _, ours in POOLINGS} | {"mean_max"}
    lost = [f"pooling {name}" for name in sentence.pooling if name not in known]
    return lost + [
        f"Dense activation {dense.activation}"
        for dense in sentence.dense
        if dense.activation not in ACTIVATIONS
    ]


def describe(sentence: SentenceModules) -> list[str]:
    """List what a format without sentence modules would lose.

    Lower-casing is not among it: the saved tokenizer does it.
    """
    cut = sentence.truncate_dim
    prompts = ", ".join(sorted(sentence.prompts))
    found = [
        f"pooling {' + '.join(sentence.pooling)}",
        "" if sentence.include_prompt else "include_prompt false",
        *("Dense {} → {}, {}".format(*d.kernel.shape, d.activation) for d in sentence.dense),
        "Normalize" if sentence.normalize else "",
        f"max_seq_length {sentence.max_seq_length}" if sentence.max_seq_length else "",
        f"prompts {prompts}" if any(sentence.prompts.values()) else "",
        f"default prompt {sentence.default_prompt_name}" if sentence.default_prompt_name else "",
        f"similarity {sentence.similarity}" if sentence.similarity else "",
        f"truncate_dim {cut}" if cut else "",
    ]
    return [line for line in found if line]


def write(sentence: SentenceModules, hidden_size: int, folder: Path) -> list[tuple[str, str]]:
    """Write the modules and return their class names and places, numbered from 1."""
    pooling = tuple(
        name for given in sentence.pooling
        for name in (("mean", "max") if given == "mean_max" else (given,))
    )  # fmt: skip
    write_json(folder / "1_Pooling" / "config.json",
               _pooling_json(pooling, hidden_size, sentence.include_prompt))  # fmt: skip
    places = [("Pooling", "1_Pooling")]
    for i, dense in enumerate(sentence.dense, start=2):
        places.append(("Dense", f"{i}_Dense"))
        _write_dense(dense, folder / f"{i}_Dense")
    if sentence.normalize:
        places.append(("Normalize", f"{len(places) + 1}_Normalize"))
    return places


def _read_pooling(path: Path, hidden_size: int) -> tuple[tuple[str, ...], bool]:
    raw = read_json(path)
    modes = raw.get("pooling_mode") or [mode for mode, key, _ in POOLINGS if raw.get(key)]
    modes = modes or ["mean"] if isinstance(modes, list) else [modes]
    ours = {mode: name for mode, _, name in POOLINGS}
    if unknown := [mode for mode in modes if not ours.get(str(mode))]:
        raise CheckpointError(f"{path}: pooling {unknown} is not computed here")
    size = raw.get("embedding_dimension", raw.get("word_embedding_dimension", hidden_size))
    if size != hidden_size:
        raise CheckpointError(f"{path} says {size} dimensions, the encoder has {hidden_size}")
    return tuple(str(ours[mode]) for mode in modes), raw.get("include_prompt", True) is not False


def _pooling_json(pooling: tuple[str, ...], hidden: int, include_prompt: bool) -> dict[str, Any]:
    """Return the keys before 5.4, which all releases read, unless the order needs the new one."""
    known = [(mode, key, ours) for mode, key, ours in POOLINGS if ours]
    if list(pooling) == [ours for _, _, ours in known if ours in pooling]:
        raw: dict[str, Any] = {"word_embedding_dimension": hidden} | {
            key: ours in pooling
            for _, key, ours in known
            if ours in ALWAYS_WRITTEN or ours in pooling
        }
    else:
        modes = {ours: mode for mode, _, ours in known}
        raw = {
            "embedding_dimension": hidden,
            "pooling_mode": [modes[name] for name in pooling if name in modes] or ["mean"],
        }
    return raw if include_prompt else raw | {"include_prompt": False}


def _read_dense(place: Path) -> Dense:
    path = place / "config.json"
    raw = read_json(path)
    _check_features(path)
    named = raw.get("activation_function", ACTIVATIONS["tanh"])
    known = {theirs.rpartition(".")[2]: ours for ours, theirs in ACTIVATIONS.items()}
    activation = known.get(str(named).rpartition(".")[2])
    if activation is None or not str(named).startswith("torch.nn.") or raw.get("use_residual"):
        raise CheckpointError(
            f"{path}: a Dense with activation {named!r}, use_residual={raw.get('use_residual')!r} "
            f"is not computed here; known are {', '.join(ACTIVATIONS.values())} without residual"
        )
    stored = read_weights(place)
    inputs, outputs = raw.get("in_features", 0), raw.get("out_features", 0)
    expected: dict[str, Shape] = {"linear.weight": (outputs, inputs)}
    if raw.get("bias", True):
        expected["linear.bias"] = (outputs,)
    check_fit(stored, expected, next(iter(find_weights(place)), place))
    return Dense(stored["linear.weight"].T, stored.get("linear.bias"), activation)


def _write_dense(dense: Dense, place: Path) -> None:
    inputs, outputs = dense.kernel.shape
    write_json(place / "config.json", {
        "in_features": inputs,
        "out_features": outputs,
        "bias": dense.bias is not None,
        "activation_function": ACTIVATIONS.get(dense.activation, ACTIVATIONS["identity"]),
    })  # fmt: skip
    tensors = {"linear.weight": np.ascontiguousarray(dense.kernel.T)}
    if dense.bias is not None:
        tensors["linear.bias"] = np.ascontiguousarray(dense.bias)
    write_safetensors(place / "model.safetensors", tensors)


def _check_chain(dense: tuple[Dense, ...], size: int, source: Path) -> None:
    for i, layer in enumerate(dense):
        if layer.kernel.shape[0] != size:
            raise CheckpointError(
                f"{source}: Dense number {i + 1} takes {layer.kernel.shape[0]} dimensions, "
                f"but {size} come out before it"
            )
        size = layer.kernel.shape[1]


def _check_features(path: Path) -> None:
    """Refuse a module that works on anything but the sentence's vector."""
    raw = read_json_if_there(path)
    for key in ("module_input_name", "module_output_name"):
        if raw.get(key) not in (None, SENTENCE):
            raise CheckpointError(f"{path}: {key}={raw[key]!r} is not computed here")
