"""What a caller may hand over as one item, checked once at the border."""

import math
from typing import TypeAlias

from bertfeat.errors import InputError
from bertfeat.tokenization.token_ids import TokenIds, check_token_ids

Item: TypeAlias = str | tuple[str, str] | list[str] | TokenIds

_EXPECTED = "a string, a pair (tuple of two strings) or a list of words (list of strings)"


def prepare(item: object, where: str, prompt: str = "") -> Item:
    """Check one item and put the prompt before its text.

    Args:
        item: a string, a tuple of two strings, a list of strings, or ``TokenIds``.
        where: how messages name the item, for example ``texts[3]``.
        prompt: is put before the text, or before the first text of a pair.

    Raises:
        InputError: the item is of another kind, holds a lone surrogate, or is a list of words
            while there is a prompt.
    """
    if isinstance(item, str):
        return prompt + check_text(item, where)
    if isinstance(item, TokenIds):
        return _check_ids(item, where, prompt)
    if isinstance(item, tuple):
        first, second = _check_pair(item, where)
        return prompt + first, second
    if isinstance(item, list):
        return _check_words(item, where, prompt)
    raise InputError(f"{where}: expected {_EXPECTED}, got {_describe(item)}")


def check_text(value: object, where: str) -> str:
    """Check that a value is a string that UTF-8 can hold.

    Raises:
        InputError: it is not, with the place.
    """
    if not isinstance(value, str):
        raise InputError(f"{where}: expected a string, got {_describe(value)}")
    if not value.isascii():
        _check_surrogates(value, where)
    return value


def _check_surrogates(text: str, where: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where}: expected Unicode text, got the lone surrogate "
            f"U+{ord(text[error.start]):04X} at character {error.start}; "
            "decode the source as UTF-8, with errors='replace' where it is damaged"
        ) from None


def _check_pair(pair: tuple[object, ...], where: str) -> tuple[str, str]:
    if len(pair) != 2:
        raise InputError(f"{where}: expected {_EXPECTED}, got a tuple of {len(pair)}")
    return check_text(pair[0], f"{where}[0]"), check_text(pair[1], f"{where}[1]")


def _check_words(words: list[object], where: str, prompt: str) -> list[str]:
    if prompt:
        raise InputError(
            f"{where}: a prompt needs a text to stand before, got a list of words; "
            "join the words or leave the prompt out"
        )
    return [check_text(word, f"{where}[{index}]") for index, word in enumerate(words)]


def _check_ids(ids: TokenIds, where: str, prompt: str) -> TokenIds:
    if prompt:
        raise InputError(
            f"{where}: a prompt needs a text to stand before, got token ids; leave it out"
        )
    return check_token_ids(ids, where)


def _describe(value: object) -> str:
    if isinstance(value, float) and math.isnan(value):
        return "NaN (a missing value?)"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{type(value).__name__}; decode them first"
    return type(value).__name__
