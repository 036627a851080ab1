"""One vector for each word of a sentence, from an encoder's layers: windows, context, cache."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from bertfeat.api import Encoder
from bertfeat.errors import InputError, RowErrors
from bertfeat.features.layers import resolve_layers
from bertfeat.features.tokens import TokenEncoder, TokenFeatures
from bertfeat.features.words import WORD_POOLINGS, Word, pool_words
from bertfeat.ner.sentences import Sentence
from bertfeat.ner.settings import TaggerSettings
from bertfeat.ner.vector_store import VectorStore, store_folder
from bertfeat.tokenization import Tokenizer

CONTEXTS = ("none", "document")
CHUNK = 256
"""Sentences that are computed, and written to the cache, together."""

Progress = Callable[[int, int], None]
InContext = tuple[tuple[str, ...], int, int]
"""Words that are read together, and first and last + 1 of those that vectors are wanted of."""


@dataclass(frozen=True)
class FeatureOptions:
    """Which vectors of a word.

    Attributes:
        layers: 0 (embeddings) … N (last).
        pooling: ``first`` (as in the BERT paper), ``last``, ``mean`` or ``max`` of its sub-tokens.
        context: ``none``, or ``document``: the sentence stands between its neighbours in its
            document, as many words to either side as the model has room for (Devlin et al. 2019,
            5.3, "maximal document context").
        max_seq_len: tokens that the encoder reads at once, [CLS] and [SEP] included.
    """

    layers: tuple[int, ...]
    pooling: str = "first"
    context: str = "none"
    max_seq_len: int = 512

    def __post_init__(self) -> None:
        for name, known in (("pooling", WORD_POOLINGS), ("context", CONTEXTS)):
            if getattr(self, name) not in known:
                raise InputError(f"{name}={getattr(self, name)!r} is none of {', '.join(known)}")

    @classmethod
    def of_tagger(cls, settings: TaggerSettings) -> "FeatureOptions":
        """Return those that a tagger was trained with."""
        s = settings
        return cls(s.layers, s.pooling, s.context, s.max_seq_len)

    @property
    def stride(self) -> int:
        """Tokens that the windows of a long sentence share."""
        return min(128, (self.max_seq_len - 2) // 2)

    @classmethod
    def of(
        cls, encoder: Encoder, layers: Any, pooling: str = "first", context: str = "none"
    ) -> "FeatureOptions":
        """Resolve layers as ``Encoder.encode`` does, against an encoder."""
        found = resolve_layers(layers, encoder.num_layers)
        return cls(tuple(found), pooling, context, encoder.max_seq_len)


@dataclass
class WordVectors:
    """Computes word vectors once and keeps them on disk.

    Attributes:
        encoder: frozen.
        options: which vectors.
        dtype: ``float16`` or ``float32``, as they are kept.
        cached: whether the disk is used at all.
        limit_bytes: of the vectors of one model and one set of options on disk.
        hits, computed: sentences found, and sentences computed, so far.
    """

    encoder: TokenEncoder
    options: FeatureOptions
    dtype: str = "float16"
    cached: bool = True
    limit_bytes: int = 20 * 2**30
    hits: int = 0
    computed: int = 0
    _store: VectorStore = field(init=False)

    def __post_init__(self) -> None:
        settings = {**asdict(self.options), "dtype": self.dtype, "model": self.encoder.model_hash,
                    "precision": self.encoder.precision}  # fmt: skip
        kind = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:32]
        shape = (len(self.options.layers), self.encoder.config.hidden_size)
        self._store = VectorStore(store_folder(kind), shape, self.dtype, self.limit_bytes)

    def __call__(
        self, sentences: Sequence[Sentence], progress: Progress | None = None
    ) -> list[np.ndarray]:
        """Return float (words, layers, hidden) for each sentence, in order.

        A word without any token (made of invisible characters) has zeros.

        Args:
            sentences: of one file, in order; those of a document stand together.
            progress: called with the sentences done and their number.

        Raises:
            RowErrors: the encoder withheld a sentence's vectors.
        """
        items = in_context(sentences, self.options, self.encoder.tokenizer)
        keys = [key_of(words, start, stop) for words, start, stop in items]
        found = self._store.get(set(keys)) if self.cached else {}
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        places = {key: place for place, key in enumerate(keys)}
        self.hits += len(keys) - len(missing)
        self.computed += len(missing)
        for start in range(0, len(missing), CHUNK):
            chunk = missing[start : start + CHUNK]
            vectors = dict(zip(chunk, self._compute([items[places[k]] for k in chunk]),
                               strict=True))  # fmt: skip
            if self.cached:
                self._store.put(vectors)
                # not all of them where the limit is smaller than one chunk
                vectors |= self._store.get(vectors.keys())
            found |= vectors
            if progress:
                progress(min(start + CHUNK, len(missing)), len(missing))
        return [found[key] for key in keys]

    def _compute(self, items: Sequence[InContext]) -> Iterator[np.ndarray]:
        words = [list(words) for words, _, _ in items]
        features = self.encoder.extract(
            words, layers=list(self.options.layers), long="window", return_errors=True,
            stride=self.options.stride, max_seq_len=self.options.max_seq_len,
        )  # fmt: skip
        for place, ((_, start, stop), found) in enumerate(zip(items, features, strict=True)):
            if found.error is not None:
                raise RowErrors({place: found.error}, None)
            yield word_rows(found, start, stop, self.options.pooling).astype(self.dtype)


def in_context(
    sentences: Sequence[Sentence], options: FeatureOptions, tokenizer: Tokenizer
) -> list[InContext]:
    """Return for each sentence the words to be read, and where its own begin and end."""
    if options.context == "none":
        return [(s.words, 0, len(s.words)) for s in sentences]
    sizes = [_sizes(sentence.words, tokenizer) for sentence in sentences]
    found = []
    for start, stop in documents(sentences):
        words = [word for s in sentences[start:stop] for word in s.words]
        lengths = np.concatenate([np.zeros(0, int), *sizes[start:stop]])
        at = 0
        for sentence in sentences[start:stop]:
            end = at + len(sentence.words)
            first, last = surroundings(lengths, at, end, options.max_seq_len - 2)
            found.append((tuple(words[first:last]), at - first, end - first))
            at = end
    return found


def _sizes(words: Sequence[str], tokenizer: Tokenizer) -> np.ndarray:
    """Return the number of tokens of each word."""
    if not words:
        return np.zeros(0, int)
    ids = tokenizer.encode(list(words)).word_ids
    return np.bincount([word for word in ids if word is not None], minlength=len(words))


def surroundings(lengths: np.ndarray, start: int, stop: int, room: int) -> tuple[int, int]:
    """Widen a sentence to both sides, turn by turn, as long as its tokens have room.

    Args:
        lengths: tokens of each word of the document.
        start: the sentence's first word.
        stop: its last + 1.
        room: tokens that may be read.

    Returns:
        First word and last + 1 of what is read; the sentence alone if it has no room itself.
    """
    left = room - int(lengths[start:stop].sum())
    go_left, go_right = True, True
    while go_left or go_right:
        go_left = go_left and start > 0 and lengths[start - 1] <= left
        if go_left:
            start -= 1
            left -= int(lengths[start])
        go_right = go_right and stop < len(lengths) and lengths[stop] <= left
        if go_right:
            left -= int(lengths[stop])
            stop += 1
    return start, stop


def documents(sentences: Sequence[Sentence]) -> Iterator[tuple[int, int]]:
    """Yield first sentence and last + 1 of each document."""
    edges = [
        place
        for place in range(1, len(sentences))
        if sentences[place].document != sentences[place - 1].document
    ]
    yield from zip([0, *edges], [*edges, len(sentences)], strict=True)


def word_rows(features: TokenFeatures, start: int, stop: int, pooling: str) -> np.ndarray:
    """Return the vectors of words ``start … stop - 1``, float32 (words, layers, hidden)."""
    layers, _, hidden = features.vectors.shape
    tokens = word_tokens(features.word_ids, start, stop)
    words = [Word(places[0], places[-1] + 1, 0, 0) for places in tokens.values()]
    rows = np.zeros((stop - start, layers, hidden), np.float32)
    if words:
        pooled = pool_words(features.vectors, words, pooling)  # (layers, words, hidden)
        rows[[word - start for word in tokens]] = pooled.swapaxes(0, 1)
    return rows


def word_tokens(word_ids: Sequence[int | None], start: int, stop: int) -> dict[int, list[int]]:
    """Return the places of the tokens of the words ``start … stop - 1`` that have any."""
    found: dict[int, list[int]] = {}
    for place, word in enumerate(word_ids):
        if word is not None and start <= word < stop:
            found.setdefault(word, []).append(place)
    return found


def key_of(words: Sequence[str], start: int, stop: int) -> str:
    """Return the key of the words ``start … stop - 1`` read among all of `words`."""
    text = json.dumps([words, start, stop], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:40]
