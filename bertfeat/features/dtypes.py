"""Vectors in fewer bits: half floats, int8 in given ranges, one bit for each component."""

import json
from pathlib import Path

import numpy as np

from bertfeat.errors import ConfigError

RANGES_FILE = "quantization_ranges.json"


def convert(vectors: np.ndarray, dtype: str, ranges: np.ndarray) -> np.ndarray:
    """Convert float32 vectors of any shape (…, dim) to another dtype.

    The integer and binary forms are those of sentence-transformers' ``quantize_embeddings``.

    Args:
        vectors: float32 (…, dim).
        dtype: one of ``bertfeat.features.options.DTYPES``; ``bfloat16`` rounds and stays float32.
        ranges: float32 (2, 1) or (2, dim): the values that become the lowest and highest integer.
    """
    if dtype == "float32":
        return vectors
    if dtype == "float16":
        return np.asarray(vectors, np.float16)
    if dtype == "bfloat16":
        return round_to_bfloat16(vectors)
    if dtype in ("binary", "ubinary"):
        bits = np.packbits(vectors > 0, axis=-1)
        return bits if dtype == "ubinary" else (bits.astype(np.int16) - 128).astype(np.int8)
    start, stop = ranges[:, : vectors.shape[-1]]
    step = np.where(stop > start, (stop - start) / 255, 1)
    levels = np.clip(np.floor((vectors - start) / step), 0, 255)
    return np.asarray(levels, np.uint8) if dtype == "uint8" else np.asarray(levels - 128, np.int8)


def round_to_bfloat16(values: np.ndarray) -> np.ndarray:
    """Round finite float32 values to the nearest bfloat16 (ties to even), kept as float32."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (rounded & np.uint32(0xFFFF0000)).view(np.float32)


def read_ranges(folder: Path) -> np.ndarray:
    """Return the integer ranges of a model: those in its folder, else -1 … 1.

    Raises:
        ConfigError: ``quantization_ranges.json`` is not ``{"min": [...], "max": [...]}``.
    """
    path = folder / RANGES_FILE
    if not path.exists():
        return np.array([[-1.0], [1.0]], np.float32)
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        ranges = np.array([saved["min"], saved["max"]], np.float32)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: expected {{'min': [...], 'max': [...]}}: {error}") from error
    if ranges.ndim != 2 or not np.isfinite(ranges).all():
        raise ConfigError(f"{path}: min and max are not two equally long lists of finite numbers")
    return ranges
