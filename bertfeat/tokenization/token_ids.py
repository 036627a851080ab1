"""Items that a caller has tokenized already."""

from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import cached_property

from bertfeat.errors import InputError


class TokenIds(tuple[int, ...]):
    """The ids of one text, special tokens included, taken as they are."""

    __slots__ = ()


@dataclass(frozen=True)
class GivenTokens:
    """Token ids with what the ``tokenizers`` library tells of a text's encoding.

    There is no text, so offsets are (0, 0), and each token counts as a word.

    Attributes:
        ids: as given.
        specials: the ids of special tokens.
        id_to_token: the vocabulary.
    """

    ids: list[int]
    specials: Container[int]
    id_to_token: Callable[[int], str | None]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def type_ids(self) -> list[int]:
        """All tokens are of one text."""
        return [0] * len(self.ids)

    @property
    def special_tokens_mask(self) -> list[int]:
        """1 for special tokens."""
        return [int(token_id in self.specials) for token_id in self.ids]

    @property
    def sequence_ids(self) -> list[int | None]:
        """None for special tokens."""
        return [None if special else 0 for special in self.special_tokens_mask]

    @property
    def word_ids(self) -> list[int | None]:
        """The place of each token, None for special ones."""
        return [None if i is None else place for place, i in enumerate(self.sequence_ids)]

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """There is no text to point into."""
        return [(0, 0)] * len(self.ids)

    @cached_property
    def tokens(self) -> list[str]:
        """The tokens' spellings."""
        return [self.id_to_token(token_id) or "" for token_id in self.ids]


def check_token_ids(ids: TokenIds, where: str) -> TokenIds:
    """Check that these are token ids, at least one.

    Raises:
        InputError: they are not.
    """
    wrong = [i for i in ids if isinstance(i, bool) or not isinstance(i, int) or i < 0]
    if wrong or not ids:
        got = repr(wrong[0]) if wrong else "none"
        raise InputError(f"{where}: expected token ids, whole numbers from 0, got {got}")
    return ids
