"""Token vectors as Parquet, one row for each line.

Columns ``linex_index``, ``tokens``, ``starts`` and ``ends`` (characters in the line), one column
``layer_-1`` … for each layer (a list of vectors, one for each token), and ``error``, null where the
line is good.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.checkpoints.whole_file import whole_file
from bertfeat.features.writers.token_spool import Block, TokenSpool


class TokenParquet(TokenSpool):
    """Gathers rows and writes a row group for every few thousand tokens."""

    def finish(self, parts: Sequence[Path], target: Path) -> None:
        """Write the Parquet file block by block."""
        import pyarrow.parquet as pq

        schema = self._schema()
        with whole_file(target) as temporary, pq.ParquetWriter(temporary, schema) as writer:
            for block in self.blocks(parts):
                writer.write_batch(_batch(schema, block))
        for part in parts:
            part.unlink()

    def _schema(self) -> Any:
        import pyarrow as pa

        vectors = pa.list_(pa.list_(pa.float32(), self.hidden_size))
        numbers = pa.list_(pa.int32())
        return pa.schema(
            [
                ("linex_index", pa.int64()),
                ("tokens", pa.list_(pa.string())),
                ("starts", numbers),
                ("ends", numbers),
                *((f"layer_{layer}", vectors) for layer in self.layers),
                ("error", pa.string()),
            ]
        )


def _batch(schema: Any, block: Block) -> Any:
    import pyarrow as pa

    ends = np.cumsum([0, *(len(tokens) for tokens in block.tokens)]).astype(np.int32)
    spans = np.array([span for row in block.spans for span in row], np.int32).reshape(-1, 2)
    hidden = block.vectors.shape[2]
    layers = [
        pa.FixedSizeListArray.from_arrays(pa.array(block.vectors[:, layer].ravel()), hidden)
        for layer in range(block.vectors.shape[1])
    ]
    columns = [
        pa.array(block.indices, pa.int64()),
        pa.array(block.tokens, pa.list_(pa.string())),
        *(pa.ListArray.from_arrays(ends, pa.array(side)) for side in spans.T),
        *(pa.ListArray.from_arrays(ends, layer) for layer in layers),
        pa.array(block.errors, pa.string()),
    ]
    return pa.record_batch(columns, schema=schema)
