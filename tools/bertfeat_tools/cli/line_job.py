"""What the commands share that read lines and write a row for each."""

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click

import bertfeat
from bertfeat.errors import TruncationWarning
from bertfeat.features.bucketing import ChunkSize
from bertfeat.features.reader import STDIN, Line, LineReader, open_lines
from bertfeat.features.streaming import stream
from bertfeat.features.writers.journal import Report
from bertfeat.features.writers.output import FileOutput, Output, PipeOutput
from bertfeat.features.writers.rows import Format, Row
from bertfeat_tools.cli.progress import progress_bar, tell

if TYPE_CHECKING:
    from bertfeat.api import Encoder

RowT = TypeVar("RowT", bound=Row)
WITHOUT_EFFECT = {
    "input_file", "output_file", "file", "output", "bert_config_file", "init_checkpoint",
    "vocab_file", "resume", "quiet", "offline", "device", "threads", "seed", "batch_size",
}  # fmt: skip
INPUT_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)


@dataclass(frozen=True)
class LineJob(Generic[RowT]):
    """From which file to which, computed how.

    Attributes:
        source: input file, ``-`` for standard input.
        target: output file, ``-`` for standard output.
        form: format of the output.
        compute: gives one row for each line of a chunk.
        size: how many lines are in work at a time.
        made_with: everything that the result depends on besides the input.
        limit: tokens read of each line, for the warning.
        resume: go on with an interrupted run.
        quiet: no progress bar.
    """

    source: str
    target: str
    form: Format[RowT]
    compute: Callable[[list[Line], LineReader], Iterable[RowT]]
    size: ChunkSize
    made_with: Mapping[str, Any]
    limit: int
    resume: bool = False
    quiet: bool = False

    def run(self) -> int:
        """Do it; return the exit code."""
        try:
            report = self._stream()
        except KeyboardInterrupt:
            if not is_pipe(self.target):
                click.echo(f"{self.target}: stopped; --resume goes on from here", err=True)
            raise
        return tell(report, self.limit)

    def _stream(self) -> Report:
        with (
            warnings.catch_warnings(),
            open_lines(self.source) as reader,
            self._output() as output,
            progress_bar(self.source, quiet=self.quiet) as watch,
        ):
            warnings.simplefilter("ignore", TruncationWarning)
            return stream(reader, self.compute, output, self.size, watch)

    @contextmanager
    def _output(self) -> Iterator[Output[RowT]]:
        if self.target == STDIN:
            yield PipeOutput(sys.stdout.buffer, self.form)
        elif is_pipe(self.target):
            with Path(self.target).open("wb") as file:
                yield PipeOutput(file, self.form)
        else:
            yield FileOutput(Path(self.target), self.form, self.made_with, resume=self.resume)


def is_pipe(target: str) -> bool:
    """Tell whether an output is written as it comes: stdout, a pipe or a device."""
    path = Path(target)
    return target == STDIN or (path.exists() and not path.is_file())


def check_files(source: str, target: str, *, is_text: bool, resume: bool) -> None:
    """Check what can be checked before a model is loaded.

    Raises:
        click.UsageError: the output cannot be made as asked.
    """
    path = Path(target)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise click.UsageError(f"{target} cannot be written: name a file in an existing folder")
    if is_pipe(target):
        if not is_text:
            raise click.UsageError("this format needs a file to write to; JSON lines go to pipes")
        if resume:
            raise click.UsageError("--resume needs an output file; a pipe cannot be resumed")
    elif source != STDIN and path.exists() and path.samefile(source):
        raise click.UsageError(f"{target} is the input itself; name another output")


def made_with(encoder: "Encoder", options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a result depends on besides the input: the model and a command's options."""
    kept = {name: value for name, value in options.items() if name not in WITHOUT_EFFECT}
    return kept | {
        "version": bertfeat.__version__,
        "model": encoder.model_hash,
        "precision": encoder.precision,
        "lowercase": encoder.tokenizer.lowercase,
    }
