"""A model's folder to a tokenizer of the ``tokenizers`` library, as the folder's files say.

Read are ``tokenizer.json`` or ``vocab.txt``, and beside them ``tokenizer_config.json``,
``special_tokens_map.json``, ``added_tokens.json`` and sentence-transformers'
``sentence_bert_config.json``. SentencePiece models are not read.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from bertfeat.errors import VocabularyError
from bertfeat.tokenization import casing
from bertfeat.tokenization.specials import add_tokens, find_specials, template
from bertfeat.tokenization.vocabulary import is_cased, read_vocabulary

# a longer word is one [UNK]: Google's code since 2018-11-23, and transformers
LONGEST_SANE = 1_000_000
GOOGLE_MAX_WORD_CHARS = 200
HUGGING_FACE_MAX_WORD_CHARS = 100

# those that split text as BERT does, so that vocab.txt is all one needs
_BERT_CLASSES = ("Bert", "ConvBert", "DistilBert", "Electra", "MobileBert", "SqueezeBert")


def load(folder: Path, lowercase: bool | None) -> tuple[Tokenizer, dict[str, Any]]:
    """Build the tokenizer of a folder.

    About casing the first of these that says anything decides: ``lowercase``,
    ``tokenizer_config.json``, ``tokenizer.json``, the vocabulary (with capitals it is cased).

    Returns:
        the tokenizer and the settings of ``tokenizer_config.json`` and ``special_tokens_map.json``.

    Raises:
        VocabularyError: files are missing, damaged or contradict each other.
    """
    home = _home(folder)
    config = _read_settings(home)
    if (home / "tokenizer.json").is_file():
        tokenizer = _from_tokenizer_json(home / "tokenizer.json", config)
    elif (home / "vocab.txt").is_file():
        tokenizer = from_vocabulary(home / "vocab.txt", config, _max_word_chars(home))
    else:
        raise VocabularyError(_nothing_found(home))
    if lowercase is not None:
        casing.set_lowercase(tokenizer, lowercase)
    elif _read_object(home / "sentence_bert_config.json").get("do_lower_case") is True:
        casing.lowercase_first(tokenizer)
    return tokenizer, config


def from_vocabulary(path: Path, config: Mapping[str, Any], max_word_chars: int) -> Tokenizer:
    """Build BERT's own tokenizer around a ``vocab.txt``.

    Args:
        path: the vocabulary.
        config: settings named as in ``tokenizer_config.json``; each has a default.
        max_word_chars: a longer word becomes one [UNK], unless the config sets another limit.

    Raises:
        VocabularyError: the vocabulary is damaged or lacks a special token, or the config names a
            tokenizer that splits text in another way.
    """
    _check_class(config)
    limit = config.get("max_input_chars_per_word", max_word_chars)
    if not isinstance(limit, int) or limit < 1:
        raise VocabularyError(
            "tokenizer_config.json: expected a positive whole number for "
            f"max_input_chars_per_word, got {limit!r}"
        )
    vocabulary = read_vocabulary(path)
    specials = find_specials(config, vocabulary.get)
    if "unk" not in specials:
        raise VocabularyError(f"{path}: expected a token for unknown words, there is no [UNK]")
    unknown = specials["unk"]
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=unknown, max_input_chars_per_word=limit))
    tokenizer.normalizer = BertNormalizer(lowercase=not is_cased(vocabulary))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.decoder = WordPieceDecoder(prefix="##")
    tokenizer.post_processor = template(specials, tokenizer)
    casing.apply_config(tokenizer, config)
    add_tokens(tokenizer, config, specials)
    return tokenizer


def _from_tokenizer_json(path: Path, config: Mapping[str, Any]) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises nothing narrower
        raise VocabularyError(
            f"{path}: expected a tokenizer of the tokenizers library, got: {error}; "
            "the file is damaged, cut off or too new for the installed tokenizers"
        ) from None
    casing.apply_config(tokenizer, config)
    if tokenizer.post_processor is None:
        specials = find_specials(config, tokenizer.token_to_id)
        tokenizer.post_processor = template(specials, tokenizer)
    return tokenizer


def _check_class(config: Mapping[str, Any]) -> None:
    named = config.get("tokenizer_class")
    known = {f"{name}Tokenizer" for name in _BERT_CLASSES}
    if named and named not in casing.PLAIN_CLASSES and named.removesuffix("Fast") not in known:
        raise VocabularyError(
            f"tokenizer_config.json: expected BertTokenizer beside a vocab.txt, got {named}, which "
            "splits text in another way; such a tokenizer is read from a tokenizer.json only"
        )


def _home(folder: Path) -> Path:
    """The folder with the tokenizer's files: old sentence-transformers keep them one below."""
    if any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt")):
        return folder
    modules = folder / "modules.json"
    for module in _read_json(modules, list) if modules.is_file() else []:
        if isinstance(module, dict) and str(module.get("type", "")).endswith("Transformer"):
            return folder / str(module.get("path", ""))
    return folder


def _read_settings(home: Path) -> dict[str, Any]:
    config = _read_object(home / "tokenizer_config.json")
    for key, value in _read_object(home / "special_tokens_map.json").items():
        config.setdefault(key, value)
    added = _read_object(home / "added_tokens.json")
    if added:
        by_id = {str(index): {"content": token} for token, index in added.items()}
        config.setdefault("added_tokens_decoder", by_id)
    return config


def _read_object(path: Path) -> dict[str, Any]:
    return _read_json(path, dict) if path.is_file() else {}


def _read_json(path: Path, kind: type[dict[str, Any]] | type[list[Any]]) -> Any:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise VocabularyError(f"{path}: expected JSON, got: {error}; is it cut off?") from None
    if not isinstance(value, kind):
        expected = "object" if kind is dict else "array"
        raise VocabularyError(f"{path}: expected a JSON {expected}, got {type(value).__name__}")
    return value


def _max_word_chars(home: Path) -> int:
    google = (home / "bert_config.json").is_file() and not (home / "config.json").is_file()
    return GOOGLE_MAX_WORD_CHARS if google else HUGGING_FACE_MAX_WORD_CHARS


def _nothing_found(home: Path) -> str:
    if not home.is_dir():
        return (
            f"{home}: expected a folder with tokenizer.json or vocab.txt, there is no such folder"
        )
    other = sorted(path.name for path in home.glob("*.model"))
    advice = (
        f"{', '.join(other)} alone is not read: load it once with transformers' AutoTokenizer and "
        "save_pretrained, which writes tokenizer.json"
        if other
        else "copy one of them from where the model was published"
    )
    return f"{home}: expected tokenizer.json or vocab.txt, there is neither; {advice}"


def sane_length(value: object) -> int | None:
    """Return a tokenizer's limit; None where it has none, for which transformers writes 1e30."""
    if isinstance(value, int | float) and 0 < value < LONGEST_SANE:
        return int(value)
    return None
