"""Google's TensorFlow 1 checkpoints: ``bert_model.ckpt``, ``bert_config.json``, ``vocab.txt``.

Read through TensorFlow's own reader and written by its own operation.  TensorFlow 2 object
checkpoints (Model Garden) are not read.
"""

import os
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from bertfeat.checkpoints import tensor_names
from bertfeat.checkpoints.folder_files import read_json, write_json
from bertfeat.checkpoints.model_folder import ModelFolder
from bertfeat.checkpoints.tensor_names import NameTable
from bertfeat.config import EncoderConfig
from bertfeat.errors import CheckpointError

CONFIG, CHECKPOINT = "bert_config.json", "bert_model.ckpt"
TOKENIZER_FILES = ("vocab.txt", "tokenizer_config.json")
# google-research/bert: modeling.py, run_pretraining.py, run_classifier.py, run_squad.py
TABLE = NameTable(
    stems={
        "embeddings/word_embeddings": "bert/embeddings/word_embeddings",
        "embeddings/position_embeddings": "bert/embeddings/position_embeddings",
        "embeddings/token_type_embeddings": "bert/embeddings/token_type_embeddings",
        "embeddings/layer_norm": "bert/embeddings/LayerNorm",
        "layers/{i}/attention/query": "bert/encoder/layer_{i}/attention/self/query",
        "layers/{i}/attention/key": "bert/encoder/layer_{i}/attention/self/key",
        "layers/{i}/attention/value": "bert/encoder/layer_{i}/attention/self/value",
        "layers/{i}/attention/output": "bert/encoder/layer_{i}/attention/output/dense",
        "layers/{i}/attention/layer_norm": "bert/encoder/layer_{i}/attention/output/LayerNorm",
        "layers/{i}/intermediate": "bert/encoder/layer_{i}/intermediate/dense",
        "layers/{i}/output": "bert/encoder/layer_{i}/output/dense",
        "layers/{i}/layer_norm": "bert/encoder/layer_{i}/output/LayerNorm",
        "pooler": "bert/pooler/dense",
        "masked_lm/transform": "cls/predictions/transform/dense",
        "masked_lm/layer_norm": "cls/predictions/transform/LayerNorm",
        "masked_lm/output_bias": "cls/predictions/output_bias",
        "next_sentence/kernel": "cls/seq_relationship/output_weights",
        "next_sentence/bias": "cls/seq_relationship/output_bias",
        "classifier/kernel": "output_weights",
        "classifier/bias": "output_bias",
        "span/kernel": "cls/squad/output_weights",
        "span/bias": "cls/squad/output_bias",
    },
    leaves={"kernel": "/kernel", "bias": "/bias", "gamma": "/gamma", "beta": "/beta"},
    separator="/",
    transposed="output_weights",
)
OPTIMIZER = re.compile(
    r"(^|/)(adam_[mv]|Adam(_1)?|LAMB(_1)?|beta[12]_power|global_step|loss_scale|(bad|good)_steps)$"
    r"|AdamWeightDecayOptimizer"
)
LAYER_NORM_EPS = 1e-12  # google-research/bert has no key for it
ACTIVATIONS = ("gelu", "relu", "tanh", "linear")
KEYS = (
    "attention_probs_dropout_prob", "hidden_act", "hidden_dropout_prob", "hidden_size",
    "initializer_range", "intermediate_size", "max_position_embeddings", "num_attention_heads",
    "num_hidden_layers", "type_vocab_size", "vocab_size",
)  # fmt: skip


def holds_model(folder: Path) -> bool:
    """Tell whether a folder looks like one of Google's."""
    return (folder / CONFIG).is_file() or any(folder.glob("*.ckpt*.index"))


def read(folder: Path) -> ModelFolder:
    """Read a folder of Google's.

    Raises:
        CheckpointError: files are missing, damaged or cut off; TensorMismatch among them.
        ConfigError: the configuration asks for what cannot be.
    """
    raw = read_json(folder / CONFIG)
    config = EncoderConfig.from_dict(raw, str(folder / CONFIG), google=True)
    prefix = find_checkpoint(folder)
    stored = _read_tensors(prefix)
    table = TABLE.adapted_to(stored, prefix)
    heads, labels = tensor_names.heads_of(stored, table), tensor_names.num_labels(stored, table)
    expected = tensor_names.expected_shapes(config, heads, labels)
    tensors = tensor_names.to_canonical(stored, table, expected, prefix)
    return ModelFolder(folder, "google", config, raw, tensors)


