"""JSON lines as google-research/bert ``extract_features.py`` writes them, byte for byte.

The key ``linex_index`` is spelled so there. A line that failed keeps its place with no features and
a key ``error``; words have ``start`` and ``end``, their characters in the line.
"""

import json
from collections.abc import Sequence
from typing import BinaryIO

from bertfeat.features.writers.decimals import format_rows
from bertfeat.features.writers.rows import Format, TokenRow


class GoogleJsonl(Format[TokenRow]):
    """One JSON object a line: every token, every layer, six decimals."""

    def __init__(self, layers: Sequence[int], *, spans: bool = False) -> None:
        """Set what a line shows.

        Args:
            layers: numbers of the layers as they were asked for, -1 the last.
            spans: also write where each token (or word) stands.
        """
        self._openings = [
            f'{"" if at == 0 else ", "}{{"index": {layer}, "values": ['.encode()
            for at, layer in enumerate(layers)
        ]
        self._spans = spans

    def append(self, row: TokenRow, streams: Sequence[BinaryIO]) -> None:
        """Write the object of one line."""
        streams[0].write(self.line(row))

    def line(self, row: TokenRow) -> bytes:
        """Return the object of one line, with its line end."""
        depth, tokens, width = row.vectors.shape
        values = iter(format_rows(row.vectors.swapaxes(0, 1).reshape(tokens * depth, width)))
        features = [
            b"".join((self._token(row, at), *self._layers([next(values) for _ in range(depth)])))
            for at in range(tokens)
        ]
        error = b"" if row.error is None else b', "error": ' + json.dumps(row.error).encode()
        opening = b'{"linex_index": %d, "features": [' % row.index
        return b"".join((opening, b", ".join(features), b"]", error, b"}\n"))

    def _token(self, row: TokenRow, at: int) -> bytes:
        start, end = row.spans[at]
        place = f', "start": {start}, "end": {end}' if self._spans else ""
        return f'{{"token": {json.dumps(row.tokens[at])}{place}, "layers": ['.encode()

    def _layers(self, values: Sequence[bytes]) -> list[bytes]:
        pieces = [
            piece
            for opening, text in zip(self._openings, values, strict=True)
            for piece in (opening, text, b"]}")
        ]
        return [*pieces, b"]}"]
