"""Token vectors on their way into a format that cannot be appended to (npz, Parquet).

Two files that only grow: a JSON line for each row (number, tokens, spans, error), and the raw
float32 vectors, (layers, hidden) for each token in turn.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bertfeat.features.writers.rows import Format, TokenRow

BLOCK_TOKENS = 4096
"""Tokens that are handed on together, more only if a single line has more."""


@dataclass(frozen=True)
class Block:
    """Some rows of a spool.

    Attributes:
        indices: number of each row's input line.
        tokens: of each row.
        spans: of each row.
        errors: of each row, None where it is good.
        vectors: float32 (tokens of all rows, layers, hidden).
    """

    indices: list[int]
    tokens: list[list[str]]
    spans: list[list[list[int]]]
    errors: list[str | None]
    vectors: np.ndarray


class TokenSpool(Format[TokenRow]):
    """Gathers rows; a format that finishes them into one file derives from it."""

    streams = ("", ".vectors")
    is_text = False

    def __init__(self, layers: Sequence[int], hidden_size: int) -> None:
        """Set the layers' numbers, as they were asked for, and the vectors' width."""
        self.layers, self.hidden_size = tuple(layers), hidden_size

    def append(self, row: TokenRow, streams: Sequence[BinaryIO]) -> None:
        """Write one row to both files."""
        entry = [row.index, list(row.tokens), [list(span) for span in row.spans], row.error]
        streams[0].write(json.dumps(entry).encode() + b"\n")
        streams[1].write(np.ascontiguousarray(row.vectors.swapaxes(0, 1), "<f4").data)

    def blocks(self, parts: Sequence[Path]) -> Iterator[Block]:
        """Read the rows back, some thousand tokens at a time."""
        with parts[0].open(encoding="utf-8") as entries, parts[1].open("rb") as vectors:
            block = Block([], [], [], [], np.empty(0))
            size = 0
            for line in entries:
                index, tokens, spans, error = json.loads(line)
                block.indices.append(index)
                block.tokens.append(tokens)
                block.spans.append(spans)
                block.errors.append(error)
                size += len(tokens)
                if size >= BLOCK_TOKENS or len(block.indices) >= BLOCK_TOKENS:
                    yield self._with_vectors(block, vectors, size)
                    block, size = Block([], [], [], [], np.empty(0)), 0
            if block.indices:
                yield self._with_vectors(block, vectors, size)

    def _with_vectors(self, block: Block, file: BinaryIO, tokens: int) -> Block:
        shape = (tokens, len(self.layers), self.hidden_size)
        raw = file.read(tokens * shape[1] * shape[2] * 4)
        vectors = np.frombuffer(raw, "<f4").reshape(shape)
        return Block(block.indices, block.tokens, block.spans, block.errors, vectors)
