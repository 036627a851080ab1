"""Texts to pooled vectors: the whole way from items to an array, row errors included."""

import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from bertfeat.engine.packing import Inputs
from bertfeat.errors import InputError, NonFiniteError, NotTrainedForSimilarity, TruncationWarning
from bertfeat.features.dtypes import convert
from bertfeat.features.options import EncodeOptions
from bertfeat.features.program import FeatureProgram
from bertfeat.features.runtime import Runtime
from bertfeat.features.spec import FeatureSpec, empty_result
from bertfeat.tokenization import Encoding

CHUNK = 4096
"""Texts tokenized at a time: long enough to sort by length, short enough to hold in memory."""


@dataclass
class EncodeInfo:
    """What happened to each row of a call.

    Attributes:
        num_tokens: int32 (n,), tokens of the whole text, specials included, before any cut.
        truncated: bool (n,), whether the text was longer than what was read.
        errors: row to error; such a row's vector is zero (or has no tokens).
    """

    num_tokens: np.ndarray
    truncated: np.ndarray
    errors: dict[int, Exception] = field(default_factory=dict)

    @classmethod
    def of_rows(cls, count: int) -> "EncodeInfo":
        """Return the info of rows of which nothing is known yet."""
        return cls(np.zeros(count, np.int32), np.zeros(count, bool))

    def warn_if_truncated(self, limit: int, stacklevel: int) -> None:
        """Warn once, with the number of cut texts and the first one's index."""
        cut = np.flatnonzero(self.truncated)
        if len(cut):
            warnings.warn(
                f"{len(cut)} text(s) are longer than the {limit} tokens that are read and were "
                f"cut, the first is texts[{cut[0]}]",
                TruncationWarning,
                stacklevel=stacklevel + 1,
            )


def encode_items(
    runtime: Runtime, items: Sequence[Any], options: EncodeOptions
) -> tuple[np.ndarray | list[np.ndarray], EncodeInfo]:
    """Encode items as the options say.

    Returns:
        Vectors of the asked dtype, (n, dim), (n, layers, dim) for ``combine="none"``, or for
        ``pooling="none"`` a list of (tokens, dim) arrays; and what happened to each row.
    """
    spec, info = runtime.spec(options), EncodeInfo.of_rows(len(items))
    finish = partial(convert, dtype=options.dtype, ranges=runtime.ranges)
    if not items:
        empty = empty_result(spec)
        return (empty if isinstance(empty, list) else finish(empty)), info
    parts: list[Any] = []
    for start in range(0, len(items), CHUNK):
        parts.append(
            _encode_chunk(runtime, spec, items[start : start + CHUNK], start, options, info)
        )
    if spec.is_ragged:
        return [finish(vectors) for vectors in itertools.chain(*parts)], info
    return finish(np.concatenate(parts) if len(parts) > 1 else parts[0]), info


def warm_up(runtime: Runtime) -> None:
    """Compile what the model's own pooling needs, in every shape that a batch may have."""
    options = EncodeOptions()
    encode_items(runtime, ["warm up", "warm up " * 64], options)
    spec, texts = runtime.spec(options), runtime.tokenizer.encode_batch(["warm up"])
    extra = partial(_pooling_inputs, runtime, spec, options)
    runtime.compile(FeatureProgram(spec), check_rows(texts, 0, EncodeInfo.of_rows(1))[1][0], extra)


def check_rows(
    encodings: Sequence[Encoding | InputError], start: int, info: EncodeInfo
) -> tuple[list[int], list[Encoding]]:
    """Note each row's tokens, cut and error; return the good rows and their encodings."""
    good: list[int] = []
    for row, encoding in enumerate(encodings):
        if isinstance(encoding, InputError):
            info.errors[start + row] = encoding
            continue
        info.num_tokens[start + row] = encoding.num_tokens
        info.truncated[start + row] = encoding.truncated
        good.append(row)
    return good, [encoding for encoding in encodings if not isinstance(encoding, InputError)]


