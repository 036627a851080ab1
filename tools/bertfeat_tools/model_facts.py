"""What there is to say about a model folder: format, sizes, heads, licence, revision, sha256."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bertfeat.checkpoints import ModelFolder, SentenceModules, model_hash, read
from bertfeat.checkpoints.formats import FORMATS
from bertfeat.checkpoints.tensor_names import heads_of
from bertfeat.tokenization import Tokenizer

COMMIT = re.compile(r"[0-9a-f]{40}")


def facts(folder: Path) -> dict[str, Any]:
    """Describe a model, by name of the fact; what the folder does not tell is None.

    Raises:
        CheckpointError, ConfigError, VocabularyError: its files cannot be used.
    """
    model = read(folder)
    tokenizer = Tokenizer.from_folder(model.tokenizer_folder)
    files = FORMATS[model.format].weight_files(folder)
    config, tensors = model.config, model.tensors.values()
    return {
        "folder": str(folder),
        "format": model.format,
        "layers": config.num_hidden_layers,
        "hidden_size": config.hidden_size,
        "attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
        "hidden_act": config.hidden_act,
        "positions": config.max_position_embeddings,
        "vocabulary": tokenizer.vocab_size,
        "lowercase": tokenizer.lowercase,
        "parameters": sum(tensor.size for tensor in tensors),
        "number_format": ", ".join(sorted({tensor.dtype.name for tensor in tensors})),
        "heads": heads_of(model.tensors),
        "weights": [path.relative_to(folder).as_posix() for path in files],
        "bytes": sum(path.stat().st_size for path in files),
        "sha256": model_hash(folder),
        **_sentence(model, tokenizer),
        "licence": licence(folder),
        "revision": revision(folder),
    }


def licence(folder: Path) -> str | None:
    """Return the licence in the front matter of the folder's README."""
    return _front_matter(folder).get("license")


def revision(folder: Path) -> str | None:
    """Return the hub's commit, which its cache and its downloads note down."""
    if COMMIT.fullmatch(folder.name) and folder.parent.name == "snapshots":
        return folder.name
    for note in sorted((folder / ".cache/huggingface/download").glob("*.metadata")):
        if COMMIT.fullmatch(first := note.read_text("utf-8").split("\n")[0]):
            return first
    return None


def _sentence(model: ModelFolder, tokenizer: Tokenizer) -> dict[str, Any]:
    says = model.sentence or SentenceModules()
    limits = (says.max_seq_length, tokenizer.max_length, model.config.max_position_embeddings)
    dims = [len(says.pooling) * model.config.hidden_size, *(d.kernel.shape[1] for d in says.dense)]
    return {
        "dim": says.truncate_dim or dims[-1],
        "max_seq_length": min(next(n for n in limits if n), limits[-1]),
        "pooling": " + ".join(says.pooling) + ("" if model.sentence else " (nothing said)"),
        "dense": [f"{d.kernel.shape[0]} → {d.kernel.shape[1]} {d.activation}" for d in says.dense],
        "normalize": says.normalize,
        "prompts": dict(says.prompts),
        "default_prompt": says.default_prompt_name,
        "similarity": says.similarity,
    }


def _front_matter(folder: Path) -> Mapping[str, str]:
    """Return the plain ``key: value`` lines between the dashes that open a README."""
    readme = folder / "README.md"
    text = readme.read_text("utf-8", errors="replace") if readme.is_file() else ""
    found = re.match(r"---\r?\n(.*?)\r?\n---", text, re.DOTALL)
    return dict(re.findall(r"^(\w+): *(\S.*?) *\r?$", found[1] if found else "", re.MULTILINE))
