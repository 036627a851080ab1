"""Texts to vectors of every token, layer by layer; long texts in stitched windows."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bertfeat.config import EncoderConfig
from bertfeat.errors import InputError
from bertfeat.features.options import EncodeOptions
from bertfeat.features.pooled import EncodeInfo, check_rows, non_finite
from bertfeat.features.program import FeatureProgram
from bertfeat.features.runtime import Runtime
from bertfeat.features.spec import FeatureSpec
from bertfeat.features.windows import stitch
from bertfeat.tokenization import Encoding, Tokenizer

CHUNK = 256
"""Texts in work at a time: their vectors of all layers are in memory together."""


@dataclass
class TokenFeatures:
    """The tokens of one text and their vectors.

    Attributes:
        tokens: token strings, specials included.
        offsets: characters (start, stop) of each token in the original text; (0, 0) for specials.
        word_ids: number of each token's word, None for specials.
        vectors: float32 (layers, tokens, hidden), layers in the order asked for.
        num_tokens: tokens of the whole text, specials included, before any cut.
        truncated: whether tokens were cut off.
        error: why there are no tokens, or None.
    """

    tokens: list[str]
    offsets: list[tuple[int, int]]
    word_ids: list[int | None]
    vectors: np.ndarray
    num_tokens: int = 0
    truncated: bool = False
    error: Exception | None = None


class TokenEncoder(Protocol):
    """What word vectors need of an encoder: a :class:`bertfeat.Encoder`, or what asks one."""

    @property
    def folder(self) -> Path:
        """Where the model lies."""
        ...

    @property
    def model_hash(self) -> str:
        """The sha256 of the weights."""
        ...

    @property
    def precision(self) -> str:
        """What it computes in."""
        ...

    @property
    def config(self) -> EncoderConfig:
        """Its sizes."""
        ...

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        ...

    def extract(
        self,
        texts: Any,
        *,
        layers: Any,
        long: str,
        stride: int,
        return_errors: bool,
        **options: Any,
    ) -> Iterator[TokenFeatures]:
        """Yield the vectors of every token of each text; see :meth:`bertfeat.Encoder.extract`."""
        ...


@dataclass(frozen=True)
class WindowOptions:
    """How a text longer than the model is read.

    Attributes:
        long: ``truncate``, or ``window`` for overlapping windows that are stitched together, each
            token taken where it has the largest context.
        stride: tokens that neighbouring windows share.
    """

    long: str = "truncate"
    stride: int = 128

    def __post_init__(self) -> None:
        if self.long not in ("truncate", "window"):
            raise InputError(f"long={self.long!r} is none of truncate, window")
        if isinstance(self.stride, bool) or not isinstance(self.stride, int) or self.stride < 0:
            raise InputError(f"stride={self.stride!r} is not a whole number of tokens")


def extract_items(
    runtime: Runtime, items: Iterator[Any], options: EncodeOptions, windows: WindowOptions
) -> Iterator[TokenFeatures]:
    """Yield the token vectors of each item, in order, reading items as they are needed."""
    spec = runtime.spec(options)
    start = 0
    if windows.long == "window" and runtime.prompt(options):
        raise InputError("long='window' takes no prompt: it would stand in the first window only")
    while chunk := list(itertools.islice(items, CHUNK)):
        yield from _extract_chunk(runtime, spec, chunk, start, options, windows)
        start += len(chunk)


def _extract_chunk(
    runtime: Runtime, spec: FeatureSpec, items: list[Any], start: int, options: EncodeOptions,
    windows: WindowOptions,
) -> list[TokenFeatures]:  # fmt: skip
    info = EncodeInfo.of_rows(len(items))
    encodings = runtime.tokenize(items, options, start)
    cut = [
        windows.long == "window" and isinstance(text, Encoding) and text.truncated
        for text in encodings
    ]
    encodings = [
        _long_pair(start + row) if cut[row] and isinstance(items[row], tuple) else encoding
        for row, encoding in enumerate(encodings)
    ]
    good, texts = check_rows(encodings, 0, info)
    limit, windowed = runtime.limit(options), runtime.tokenizer.windows
    pieces = [
        windowed(items[row], limit, windows.stride) if cut[row] else [text]
        for row, text in zip(good, texts, strict=True)
    ]
    vectors = _token_vectors(runtime, spec, [piece for group in pieces for piece in group])
    empty = np.zeros((len(spec.layers), 0, spec.dim), np.float32)
    found = [
        TokenFeatures([], [], [], empty, error=info.errors.get(row)) for row in range(len(items))
    ]
    for row, group in zip(good, pieces, strict=True):
        parts = [next(vectors) for _ in group]
        found[row] = _stitched(group, parts, windows.stride)
        found[row].num_tokens = int(info.num_tokens[row])
        found[row].truncated = bool(info.truncated[row]) and len(group) == 1
        if not np.isfinite(found[row].vectors).all():
            found[row] = TokenFeatures([], [], [], empty, error=non_finite(start + row))
    return found


def _token_vectors(
    runtime: Runtime, spec: FeatureSpec, texts: Sequence[Encoding]
) -> Iterator[np.ndarray]:
    """Yield float32 (layers, tokens, hidden) for each text, in order."""
    found: list[Any] = [None] * len(texts)
    for rows, results in runtime.batches(FeatureProgram(spec), texts):
        for row, vector in zip(rows, results["vectors"], strict=False):
            tokens = vector[: len(texts[row].input_ids)]  # (tokens, layers, hidden)
            found[row] = np.ascontiguousarray(tokens.swapaxes(0, 1))
    return iter(found)


def _long_pair(row: int) -> InputError:
    return InputError(
        f"texts[{row}] is a pair longer than the model; long='window' reads single texts only"
    )


def window_cuts(group: Sequence[Encoding], stride: int) -> list[tuple[int, int, int]]:
    """Choose where each token of a text in windows is taken from.

    Args:
        group: the windows of one text, in order.
        stride: tokens that neighbouring windows share.

    Returns:
        (window, first token, last + 1) in the order of the text; the special tokens are those of
        the outer ends.
    """
    if len(group) == 1:
        return [(0, 0, len(group[0].input_ids))]
    before = group[0].special_tokens_mask.index(0)
    after = group[0].special_tokens_mask[::-1].index(0)
    sizes = [len(window.input_ids) - before - after for window in group]
    starts = [number * (sizes[0] - stride) for number in range(len(group))]
    spans = [(start, start + size) for start, size in zip(starts, sizes, strict=True)]
    cuts = [
        (number, before + start - spans[number][0], before + stop - spans[number][0])
        for number, start, stop in stitch(spans, spans[-1][1])
    ]
    last = len(group[-1].input_ids)
    return [(0, 0, before), *cuts, (len(group) - 1, last - after, last)]


def _stitched(group: list[Encoding], vectors: list[np.ndarray], stride: int) -> TokenFeatures:
    """Join windows of one text: specials from the outer ends, each token once."""
    if len(group) == 1:
        text = group[0]
        return TokenFeatures(text.tokens, text.offsets, text.word_ids, vectors[0])
    cuts = window_cuts(group, stride)
    joined = TokenFeatures([], [], [], np.concatenate([vectors[n][:, a:b] for n, a, b in cuts], 1))
    for number, start, stop in cuts:
        joined.tokens += group[number].tokens[start:stop]
        joined.offsets += group[number].offsets[start:stop]
        joined.word_ids += group[number].word_ids[start:stop]
    return joined
