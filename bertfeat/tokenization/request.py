"""The options of one call of the tokenizer, checked, and how they make encodings fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

from bertfeat.errors import InputError, TextTooLong
from bertfeat.tokenization.encoding import Encoding, Whole
from bertfeat.tokenization.items import Item, check_text
from bertfeat.tokenization.truncation import SIDES, truncated

_CHOICES = (*SIDES, "error")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one call asks for.

    Attributes:
        max_length: most tokens, special ones included; ``None`` cuts nothing.
        truncate: "right", "left", "middle" or "error".
        prompt: stands before the (first) text.

    Raises:
        InputError: an option is not acceptable.
    """

    max_length: int | None
    truncate: str
    prompt: str

    def __post_init__(self) -> None:
        if self.max_length is not None:
            check_whole_number(self.max_length, "max_length")
        if self.truncate not in _CHOICES:
            raise InputError(
                f"truncate: expected one of {', '.join(_CHOICES)}, got {self.truncate!r}"
            )
        check_text(self.prompt, "prompt")

    def fit(self, whole: Whole, item: Item, where: str) -> Encoding:
        """Cut one encoding where it is too long.

        Raises:
            InputError: ``max_length`` is less than the special tokens of the item.
            TextTooLong: it is too long and ``truncate`` is "error".
        """
        if self.max_length is None or len(whole) <= self.max_length:
            return self.wrap(whole, item)
        if self.truncate == "error":
            raise TextTooLong(
                f"{where}: expected at most {self.max_length} tokens, got {len(whole)}; shorten "
                "it, or choose truncate='right', 'left' or 'middle'"
            )
        sequence_ids = whole.sequence_ids
        check_room(self.max_length, sequence_ids.count(None), where)
        return self.wrap(whole, item, truncated(sequence_ids, self.max_length, self.truncate))

    def wrap(self, whole: Whole, item: Item, kept: Sequence[int] | None = None) -> Encoding:
        """Make our encoding of the library's; ``kept`` names the positions that stay."""
        words = item if isinstance(item, list) else None
        return Encoding(whole, kept, words=words, prompt_length=len(self.prompt))


def check_room(max_length: int, specials: int, where: str) -> None:
    """Check that the special tokens of an item fit.

    Raises:
        InputError: they do not.
    """
    if max_length < specials:
        raise InputError(
            f"{where}: expected room for the {specials} special tokens, "
            f"got max_length {max_length}; choose a larger one"
        )


def check_whole_number(value: object, name: str) -> None:
    """Check that an option is a whole number, not negative (a bool is none).

    Raises:
        InputError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 0:
        raise InputError(f"{name}: expected a whole number of tokens, got {value!r}")
