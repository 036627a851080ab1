"""Whether a tokenizer lowercases, strips accents and spaces out Chinese characters."""

import json
from collections.abc import Mapping
from typing import Any

from tokenizers import Tokenizer
from tokenizers.normalizers import BertNormalizer, Lowercase, Sequence

from bertfeat.errors import VocabularyError

# key of tokenizer_config.json: attribute of BertNormalizer, values allowed
_SETTINGS = {
    "do_lower_case": ("lowercase", (True, False)),
    "strip_accents": ("strip_accents", (True, False, None)),
    "tokenize_chinese_chars": ("handle_chinese_chars", (True, False)),
}
# with these classes transformers, too, lets tokenizer.json alone decide
PLAIN_CLASSES = ("PreTrainedTokenizerFast", "TokenizersBackend")


def lowercases(normalizer: Any) -> bool:
    """Tell whether a normalizer of the ``tokenizers`` library lowercases."""
    # iterating over a Sequence of tokenizers 0.21 may never end, its state is plain
    return normalizer is not None and _lowercases(json.loads(normalizer.__getstate__()))


def set_lowercase(tokenizer: Tokenizer, lowercase: bool) -> None:
    """Switch lowercasing, and with it the stripping of accents where that is not set.

    Raises:
        VocabularyError: a tokenizer other than BERT's lowercases and cannot be told not to.
    """
    normalizer = tokenizer.normalizer
    if isinstance(normalizer, BertNormalizer):
        normalizer.lowercase = lowercase
        tokenizer.normalizer = normalizer
    elif lowercase:
        lowercase_first(tokenizer)
    elif lowercases(normalizer):
        raise VocabularyError(
            "lowercase=False asked for, but this tokenizer.json has a normalizer of its own that "
            "lowercases; leave the option out or edit the file"
        )


def lowercase_first(tokenizer: Tokenizer) -> None:
    """Lowercase before all else and keep accents, as sentence-transformers' ``do_lower_case``."""
    normalizer = tokenizer.normalizer
    if not lowercases(normalizer):
        tokenizer.normalizer = Sequence([Lowercase(), *([normalizer] if normalizer else [])])


def apply_config(tokenizer: Tokenizer, config: Mapping[str, Any]) -> None:
    """Let the keys of ``tokenizer_config.json`` decide over what ``tokenizer.json`` says.

    Only those present count: ``transformers`` takes a missing ``do_lower_case`` for true, which
    contradicts a cased ``tokenizer.json`` without reason.

    Raises:
        VocabularyError: a value is of the wrong type.
    """
    normalizer = tokenizer.normalizer
    plain = config.get("tokenizer_class") in PLAIN_CLASSES
    if plain or not isinstance(normalizer, BertNormalizer):
        return
    for key, (attribute, allowed) in _SETTINGS.items():
        if key in config:
            _check(key, config[key], allowed)
            setattr(normalizer, attribute, config[key])
    tokenizer.normalizer = normalizer


def describe(tokenizer: Tokenizer) -> dict[str, bool | None]:
    """The settings as keys of ``tokenizer_config.json``; empty where they are not BERT's."""
    normalizer = tokenizer.normalizer
    if not isinstance(normalizer, BertNormalizer):
        return {}
    return {key: getattr(normalizer, attribute) for key, (attribute, _) in _SETTINGS.items()}


def _lowercases(state: Mapping[str, Any]) -> bool:
    if state["type"] == "Sequence":
        return any(_lowercases(part) for part in state["normalizers"])
    return state["type"] == "Lowercase" or bool(state.get("lowercase"))


def _check(key: str, value: Any, allowed: tuple[bool | None, ...]) -> None:
    if not any(value is choice for choice in allowed):
        raise VocabularyError(
            f"tokenizer_config.json: expected {' or '.join(map(str, allowed))} for {key}, "
            f"got {value!r}"
        )
