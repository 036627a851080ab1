"""The tokenizer: items in, encodings out."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import tokenizers

from bertfeat.errors import InputError, VocabularyError
from bertfeat.tokenization import casing, loading, saving, truncation
from bertfeat.tokenization.encoding import Encoding, Whole
from bertfeat.tokenization.items import Item, prepare
from bertfeat.tokenization.request import Request, check_room, check_whole_number
from bertfeat.tokenization.specials import find_specials
from bertfeat.tokenization.token_ids import GivenTokens, TokenIds

P = ParamSpec("P")
T = TypeVar("T")


class Tokenizer:
    """Turns texts, pairs and lists of words into ids; safe to share between threads.

    Attributes:
        cls_id: id of the token that opens a text: ``[CLS]``, or XLM-R's ``<s>``.
        sep_id: id of the token that closes one: ``[SEP]``, or ``</s>``.
        pad_id: id of the padding token; 0 where the vocabulary has none, as in Google's code.
        max_length: most tokens of a text as the folder's files say; ``None`` if they do not.
    """

    def __init__(self, backend: tokenizers.Tokenizer, config: Mapping[str, Any]) -> None:
        """Wrap a tokenizer of the ``tokenizers`` library; its padding and truncation are dropped.

        Args:
            backend: the tokenizer, from now on ours.
            config: settings named as in ``tokenizer_config.json``.

        Raises:
            VocabularyError: the vocabulary lacks a token to open or to close a text.
        """
        backend.no_padding()
        backend.no_truncation()
        self._backend = backend
        self._config = dict(config)
        self._specials = find_specials(config, backend.token_to_id)
        self.cls_id = self._id_of("cls")
        self.sep_id = self._id_of("sep")
        self.pad_id = self._id_of("pad") if "pad" in self._specials else 0
        self.max_length = loading.sane_length(config.get("model_max_length"))

    @classmethod
    def from_folder(cls, folder: Path, *, lowercase: bool | None = None) -> "Tokenizer":
        """Read the tokenizer of a model's folder.

        Args:
            folder: holds ``tokenizer.json`` or ``vocab.txt``.
            lowercase: overrules what the files say.

        Raises:
            VocabularyError: files are missing, damaged or contradict each other.
        """
        return cls(*loading.load(Path(folder), lowercase))

    @classmethod
    def from_vocabulary(cls, path: Path, *, lowercase: bool | None = None) -> "Tokenizer":
        """Read a ``vocab.txt`` alone, with all else as in Google's code; raises VocabularyError."""
        config = {} if lowercase is None else {"do_lower_case": lowercase}
        limit = loading.GOOGLE_MAX_WORD_CHARS
        return cls(loading.from_vocabulary(Path(path), config, limit), config)

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json``, its companions and, for WordPiece, ``vocab.txt``."""
        saving.save(self._backend, self._config, self._specials, Path(folder))

    def encode(
        self,
        item: Item,
        max_length: int | None = None,
        truncate: str = "right",
        *,
        prompt: str = "",
    ) -> Encoding:
        """Tokenize one item.

        Args:
            item: a string, a pair (tuple of two strings), a list of words or ``TokenIds``.
            max_length: most tokens, special ones included; ``None`` cuts nothing.
            truncate: where a longer item is cut: "right", "left", "middle" (both ends stay), or
                "error". Of a pair the longer text is cut first.
            prompt: is put before the (first) text.

        Raises:
            InputError: the item or an option is not acceptable.
            TextTooLong: ``truncate`` is "error" and the item does not fit.
        """
        request = self._request(max_length, truncate, prompt)
        prepared = self._prepare(item, "text", prompt)
        return request.fit(self._run([prepared])[0], prepared, "text")

    def encode_batch(
        self,
        items: Sequence[object],
        max_length: int | None = None,
        truncate: str = "right",
        prompt: str = "",
        *,
        first_index: int = 0,
    ) -> list[Encoding | InputError]:
        """Tokenize many items in parallel; a bad one fails only itself.

        Args:
            items: each as for ``encode``, which also describes the options.
            first_index: the index of the first item, for messages of a call cut into batches.

        Returns:
            for each item its encoding, or the error that names its index: ``texts[3]: …``.

        Raises:
            InputError: an option is not acceptable.
        """
        request = self._request(max_length, truncate, prompt)
        places = [f"texts[{first_index + row}]" for row in range(len(items))]
        prepared = [
            _or_error(self._prepare, item, place, prompt)
            for item, place in zip(items, places, strict=True)
        ]
        wholes = iter(self._run([item for item in prepared if not isinstance(item, InputError)]))
        return [
            item
            if isinstance(item, InputError)
            else _or_error(request.fit, next(wholes), item, place)
            for item, place in zip(prepared, places, strict=True)
        ]

    def windows(
        self, item: Item, max_length: int, stride: int, *, prompt: str = ""
    ) -> list[Encoding]:
        """Tokenize one item into overlapping windows, so that no token is lost.

        Of a pair the second text is windowed and the first is whole in each window.

        Args:
            item: as for ``encode``.
            max_length: most tokens of a window, special ones included.
            stride: how many tokens neighbours share.
            prompt: is put before the (first) text, so it stands in the first window.

        Returns:
            windows in order; each counts as ``truncated`` unless it holds the whole item.

        Raises:
            InputError: the item or an option is not acceptable, or a window has no room for more
                than the stride.
        """
        request = self._request(max_length, "right", prompt)
        check_whole_number(stride, "stride")
        truncation.check_stride(stride, max_length - self.num_special_tokens())
        prepared = self._prepare(item, "text", prompt)
        whole = self._run([prepared])[0]
        if len(whole) <= max_length:
            return [request.wrap(whole, prepared)]
        windows = truncation.windows(whole.sequence_ids, max_length, stride)
        return [request.wrap(whole, prepared, kept) for kept in windows]

    def token_to_id(self, token: str) -> int | None:
        """The id of a token; ``None`` where the vocabulary lacks it."""
        return self._backend.token_to_id(token)

    def id_to_token(self, token_id: int) -> str | None:
        """The token of an id; ``None`` where no token has it."""
        return self._backend.id_to_token(token_id) if token_id >= 0 else None

    @cached_property
    def vocab_size(self) -> int:
        """One more than the largest id: rows of the word embeddings."""
        return 1 + max(self._backend.get_vocab().values())

    @property
    def mask_id(self) -> int:
        """Id of the token that stands for a masked word: ``[MASK]``, or ``<mask>``.

        Raises:
            VocabularyError: the vocabulary has none.
        """
        if "mask" not in self._specials:
            raise VocabularyError("expected a mask token in the vocabulary, it has no [MASK]")
        return self._id_of("mask")

    @property
    def lowercase(self) -> bool:
        """Whether texts are lowercased."""
        return casing.lowercases(self._backend.normalizer)

    def num_special_tokens(self, *, pair: bool = False) -> int:
        """How many special tokens a text, or a pair, is given."""
        return self._backend.num_special_tokens_to_add(pair)

    def _id_of(self, role: str) -> int:
        token_id = self._backend.token_to_id(self._specials[role])
        assert token_id is not None, "find_specials looked it up"
        return token_id

    def _request(self, max_length: int | None, truncate: str, prompt: str) -> Request:
        request = Request(max_length=max_length, truncate=truncate, prompt=prompt)
        if max_length is not None:
            check_room(max_length, self.num_special_tokens(), "any text")
        return request

    def _prepare(self, item: object, where: str, prompt: str) -> Item:
        prepared = prepare(item, where, prompt)
        if isinstance(prepared, TokenIds) and max(prepared) >= self.vocab_size:
            raise InputError(
                f"{where}: token id {max(prepared)}, the last is {self.vocab_size - 1}"
            )
        return prepared

    def _run(self, items: Sequence[Item]) -> list[Whole]:
        """Encode checked items, uncut, texts and lists of words each in one parallel call."""
        texts = iter(self._encode(items, words=False))
        words = iter(self._encode(items, words=True))
        return [
            self._given(item)
            if isinstance(item, TokenIds)
            else next(words if isinstance(item, list) else texts)
            for item in items
        ]

    def _encode(self, items: Sequence[Item], *, words: bool) -> list[tokenizers.Encoding]:
        texts = [item for item in items if not isinstance(item, TokenIds)]
        chosen = [item for item in texts if isinstance(item, list) is words]
        return self._backend.encode_batch(chosen, is_pretokenized=words) if chosen else []

    def _given(self, ids: TokenIds) -> GivenTokens:
        return GivenTokens(list(ids), self._special_ids, self.id_to_token)

    @cached_property
    def _special_ids(self) -> frozenset[int]:
        return frozenset(self._id_of(role) for role in self._specials)


def _or_error(step: Callable[P, T], *args: P.args, **options: P.kwargs) -> T | InputError:
    try:
        return step(*args, **options)
    except InputError as error:
        return error
