"""Lines to pooled vectors: what ``encode`` and ``sentence2vec`` have in common."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.errors import InputError
from bertfeat.features.bucketing import ChunkSize
from bertfeat.features.vector_rows import VectorRows
from bertfeat.features.writers.json_arrays import JsonArrays
from bertfeat.features.writers.npy import Npy
from bertfeat.features.writers.rows import Format, VectorRow
from bertfeat.features.writers.vector_parquet import VectorParquet
from bertfeat_tools.cli.line_job import LineJob, check_files, made_with
from bertfeat_tools.cli.options import encode_options, load_encoder

CHUNK = ChunkSize(lines=2048, tokens=1 << 18)
BINARY: dict[str, type[Npy]] = {".npy": Npy, ".parquet": VectorParquet}


def pooled_job(source: str, target: str, options: Mapping[str, Any]) -> LineJob[VectorRow]:
    """Load the model and prepare the job; the target's suffix chooses the format.

    Args:
        source: input file or ``-``.
        target: ``.npy``, ``.parquet``, else JSON arrays (``.gz`` behind it packs them); or ``-``.
        options: of loading, of ``Encoder.encode``, ``resume`` and ``quiet``.

    Raises:
        InputError: there would be several vectors for each line.
        click.UsageError: the output cannot be made as asked.
    """
    if options.get("pooling") in ("none", "NONE"):
        raise InputError(
            "pooling='none' gives a vector for each token, and one for each line is written here; "
            "extract_features writes vectors of tokens"
        )
    binary = BINARY.get(Path(target).suffix)
    resume, quiet = options.get("resume", False), options.get("quiet", False)
    check_files(source, target, is_text=binary is None, resume=resume)
    encoder = load_encoder(options)
    chosen = encode_options(options)
    zero = np.zeros_like(encoder.encode([""], **chosen | {"truncate": "right"})[0])
    form: Format[VectorRow] = binary(zero.shape, zero.dtype) if binary else JsonArrays()
    compute = VectorRows(partial(encoder.encode, return_info=True, **chosen), zero)
    limit = chosen.get("max_seq_len") or encoder.max_seq_len
    facts = made_with(encoder, options) | {"format": Path(target).suffix, "chunk": vars(CHUNK)}
    return LineJob(source, target, form, compute, CHUNK, facts, limit, resume, quiet)
