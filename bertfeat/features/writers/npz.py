"""Token vectors as a NumPy archive of flat arrays.

| array | |
|---|---|
| ``vectors`` | float32 (all tokens, layers, hidden) |
| ``layers`` | int32 (layers,), as they were asked for |
| ``lengths`` | int64 (lines,), tokens of each line, 0 where it failed |
| ``tokens`` | str (all tokens,) |
| ``spans`` | int32 (all tokens, 2), characters in the line |
| ``failed`` | int64, numbers of the lines that failed |

``np.split(vectors, lengths.cumsum()[:-1])`` gives one array for each line.
"""

import shutil
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from bertfeat.checkpoints.whole_file import whole_file
from bertfeat.features.writers.token_spool import Block, TokenSpool


class Npz(TokenSpool):
    """An uncompressed archive, but for the tokens, whose padding would fill most of it."""

    def finish(self, parts: Sequence[Path], target: Path) -> None:
        """Copy the spool into the archive, block by block."""
        lines = tokens = 0
        width = 1
        failed: list[int] = []
        for block in self.blocks(parts):
            lines += len(block.indices)
            tokens += len(block.vectors)
            width = max(width, *(len(token) for row in block.tokens for token in row))
            failed += [
                index
                for index, error in zip(block.indices, block.errors, strict=True)
                if error is not None
            ]
        with whole_file(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            layers = np.array(self.layers, np.int32)
            _write(archive, "layers", (len(layers),), "<i4", [layers])
            _write(archive, "failed", (len(failed),), "<i8", [np.array(failed)])
            _write(archive, "lengths", (lines,), "<i8", map(_lengths, self.blocks(parts)))
            _write(archive, "tokens", (tokens,), f"<U{width}", map(_tokens, self.blocks(parts)))
            _write(archive, "spans", (tokens, 2), "<i4", map(_spans, self.blocks(parts)))
            shape = (tokens, len(layers), self.hidden_size)
            with _member(archive, "vectors", shape, "<f4") as member, parts[1].open("rb") as raw:
                shutil.copyfileobj(raw, member, 1 << 20)
        for part in parts:
            part.unlink()


def _write(
    archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: str,
    blocks: Iterable[np.ndarray],
) -> None:  # fmt: skip
    with _member(archive, name, shape, dtype) as member:
        for block in blocks:
            member.write(block.astype(dtype).tobytes())


def _member(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: str) -> Any:
    entry = zipfile.ZipInfo(f"{name}.npy")
    entry.compress_type = zipfile.ZIP_DEFLATED if name == "tokens" else zipfile.ZIP_STORED
    member = archive.open(entry, "w", force_zip64=True)
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    npy_format.write_array_header_1_0(member, header)
    return member


def _lengths(block: Block) -> np.ndarray:
    return np.array([len(tokens) for tokens in block.tokens])


def _tokens(block: Block) -> np.ndarray:
    return np.array([token for row in block.tokens for token in row], np.str_)


def _spans(block: Block) -> np.ndarray:
    return np.array([span for row in block.spans for span in row], np.int32)
