"""A tokenizer to the files that ``transformers``, ``tokenizers`` and Google's code read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from bertfeat.tokenization import casing
from bertfeat.tokenization.vocabulary import write_vocabulary


def save(
    tokenizer: Tokenizer, config: Mapping[str, Any], specials: Mapping[str, str], folder: Path
) -> None:
    """Write ``tokenizer.json``, its two companions and, for WordPiece, ``vocab.txt``.

    Args:
        tokenizer: without padding and truncation.
        config: settings as read; keys that say nothing about casing are kept as they are.
        specials: role to token, as ``find_specials`` gives them.
        folder: is made where it is missing; files of these names are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    roles = {f"{role}_token": token for role, token in specials.items()}
    _write_json(folder / "special_tokens_map.json", roles)
    _write_json(
        folder / "tokenizer_config.json", {**config, **roles, **_settings(tokenizer, config)}
    )
    if isinstance(tokenizer.model, WordPiece):
        write_vocabulary(folder / "vocab.txt", tokenizer.get_vocab())


def _settings(tokenizer: Tokenizer, config: Mapping[str, Any]) -> dict[str, Any]:
    """What ``tokenizer.json`` says, for readers of ``vocab.txt``, and a class that follows it."""
    named, settings = config.get("tokenizer_class"), casing.describe(tokenizer)
    if not isinstance(tokenizer.model, WordPiece):
        return {"tokenizer_class": named or casing.PLAIN_CLASSES[0]}
    plain = named in casing.PLAIN_CLASSES or not settings
    return {
        **settings,
        "tokenizer_class": casing.PLAIN_CLASSES[0] if plain else "BertTokenizer",
        "max_input_chars_per_word": tokenizer.model.max_input_chars_per_word,
    }


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
