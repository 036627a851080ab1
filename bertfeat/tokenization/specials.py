"""Which tokens open, close, pad and mask a text, and how they are put around it."""

from collections.abc import Callable, Mapping
from typing import Any

from tokenizers import AddedToken, Tokenizer
from tokenizers.processors import TemplateProcessing

from bertfeat.errors import VocabularyError

# BERT's name, then XLM-R's, for folders that name none
_DEFAULTS = {
    "unk": ("[UNK]", "<unk>"),
    "cls": ("[CLS]", "<s>"),
    "sep": ("[SEP]", "</s>"),
    "pad": ("[PAD]", "<pad>"),
    "mask": ("[MASK]", "<mask>"),
}
_NEEDED = ("cls", "sep")
_FLAGS = ("lstrip", "rstrip", "single_word", "normalized")


def find_specials(
    config: Mapping[str, Any], token_to_id: Callable[[str], int | None]
) -> dict[str, str]:
    """Find the token of each role, among those that the vocabulary has.

    Args:
        config: ``tokenizer_config.json`` and ``special_tokens_map.json`` in one, with keys such as
            ``cls_token``, each a string or a description of an added token.
        token_to_id: looks a token up.

    Returns:
        role ("unk", "cls", "sep", "pad", "mask") to token; roles without a token are left out.

    Raises:
        VocabularyError: there is none to open or none to close a text.
    """
    found: dict[str, str] = {}
    missing: list[str] = []
    for role, defaults in _DEFAULTS.items():
        named = content(config.get(f"{role}_token"))
        candidates = defaults if named is None else (named, *defaults)
        token = next((token for token in candidates if token_to_id(token) is not None), None)
        if token is not None:
            found[role] = token
        elif role in _NEEDED:
            missing.append(f"{role}_token ({', '.join(dict.fromkeys(candidates))})")
    if missing:
        raise VocabularyError(
            f"expected special tokens in the vocabulary, it has no {' and no '.join(missing)}; "
            "is it a BERT's, and does tokenizer_config.json name the tokens as it does?"
        )
    return found


def template(specials: Mapping[str, str], tokenizer: Tokenizer) -> TemplateProcessing:
    """BERT's frame: ``[CLS] a [SEP]`` and ``[CLS] a [SEP] b [SEP]`` with type 1 from b on."""
    opening, closing = specials["cls"], specials["sep"]
    return TemplateProcessing(
        single=[f"{opening}:0", "$A:0", f"{closing}:0"],
        pair=[f"{opening}:0", "$A:0", f"{closing}:0", "$B:1", f"{closing}:1"],
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (opening, closing)],
    )


def add_tokens(
    tokenizer: Tokenizer, config: Mapping[str, Any], specials: Mapping[str, str]
) -> None:
    """Add the tokens that are found in raw text before it is normalized and split.

    They are those of ``added_tokens_decoder``, the special tokens, ``additional_special_tokens``
    and, where the vocabulary has them, those of ``never_split``.

    Raises:
        VocabularyError: an added token would get another id than the files say.
    """
    declared = config.get("added_tokens_decoder") or {}
    for index in sorted(declared, key=int):
        _add(tokenizer, _added_token(declared[index], special=False))
        _check_id(tokenizer, content(declared[index]), int(index))
    for role, token in specials.items():
        named = config.get(f"{role}_token")
        _add(tokenizer, _added_token(named if content(named) == token else token, special=True))
    for extra in config.get("additional_special_tokens") or []:
        _add(tokenizer, _added_token(extra, special=True))
    for word in config.get("never_split") or []:
        if tokenizer.token_to_id(word) is not None:
            _add(tokenizer, AddedToken(word, single_word=True, normalized=False))


def content(description: Any) -> str | None:
    """The text of a token described by a string or an object; ``None`` for anything else."""
    if isinstance(description, Mapping):
        description = description.get("content")
    return description if isinstance(description, str) else None


def _added_token(description: Any, *, special: bool) -> AddedToken:
    text = content(description)
    if text is None:
        raise VocabularyError(
            f"expected an added token as a string or an object with content, got {description!r}"
        )
    said = description if isinstance(description, Mapping) else {}
    special = bool(said.get("special", special))
    flags = {name: bool(said[name]) for name in _FLAGS if name in said}
    return AddedToken(text, special=special, **{"normalized": not special, **flags})


def _add(tokenizer: Tokenizer, token: AddedToken) -> None:
    if token.special:
        tokenizer.add_special_tokens([token])
    else:
        tokenizer.add_tokens([token])


def _check_id(tokenizer: Tokenizer, token: str | None, expected: int) -> None:
    got = tokenizer.token_to_id(token or "")
    if got != expected:
        raise VocabularyError(
            f"added_tokens_decoder: expected id {expected} for {token!r}, the vocabulary gives it "
            f"{got}; vocab.txt and tokenizer_config.json are not of the same model"
        )