def find_checkpoint(folder: Path) -> Path:
    """Return the prefix of the folder's checkpoint.

    That is ``bert_model.ckpt``, else the only one there, else the one that the file ``checkpoint``
    of a training run names.

    Raises:
        CheckpointError: there is none, or there are several.
    """
    prefixes = {path.name.removesuffix(".index") for path in folder.glob("*.index")}
    state = folder / "checkpoint"
    named = re.search(r'^model_checkpoint_path: "(.+)"', _text(state), re.MULTILINE)
    last = Path(named[1]).name if named else ""
    choices: list[str] = [CHECKPOINT, last, *(prefixes if len(prefixes) == 1 else ())]
    for choice in choices:
        if choice in prefixes:
            return folder / choice
    raise CheckpointError(
        f"{folder} must hold one checkpoint, {CHECKPOINT}.index beside {CHECKPOINT}.data-*; "
        f"it holds {', '.join(sorted(prefixes)) or 'none'}"
    )


def weight_files(folder: Path) -> tuple[Path, ...]:
    """Return the files of the folder's checkpoint, the index last."""
    prefix = find_checkpoint(folder)
    return (*sorted(folder.glob(f"{prefix.name}.data-*")), folder / f"{prefix.name}.index")


def losses(model: ModelFolder) -> list[str]:
    """List what of a model Google's format cannot hold, sentence modules apart."""
    config, known = model.config, ", ".join(ACTIVATIONS)
    lost = [f"tensor {name}" for name in model.tensors if TABLE.file_name(name) is None]
    if config.layer_norm_eps != LAYER_NORM_EPS:
        lost.append(f"layer_norm_eps {config.layer_norm_eps} (Google's code takes 1e-12)")
    if config.hidden_act not in ACTIVATIONS:
        lost.append(f"hidden_act {config.hidden_act} (Google's code knows {known})")
    if config.is_decoder:
        lost.append("is_decoder (Google's code attends both ways)")
    if "classifier/kernel" in model.tensors:
        lost += _classifier_losses(model.raw_config)
    return lost


def _classifier_losses(raw: Mapping[str, Any]) -> list[str]:
    """List what a configuration says about a classifier beyond its size."""
    labels = list((raw.get("id2label") or {}).values())
    kind = "".join((raw.get("architectures") or ["BertForSequenceClassification"])[:1])
    activation = (raw.get("sentence_transformers") or {}).get("activation_fn")
    return [
        *([f"labels {', '.join(map(str, labels))}"] if labels != _plain(len(labels)) else []),
        *([f"that it is a {kind}"] if kind != "BertForSequenceClassification" else []),
        *([f"activation {activation}"] if activation else []),
    ]


def _plain(count: int) -> list[str]:
    return [f"LABEL_{i}" for i in range(count)]


def write(model: ModelFolder, folder: Path) -> None:
    """Write configuration and checkpoint into a folder that has the tokenizer's files."""
    write_json(folder / CONFIG, _config(model))
    tensors = tensor_names.to_file(model.tensors, TABLE)
    tensorflow = _tensorflow()
    with tensorflow.device("CPU:0"):
        tensorflow.raw_ops.SaveV2(
            prefix=str(folder / CHECKPOINT),
            tensor_names=list(tensors),
            shape_and_slices=[""] * len(tensors),
            tensors=list(tensors.values()),
        )
    for path in folder.glob("*"):
        if path.name not in (CONFIG, *TOKENIZER_FILES) and not path.name.startswith(CHECKPOINT):
            path.unlink()


def _config(model: ModelFolder) -> dict[str, Any]:
    """Return Google's keys; what its code does not know only where it is not its constant."""
    ours = model.config.to_dict()
    extra = {"layer_norm_eps": LAYER_NORM_EPS, "pad_token_id": 0}
    return {key: ours[key] for key in KEYS} | {
        key: ours[key] for key, constant in extra.items() if ours[key] != constant
    }


def _read_tensors(prefix: Path) -> dict[str, np.ndarray]:
    tensorflow = _tensorflow()
    try:
        reader = tensorflow.train.load_checkpoint(str(prefix))
        names = [n for n in reader.get_variable_to_shape_map() if not OPTIMIZER.search(n)]
        if any(".ATTRIBUTES" in name for name in names):
            raise CheckpointError(f"{prefix} is a TensorFlow 2 object checkpoint, not Google's TF1")
        return {name: np.asarray(reader.get_tensor(name)) for name in sorted(names)}
    except (tensorflow.errors.OpError, IndexError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{prefix}.* is missing, damaged or cut off: {error}") from error


def _text(path: Path) -> str:
    return path.read_text("utf-8", errors="replace") if path.is_file() else ""


def _tensorflow() -> ModuleType:
    """Import TensorFlow without its chatter."""
    from bertfeat.engine.backend import quiet_stderr

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet_stderr():
        return import_module("tensorflow")
