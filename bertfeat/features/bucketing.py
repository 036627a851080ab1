"""How many lines are in work at a time: enough to sort by length, few enough for memory.

The encoder sorts the texts of one call by length and answers in order; here the calls are made.
Where a chunk ends depends on its own lines only, so that a run that is taken up again at the start
of a chunk makes the same chunks as one that was never interrupted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bertfeat.features.reader import Line

BYTES_PER_TOKEN = 3
"""Of UTF-8, at least, in ordinary text: one Chinese character, or most of an English word piece."""
SPECIAL_TOKENS = 2


@dataclass(frozen=True)
class ChunkSize:
    """When a chunk is full.

    Attributes:
        lines: most lines of a chunk.
        tokens: most tokens of a chunk, estimated, unless a single line has more.
        max_seq_len: tokens that are read of one line; None where long lines are read whole.
    """

    lines: int
    tokens: int
    max_seq_len: int | None = None

    def estimate(self, text: str) -> int:
        """Return about how many tokens of a text will be computed."""
        tokens = len(text.encode()) // BYTES_PER_TOKEN + SPECIAL_TOKENS
        return min(tokens, self.max_seq_len) if self.max_seq_len else tokens


def chunks(lines: Iterable[Line], size: ChunkSize) -> Iterator[list[Line]]:
    """Group lines in their order, never reading a line beyond the chunk that is handed out."""
    chunk: list[Line] = []
    tokens = 0
    for line in lines:
        chunk.append(line)
        tokens += size.estimate(line.text)
        if len(chunk) >= size.lines or tokens >= size.tokens:
            yield chunk
            chunk, tokens = [], 0
    if chunk:
        yield chunk
