"""Write a BERT folder as llama.cpp's GGUF file, its matrices in q8_0."""

import json
from pathlib import Path
from typing import Any

import numpy as np

SPECIALS = {"[CLS]": "cls", "[SEP]": "sep", "[UNK]": "unk", "[PAD]": "pad", "[MASK]": "mask"}
UNREAD = ("pooler.dense", "embeddings.position_ids")


def write_gguf(model: Path, file: Path) -> None:
    """Write ``model``, a Hugging Face folder of an uncased BERT with mean pooling, to ``file``."""
    from gguf import GGUFWriter

    config = json.loads((model / "config.json").read_text("utf-8"))
    vocabulary = (model / "vocab.txt").read_text("utf-8").splitlines()
    writer = GGUFWriter(file, "bert")
    _write_sizes(writer, config)
    _write_vocabulary(writer, vocabulary)
    _write_tensors(writer, model, config["num_hidden_layers"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_sizes(writer: Any, config: dict[str, Any]) -> None:
    from gguf import LlamaFileType, PoolingType

    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(PoolingType.MEAN)
    writer.add_token_type_count(config["type_vocab_size"])
    writer.add_file_type(LlamaFileType.MOSTLY_Q8_0)


def _write_vocabulary(writer: Any, vocabulary: list[str]) -> None:
    from gguf import TokenType

    control = [token in SPECIALS or token.startswith("[unused") for token in vocabulary]
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(list(map(_as_llama_spells, vocabulary, control)))
    writer.add_token_types([TokenType.CONTROL if c else TokenType.NORMAL for c in control])
    for token, name in SPECIALS.items():
        if name != "cls":
            getattr(writer, f"add_{name}_token_id")(vocabulary.index(token))
    writer.add_bos_token_id(vocabulary.index("[CLS]"))
    writer.add_eos_token_id(vocabulary.index("[SEP]"))


def _as_llama_spells(token: str, is_control: bool) -> str:
    """Llama.cpp marks what begins a word, BERT what goes on."""
    if is_control:
        return token
    return token[2:] if token.startswith("##") else f"\u2581{token}"


def _write_tensors(writer: Any, model: Path, layers: int) -> None:
    from gguf import MODEL_ARCH, GGMLQuantizationType, get_tensor_name_map
    from gguf.quants import quantize
    from safetensors.numpy import load_file

    names = get_tensor_name_map(MODEL_ARCH.BERT, layers)
    for name, values in load_file(model / "model.safetensors").items():
        if name.startswith(UNREAD):
            continue
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        kind = GGMLQuantizationType.F32
        if values.ndim == 2 and not target.startswith(("position_embd", "token_types")):
            kind = GGMLQuantizationType.Q8_0
        writer.add_tensor(target, quantize(values.astype(np.float32), kind), raw_dtype=kind)
