"""Which files of a repository on the hub are downloaded: what we read, and nothing else."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from bertfeat.errors import CheckpointError

MODULE_FOLDER = re.compile(r"\d+_\w+")
WEIGHTS = (("model.safetensors", "model-*-of-*.safetensors"), ("pytorch_model*.bin",))
SMALL = (
    "*.index.json",
    "LICENSE*",
    "README.md",
    "added_tokens.json",
    "config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "sentence_*_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)


def choose(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Choose from a repository's files the small ones and the weights that we read.

    Looks at the top and into module folders such as ``1_Pooling``; safetensors go before pickles.

    Returns:
        The small files, ``config.json`` first, and the weights.

    Raises:
        CheckpointError: no ``config.json`` or no weights lie at the top.
    """
    folders: dict[str, list[str]] = {}
    for name in names:
        folders.setdefault(str(PurePosixPath(name).parent), []).append(name)
    wanted = [folders[f] for f in sorted(folders) if f == "." or MODULE_FOLDER.fullmatch(f)]
    small = [name for files in wanted for name in _matching(files, SMALL)]
    if "config.json" not in small or not _weights(folders["."]):
        raise CheckpointError(
            "expected config.json and model.safetensors or pytorch_model.bin at the top of the "
            f"repository, got {', '.join(sorted(names)) or 'no files'}"
        )
    small.sort(key=lambda name: name != "config.json")
    return small, [name for files in wanted for name in _weights(files)]


def _matching(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    return [
        name
        for name in names
        if any(fnmatchcase(PurePosixPath(name).name, pattern) for pattern in patterns)
    ]


def _weights(names: Sequence[str]) -> list[str]:
    return next((found for kind in WEIGHTS if (found := _matching(names, kind))), [])
