"""Where rows go: straight into a pipe, or into a file that appears whole or not at all.

A file grows under ``NAME.part`` (and ``NAME.part.…``, as its format needs); beside it a journal,
``NAME.part.json``, says after each chunk how far everything is whole.  Killed at any moment, a run
is taken up again there.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Generic, Protocol, TypeVar, cast

from bertfeat.errors import InputError
from bertfeat.features.reader import LineReader
from bertfeat.features.writers.gzip_stream import GzipMember
from bertfeat.features.writers.journal import Journal, Report
from bertfeat.features.writers.rows import Format, Row

RowT = TypeVar("RowT", bound=Row, contravariant=True)


class Output(Protocol[RowT]):
    """Takes rows in the order of the input."""

    def begin(self, reader: LineReader) -> Report:
        """Get ready; return the state from which to go on, the reader being there already."""

    def append(self, row: RowT) -> None:
        """Take a row."""

    def checkpoint(self, reader: LineReader, report: Report) -> None:
        """Note that all rows up to the reader's line were taken."""

    def finish(self) -> None:
        """Show the result: all rows were taken."""

    def close(self) -> None:
        """Let go of the files; what is unfinished stays where it is."""


class PipeOutput(Generic[RowT]):
    """Writes text to a stream at once; there is nothing to resume."""

    def __init__(self, stream: BinaryIO, form: Format[RowT]) -> None:
        """Write to a stream in a text format."""
        self._stream, self._format = stream, form

    def begin(self, reader: LineReader) -> Report:
        """Write what comes before all rows."""
        self._format.begin([self._stream])
        return Report()

    def append(self, row: RowT) -> None:
        """Write a row."""
        self._format.append(row, [self._stream])

    def checkpoint(self, reader: LineReader, report: Report) -> None:
        """Let the reader of the pipe have the rows."""
        self._stream.flush()

    def finish(self) -> None:
        """Let the reader of the pipe have all."""
        self._stream.flush()

    def close(self) -> None:
        """Leave the stream to its owner."""


class FileOutput(Generic[RowT]):
    """Writes parts beside the target and turns them into it at the end."""

    def __init__(
        self, target: Path, form: Format[RowT], job: Mapping[str, Any], *, resume: bool = False
    ) -> None:
        """Prepare the output; nothing is touched before :meth:`begin`.

        Args:
            target: the file to make.
            form: its format.
            job: everything that the result depends on besides the input.
            resume: go on with the parts of an interrupted run, if there are any.
        """
        self._target = target.resolve()
        self._format, self._job, self._resume = form, job, resume
        self.part = self._target.with_name(f"{self._target.name}.part")
        self.parts = [Path(f"{self.part}{suffix}") for suffix in form.streams]
        self.journal = Path(f"{self.part}.json")
        self._files: list[BinaryIO] = []
        self._member: GzipMember | None = None

    def begin(self, reader: LineReader) -> Report:
        """Open the parts, cut to where they are whole; bring the reader to that line.

        Raises:
            InputError: the parts belong to another run, or the input has changed.
        """
        if self._resume and self.journal.exists():
            return self._take_up(reader)
        if self._resume and self._target.exists():
            raise InputError(
                f"{self._target} exists and no unfinished part of it does: nothing to resume; "
                "remove it or leave --resume out to make it anew"
            )
        self.journal.unlink(missing_ok=True)
        self._files = [path.open("wb") for path in self.parts]
        self._format.begin(self._files)
        return Report()

    def append(self, row: RowT) -> None:
        """Write a row to the parts."""
        with self._told():
            if self._is_gzip:
                self._member = self._member or GzipMember(self._files[0])
                self._format.append(row, [cast(BinaryIO, self._member)])
            else:
                self._format.append(row, self._files)

    def checkpoint(self, reader: LineReader, report: Report) -> None:
        """Bring the parts to the disk, then the journal.

        A gzip member ends here, so that a resumed file has the bytes of an uninterrupted one.
        """
        with self._told():
            if self._member:
                self._member.end()
                self._member = None
            for file in self._files:
                file.flush()
                os.fsync(file.fileno())
            sizes = tuple(file.tell() for file in self._files)
            Journal(self._job, reader.digest, sizes, report).save(self.journal)

    def finish(self) -> None:
        """Make the target from the parts and remove them."""
        with self._told():
            if self._is_gzip and not self._files[0].tell():
                GzipMember(self._files[0]).end()
            for file in self._files:
                file.close()
            self._format.finish(self.parts, self._target)
        self.journal.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the parts and leave them where they are."""
        for file in self._files:
            with suppress(OSError):
                file.close()

    @property
    def _is_gzip(self) -> bool:
        return self._target.suffix == ".gz"

    def _take_up(self, reader: LineReader) -> Report:
        journal = Journal.load(self.journal)
        journal.check_job(self._job, self.part)
        reader.skip(journal.report.lines)
        if (reader.lines, reader.digest) != (journal.report.lines, journal.digest):
            raise InputError(
                f"{reader.name}: the first {journal.report.lines} lines are not those from which "
                f"{self.part} was made; start anew without --resume"
            )
        for path, size in zip(self.parts, journal.sizes, strict=True):
            if not path.exists() or path.stat().st_size < size:
                raise InputError(
                    f"{path} is missing or shorter than {self.journal} says; "
                    "start anew without --resume"
                )
        self._files = [path.open("r+b") for path in self.parts]
        for file, size in zip(self._files, journal.sizes, strict=True):
            file.truncate(size)
            file.seek(size)
        return journal.report

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say which file could not be written, and that nothing is lost."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise OSError(
                error.errno,
                f"{reason} (nothing is under the final name; --resume goes on from here)",
                str(self.part),
            ) from error
