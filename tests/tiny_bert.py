"""Write small Hugging Face BERT folders with random weights, from NumPy and safetensors alone."""

import json
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = (
    "the", "cat", "dog", "sat", "on", "mat", "ran", "in", "sun", "rain", "is", "was", "big",
    "small", "red", "blue", "hello", "world", "one", "two", "three", "and", "not", "he", "she",
    "it", "they",
)  # fmt: skip
VOCABULARY = (
    *SPECIALS, *string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase),
    *WORDS, *".,!?'",
)  # fmt: skip
SPECIAL_NAMES = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
CONFIG: dict[str, Any] = {
    "model_type": "bert",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "initializer_range": 0.02,
    "pad_token_id": 0,
}
ARCHITECTURES = {
    "classifier": "BertForSequenceClassification",
    "span": "BertForQuestionAnswering",
    "next_sentence": "BertForPreTraining",
    "masked_lm": "BertForMaskedLM",
}


def write_bert(
    folder: Path,
    *,
    seed: int = 0,
    heads: Sequence[str] = ("pooler",),
    vocabulary: Sequence[str] = VOCABULARY,
    lowercase: bool = True,
    num_labels: int = 2,
    **overrides: Any,
) -> Path:
    """Write ``config.json``, ``model.safetensors`` and the tokenizer's files; return ``folder``.

    Args:
        heads: any of ``pooler masked_lm next_sentence classifier span``; with another than the
            pooler the encoder's names carry the prefix ``bert.``, as Hugging Face saves them.
        overrides: keys of ``config.json``; a value of None removes the key.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = CONFIG | {"vocab_size": len(vocabulary)} | overrides
    found = [name for head, name in ARCHITECTURES.items() if head in heads]
    config["architectures"] = found[:1] or ["BertModel"]
    if "classifier" in heads:
        config.setdefault("id2label", {str(i): f"LABEL_{i}" for i in range(num_labels)})
        config.setdefault("label2id", {f"LABEL_{i}": i for i in range(num_labels)})
    _write_json(folder / "config.json", {k: v for k, v in config.items() if v is not None})
    rng = np.random.default_rng(seed)
    shapes = encoder_shapes(config, pooler="pooler" in heads)
    if found:
        shapes = {f"bert.{name}": shape for name, shape in shapes.items()}
    shapes |= head_shapes(config, heads, num_labels)
    tensors = {name: _random(rng, name, shape) for name, shape in shapes.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    write_tokenizer(folder, vocabulary, lowercase, config["max_position_embeddings"])
    return folder


def write_tokenizer(
    folder: Path, vocabulary: Sequence[str], lowercase: bool, max_length: int
) -> None:
    """Write ``vocab.txt``, ``tokenizer_config.json`` and ``special_tokens_map.json``."""
    specials = dict(zip(SPECIAL_NAMES, SPECIALS, strict=True))
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in vocabulary), "utf-8")
    _write_json(folder / "special_tokens_map.json", specials)
    _write_json(
        folder / "tokenizer_config.json",
        specials
        | {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": lowercase,
            "model_max_length": max_length,
        },
    )


def encoder_shapes(config: dict[str, Any], *, pooler: bool) -> dict[str, tuple[int, ...]]:
    """Hugging Face's names and shapes of the encoder's tensors, weights as [out, in]."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], hidden),
        "embeddings.position_embeddings.weight": (config["max_position_embeddings"], hidden),
        "embeddings.token_type_embeddings.weight": (config.get("type_vocab_size") or 2, hidden),
        **_norm("embeddings.LayerNorm", hidden),
    }
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}"
        for name in ("query", "key", "value"):
            shapes |= _dense(f"{layer}.attention.self.{name}", hidden, hidden)
        shapes |= _dense(f"{layer}.attention.output.dense", hidden, hidden)
        shapes |= _norm(f"{layer}.attention.output.LayerNorm", hidden)
        shapes |= _dense(f"{layer}.intermediate.dense", inner, hidden)
        shapes |= _dense(f"{layer}.output.dense", hidden, inner)
        shapes |= _norm(f"{layer}.output.LayerNorm", hidden)
    return shapes | (_dense("pooler.dense", hidden, hidden) if pooler else {})


def head_shapes(
    config: dict[str, Any], heads: Sequence[str], num_labels: int
) -> dict[str, tuple[int, ...]]:
    """Hugging Face's names and shapes of the heads; the masked-LM decoder is tied, so absent."""
    hidden = config["hidden_size"]
    known = {
        "pooler": {},
        "masked_lm": {
            "cls.predictions.bias": (config["vocab_size"],),
            **_dense("cls.predictions.transform.dense", hidden, hidden),
            **_norm("cls.predictions.transform.LayerNorm", hidden),
        },
        "next_sentence": _dense("cls.seq_relationship", 2, hidden),
        "classifier": _dense("classifier", num_labels, hidden),
        "span": _dense("qa_outputs", 2, hidden),
    }
    return {name: shape for head in heads for name, shape in known[head].items()}


def _dense(name: str, outputs: int, inputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, size: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def _random(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values large enough that each tensor shows in the output."""
    values = rng.normal(0.0, 0.2, shape).astype(np.float32)
    return values + np.float32(1) if name.endswith("LayerNorm.weight") else values


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
