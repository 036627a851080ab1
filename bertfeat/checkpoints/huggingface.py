"""Hugging Face folders: ``config.json`` and ``model.safetensors`` or ``pytorch_model.bin``."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.checkpoints import tensor_names
from bertfeat.checkpoints.folder_files import read_json, write_json
from bertfeat.checkpoints.model_folder import ModelFolder
from bertfeat.checkpoints.tensor_names import NameTable
from bertfeat.checkpoints.weight_files import find_weights, read_weights, write_safetensors
from bertfeat.config import EncoderConfig

CONFIG, WEIGHTS = "config.json", "model.safetensors"
# transformers: models/bert/modeling_bert.py
TABLE = NameTable(
    stems={
        "embeddings/word_embeddings": "bert.embeddings.word_embeddings.weight",
        "embeddings/position_embeddings": "bert.embeddings.position_embeddings.weight",
        "embeddings/token_type_embeddings": "bert.embeddings.token_type_embeddings.weight",
        "embeddings/layer_norm": "bert.embeddings.LayerNorm",
        "layers/{i}/attention/query": "bert.encoder.layer.{i}.attention.self.query",
        "layers/{i}/attention/key": "bert.encoder.layer.{i}.attention.self.key",
        "layers/{i}/attention/value": "bert.encoder.layer.{i}.attention.self.value",
        "layers/{i}/attention/output": "bert.encoder.layer.{i}.attention.output.dense",
        "layers/{i}/attention/layer_norm": "bert.encoder.layer.{i}.attention.output.LayerNorm",
        "layers/{i}/intermediate": "bert.encoder.layer.{i}.intermediate.dense",
        "layers/{i}/output": "bert.encoder.layer.{i}.output.dense",
        "layers/{i}/layer_norm": "bert.encoder.layer.{i}.output.LayerNorm",
        "pooler": "bert.pooler.dense",
        "masked_lm/transform": "cls.predictions.transform.dense",
        "masked_lm/layer_norm": "cls.predictions.transform.LayerNorm",
        "masked_lm/output_bias": "cls.predictions.bias",
        "masked_lm/decoder": "cls.predictions.decoder.weight",
        "next_sentence": "cls.seq_relationship",
        "classifier": "classifier",
        "span": "qa_outputs",
    },
    leaves={"kernel": ".weight", "bias": ".bias", "gamma": ".weight", "beta": ".bias"},
    separator=".",
    transposed=".weight",
)
DECODER_BIAS = "cls.predictions.decoder.bias"  # what transformers computes with if it is there
BUFFERS = (".position_ids", ".token_type_ids")
# Which heads a class of transformers has, the pooler apart.
ARCHITECTURES: dict[str, set[str]] = {
    "BertModel": set(),
    "BertForPreTraining": {"masked_lm", "next_sentence"},
    "BertForMaskedLM": {"masked_lm"},
    "BertForNextSentencePrediction": {"next_sentence"},
    "BertForSequenceClassification": {"classifier"},
    "BertForTokenClassification": {"classifier"},
    "BertForMultipleChoice": {"classifier"},
    "BertForQuestionAnswering": {"span"},
}
FOREIGN = ("_name_or_path", "torch_dtype", "transformers_version")


def holds_model(folder: Path) -> bool:
    """Tell whether a folder looks like one of Hugging Face's."""
    return (folder / CONFIG).is_file()


def read(folder: Path) -> ModelFolder:
    """Read a folder in Hugging Face's layout.

    Raises:
        CheckpointError: files are missing, damaged or cut off; TensorMismatch among them.
        ConfigError: the configuration asks for what cannot be.
    """
    raw = read_json(folder / CONFIG)
    config = EncoderConfig.from_dict(raw, str(folder / CONFIG))
    source = next(iter(find_weights(folder)), folder)
    stored = {n: a for n, a in read_weights(folder).items() if not f".{n}".endswith(BUFFERS)}
    table = table_of(stored, source)
    stored = _without_ties(stored, table)
    heads = tensor_names.heads_of(stored, table)
    if "masked_lm" in heads and raw.get("tie_word_embeddings") is False:
        heads = list(dict.fromkeys((*heads, "masked_lm/decoder")))
    labels = _labels_in(raw) or tensor_names.num_labels(stored, table)
    expected = tensor_names.expected_shapes(config, heads, labels)
    tensors = tensor_names.to_canonical(stored, table, expected, source)
    return ModelFolder(folder, "huggingface", config, raw, tensors)


