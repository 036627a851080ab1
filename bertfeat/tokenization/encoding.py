"""One tokenized item: special tokens included, never padded, each part computed when first asked.

All parts are views of one uncut encoding of the ``tokenizers`` library through the positions that
a cut has kept, so that ids, offsets and word ids cannot disagree.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import TypeAlias, TypeVar

import tokenizers

from bertfeat.tokenization.token_ids import GivenTokens

T = TypeVar("T")
Whole: TypeAlias = tokenizers.Encoding | GivenTokens


class Encoding:
    """The tokens of one text, pair or list of words.

    Attributes:
        num_tokens: tokens that the whole item has, special tokens included, before any cut.
        truncated: whether some of them are not here.
        indices: for each token here, its position among those ``num_tokens``.
    """

    def __init__(
        self,
        whole: Whole,
        kept: Sequence[int] | None = None,
        *,
        words: Sequence[str] | None = None,
        prompt_length: int = 0,
    ) -> None:
        """Wrap the uncut encoding of an item.

        Args:
            whole: the encoding of the ``tokenizers`` library.
            kept: ascending positions of the tokens that stay; ``None`` for all.
            words: the words, where the item is a list of them.
            prompt_length: characters that were put before the (first) text.
        """
        self.num_tokens = len(whole)
        self.truncated = kept is not None
        self.indices: Sequence[int] = range(len(whole)) if kept is None else kept
        self._whole = whole
        self._words = words
        self._prompt_length = prompt_length

    def __len__(self) -> int:
        """Tokens that are here, special tokens included."""
        return len(self.indices)

    def __repr__(self) -> str:
        return f"Encoding(tokens={self.tokens}, num_tokens={self.num_tokens})"

    @cached_property
    def input_ids(self) -> list[int]:
        """The id of each token."""
        return self._kept(self._whole.ids)

    @cached_property
    def token_type_ids(self) -> list[int]:
        """0, and where the tokenizer tells the members of a pair apart, 1 for the second."""
        return self._kept(self._whole.type_ids)

    @cached_property
    def special_tokens_mask(self) -> list[int]:
        """1 for each token that the tokenizer added, 0 for each that stood in the item."""
        return self._kept(self._whole.special_tokens_mask)

    @cached_property
    def tokens(self) -> list[str]:
        """Each token as the ``tokenizers`` library spells it, pieces inside a word with ``##``."""
        return self._kept(self._whole.tokens)

    @cached_property
    def sequence_ids(self) -> list[int | None]:
        """Which member of a pair each token comes from; ``None`` for special tokens."""
        return self._kept(self._whole.sequence_ids)

    @cached_property
    def offsets(self) -> list[tuple[int, int]]:
        """Where each token stands in the original text: first character, last + 1.

        They count in its own member of a pair; in ``" ".join(words)`` for a list of words; without
        the prompt. Special tokens, and tokens of the prompt, have (0, 0).
        """
        if self._words is not None:
            return self._kept(self._offsets_in_joined_words(self._words))
        if self._prompt_length:
            return self._kept(self._offsets_without_prompt())
        return self._kept(self._whole.offsets)

    @cached_property
    def word_ids(self) -> list[int | None]:
        """The running number of each token's word in its text, or its index in a list of words.

        What a word is the tokenizer decides: for BERT what stands between spaces and punctuation,
        each mark of punctuation, each Chinese character. ``None`` for special tokens and those of
        the prompt.
        """
        if self._prompt_length:
            return self._kept(self._word_ids_without_prompt())
        return self._kept(self._whole.word_ids)

    def _kept(self, values: list[T]) -> list[T]:
        return [values[index] for index in self.indices] if self.truncated else values

    def _offsets_in_joined_words(self, words: Sequence[str]) -> list[tuple[int, int]]:
        starts = list(accumulate((len(word) + 1 for word in words), initial=0))
        return [
            (0, 0) if word is None else (starts[word] + begin, starts[word] + end)
            for word, (begin, end) in zip(self._whole.word_ids, self._whole.offsets, strict=True)
        ]

    def _offsets_without_prompt(self) -> list[tuple[int, int]]:
        shifts = [self._prompt_length if member == 0 else 0 for member in self._whole.sequence_ids]
        return [
            (max(begin - shift, 0), max(end - shift, 0))
            for shift, (begin, end) in zip(shifts, self._whole.offsets, strict=True)
        ]

    def _word_ids_without_prompt(self) -> list[int | None]:
        members, word_ids = self._whole.sequence_ids, self._whole.word_ids
        ends = [end for _, end in self._whole.offsets]
        first = min(
            (
                word
                for word, member, end in zip(word_ids, members, ends, strict=True)
                if word is not None and member == 0 and end > self._prompt_length
            ),
            default=len(word_ids),
        )
        shifts = [first if member == 0 else 0 for member in members]
        return [
            None if word is None or word < shift else word - shift
            for word, shift in zip(word_ids, shifts, strict=True)
        ]
