"""Lines of a text file, one at a time: plain or gzip, a file or a pipe, good UTF-8 or not.

A line ends at a newline character and nowhere else, so that its number is that of other tools.
"""

import gzip
import hashlib
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from bertfeat.errors import InputError

STDIN = "-"


@dataclass(frozen=True)
class Line:
    """One line of the input.

    Attributes:
        index: counts from 0.
        text: without its line end; empty where the bytes are no text.
        error: what is wrong with the line and where, or None.
    """

    index: int
    text: str
    error: str | None = None


class LineReader:
    """Reads lines, and remembers how far it is and what it has seen.

    Attributes:
        name: the file's name for messages.
        lines: lines handed out so far.
    """

    def __init__(self, stream: BinaryIO, name: str, raw: BinaryIO | None = None) -> None:
        """Read from a stream of bytes.

        Args:
            stream: the text.
            name: the file's name for messages.
            raw: the compressed file below ``stream``, whose position shows the progress.
        """
        self.name = name
        self.lines = 0
        self.bytes_read = 0
        self._stream = stream
        self._raw = raw
        self._seen = hashlib.sha256()

    def __iter__(self) -> Iterator[Line]:
        """Yield the lines that are left.

        Raises:
            InputError: the file's gzip data are damaged or cut off.
        """
        while raw := self._next():
            yield self._line(raw)

    @property
    def digest(self) -> str:
        """The sha256 of all lines handed out so far."""
        return self._seen.hexdigest()

    @property
    def position(self) -> int:
        """Bytes of the file (compressed ones, if it is) that were read."""
        return self._raw.tell() if self._raw else self.bytes_read

    def skip(self, lines: int) -> None:
        """Pass over lines that were worked on before; they count for :attr:`digest`."""
        while self.lines < lines and self._next():
            pass

    def where(self, index: int) -> str:
        """Return the place of a line in words, counting from 1 as editors do."""
        return f"{self.name}, line {index + 1}"

    def _next(self) -> bytes:
        try:
            raw = self._stream.readline()
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(
                f"{self.where(self.lines)}: the gzip data are damaged or cut off ({error}); "
                "make the file anew"
            ) from error
        if raw:
            self._seen.update(raw)
            self.lines += 1
            self.bytes_read += len(raw)
        return raw

    def _line(self, raw: bytes) -> Line:
        index = self.lines - 1
        raw = raw.removesuffix(b"\n").removesuffix(b"\r")
        try:
            return Line(index, raw.decode())
        except UnicodeDecodeError as error:
            reason = (
                f"{self.where(index)}: byte {error.start + 1} (0x{raw[error.start]:02x}) is not "
                "UTF-8; save the file as UTF-8"
            )
            return Line(index, "", reason)


@contextmanager
def open_lines(path: str) -> Iterator[LineReader]:
    """Open a text file for reading; ``-`` is standard input, ``*.gz`` is unpacked on the way.

    Raises:
        OSError: the file cannot be opened.
    """
    if path == STDIN:
        yield LineReader(sys.stdin.buffer, "standard input")
        return
    with Path(path).open("rb") as file:
        if not path.endswith(".gz"):
            yield LineReader(file, path)
            return
        with io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=file))) as unpacked:
            yield LineReader(cast(BinaryIO, unpacked), path, file)