def weight_files(folder: Path) -> tuple[Path, ...]:
    """Return the weight files of a folder."""
    return find_weights(folder)


def losses(model: ModelFolder) -> list[str]:
    """List what of a model the format cannot hold, sentence modules apart: nothing."""
    return []


def write(model: ModelFolder, folder: Path) -> None:
    """Write configuration and weights into a folder that has the tokenizer's files."""
    config = config_json(model)
    bare = config["architectures"] == ["BertModel"]
    table = TABLE.with_prefix("") if bare else TABLE
    stored = tensor_names.to_file(model.tensors, table)
    if "masked_lm/decoder" in model.tensors:
        stored[DECODER_BIAS] = stored["cls.predictions.bias"].copy()
    write_json(folder / CONFIG, config)
    write_safetensors(folder / WEIGHTS, stored)


def table_of(stored: Mapping[str, np.ndarray], source: object) -> NameTable:
    """Return the table for a file's names: its prefix, ``gamma``/``beta`` or ``weight``/``bias``.

    Raises:
        CheckpointError: the file has no BERT encoder, or several.
    """
    table = TABLE.adapted_to(stored, source)
    if any(name.endswith("LayerNorm.gamma") for name in stored):
        return replace(table, leaves={**table.leaves, "gamma": ".gamma", "beta": ".beta"})
    return table


def config_json(model: ModelFolder) -> dict[str, Any]:
    """Return the ``config.json`` of a model; foreign keys of its source are kept."""
    kept = {key: value for key, value in model.raw_config.items() if key not in FOREIGN}
    config = kept | model.config.to_dict() | {"model_type": "bert"}
    config["architectures"] = [architecture(model)]
    config["dtype"] = model.tensors["embeddings/word_embeddings"].dtype.name
    if "masked_lm/output_bias" in model.tensors:
        config["tie_word_embeddings"] = "masked_lm/decoder" not in model.tensors
    labels = tensor_names.num_labels(model.tensors)
    if "classifier/kernel" in model.tensors and _labels_in(config) != labels:
        config["id2label"] = {str(i): f"LABEL_{i}" for i in range(labels)}
        config["label2id"] = {f"LABEL_{i}": i for i in range(labels)}
    return config


def architecture(model: ModelFolder) -> str:
    """Return the class of transformers that has the model's heads; the source's own if it does."""
    heads = set(tensor_names.heads_of(model.tensors)) - {"pooler", "masked_lm/decoder"}
    named: list[str] = model.raw_config.get("architectures") or []
    for name in (*named, *ARCHITECTURES):
        if ARCHITECTURES.get(name) == heads:
            return name
    return max(ARCHITECTURES, key=lambda name: len(ARCHITECTURES[name] & heads))


def _without_ties(stored: Mapping[str, np.ndarray], table: NameTable) -> dict[str, np.ndarray]:
    """Leave out the masked-LM decoder where it is the word embeddings, and its second bias."""
    left = dict(stored)
    decoder, words = (
        str(table.file_name(name)) for name in ("masked_lm/decoder", "embeddings/word_embeddings")
    )
    if decoder in left and np.array_equal(left[decoder], left[words]):
        del left[decoder]
    bias = left.pop(decoder.removesuffix(".weight") + ".bias", None)
    if bias is not None:
        left[str(table.file_name("masked_lm/output_bias"))] = bias
    return left


def _labels_in(config: Mapping[str, Any]) -> int | None:
    """Return how many labels a configuration declares, if it does."""
    labels = config.get("id2label")
    found = len(labels) if isinstance(labels, dict) else config.get("num_labels")
    return found if isinstance(found, int) else None