def non_finite(row: int) -> NonFiniteError:
    """Return the error of a row whose vector is not finite."""
    return NonFiniteError(
        f"texts[{row}]: the model computed NaN or infinity; the vector is withheld. "
        "Try precision='float32' and check the model's weights"
    )


def warn_of_plain_bert(name: str, stacklevel: int) -> None:
    """Say that a model's own pooling was not trained for similarity."""
    warnings.warn(
        f"{name} is a plain BERT: the mean of its last layer is returned, which was not trained "
        "for similarity; choose pooling and layers yourself, or a sentence-transformers model",
        NotTrainedForSimilarity,
        stacklevel=stacklevel + 1,
    )


def _encode_chunk(
    runtime: Runtime, spec: FeatureSpec, items: Sequence[Any], start: int, options: EncodeOptions,
    info: EncodeInfo,
) -> Any:  # fmt: skip
    good, texts = check_rows(runtime.tokenize(items, options, start), start, info)
    if {"first", "last"} & set(spec.pooling):
        good, texts = _with_content(good, texts, start, info)
    numbers = np.array(good, np.int64)
    extra = partial(_pooling_inputs, runtime, spec, options)
    batches = runtime.batches(FeatureProgram(spec), texts, extra)
    middle = (len(spec.layers),) if spec.combine == "none" else ()
    if not spec.is_ragged:
        vectors = np.zeros((len(items), *middle, spec.dim), np.float32)
        for rows, results in batches:
            found = results["vectors"][: len(rows)]
            vectors[numbers[rows]] = finite(found, start + numbers[rows], info)
        return vectors
    ragged = [np.zeros((0, *middle, spec.dim), np.float32)] * len(items)
    for rows, results in batches:
        for row, vector in zip(rows, results["vectors"], strict=False):
            tokens = vector[: len(texts[row].input_ids)]
            if np.isfinite(tokens).all():
                ragged[good[row]] = tokens.copy()
            else:
                info.errors[start + good[row]] = non_finite(start + good[row])
    return ragged


def finite(vectors: np.ndarray, rows: np.ndarray, info: EncodeInfo) -> np.ndarray:
    """Return the vectors with non-finite rows zero, and note an error for each of those."""
    bad = ~np.isfinite(vectors).reshape(len(vectors), -1).all(axis=1)
    if bad.any():
        info.errors |= {int(row): non_finite(int(row)) for row in rows[bad]}
        vectors = np.where(bad.reshape(-1, *[1] * (vectors.ndim - 1)), 0, vectors)
    return vectors


def _with_content(
    good: list[int], texts: list[Encoding], start: int, info: EncodeInfo
) -> tuple[list[int], list[Encoding]]:
    """Drop rows that have no token besides special ones, with an error for each."""
    kept = [i for i, text in enumerate(texts) if not all(text.special_tokens_mask)]
    for i in set(range(len(texts))) - set(kept):
        info.errors[start + good[i]] = InputError(
            f"texts[{start + good[i]}] has no token besides the special ones; pooling 'first' and "
            "'last' need one"
        )
    return [good[i] for i in kept], [texts[i] for i in kept]


def _pooling_inputs(
    runtime: Runtime, spec: FeatureSpec, options: EncodeOptions, texts: Sequence[Encoding],
    inputs: Inputs,
) -> Inputs:  # fmt: skip
    lengths = inputs["lengths"][:, None]
    mask = (np.arange(inputs["token_places"].shape[1]) < lengths).astype(np.float32)
    prompt = runtime.prompt(options)
    if prompt and not runtime.modules.include_prompt:
        # As sentence-transformers counts it: [CLS] and the prompt, without the closing [SEP].
        mask[:, : len(runtime.tokenizer.encode(prompt).input_ids) - 1] = 0
    extra: Inputs = {"pooling_mask": mask}
    if {"first", "last"} & set(spec.pooling):
        step = 1 if "first" in spec.pooling else -1
        index = np.zeros(len(mask), np.int32)
        for row, text in enumerate(texts):
            special = text.special_tokens_mask[::step]
            offset = special.index(0)
            index[row] = offset if step == 1 else len(special) - 1 - offset
        extra["token_index"] = index
    return extra
