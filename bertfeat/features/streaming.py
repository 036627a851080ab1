"""The loop from lines to rows to an output, the same for every command that reads a file."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from bertfeat.features.bucketing import ChunkSize, chunks
from bertfeat.features.reader import Line, LineReader
from bertfeat.features.writers.journal import Report
from bertfeat.features.writers.output import Output
from bertfeat.features.writers.rows import Row

RowT = TypeVar("RowT", bound=Row)


def stream(
    reader: LineReader,
    compute: Callable[[list[Line], LineReader], Iterable[RowT]],
    output: Output[RowT],
    size: ChunkSize,
    watch: Callable[[LineReader, Report], None] = lambda reader, report: None,
) -> Report:
    """Compute all lines of the input, a chunk at a time, and write them in their order.

    Args:
        reader: the input.
        compute: gives one row for each line of a chunk, in their order.
        output: takes the rows; may begin behind lines that an interrupted run has done.
        size: how many lines are in work at a time.
        watch: is told after each chunk.

    Returns:
        What happened to the lines.
    """
    try:
        report = output.begin(reader)
        for chunk in chunks(reader, size):
            for row in compute(chunk, reader):
                output.append(row)
                report.note(row)
            output.checkpoint(reader, report)
            watch(reader, report)
        output.finish()
        return report
    finally:
        output.close()
