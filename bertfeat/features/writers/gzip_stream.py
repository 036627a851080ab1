"""A gzip member that is written piece by piece into a file that already has others."""

import zlib
from typing import BinaryIO

GZIP_FORMAT = 31
"""zlib's ``wbits`` for a gzip header and trailer; its header has no time, so bytes repeat."""


class GzipMember:
    """Compresses what is written to it; nothing happens to the file when it is dropped."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._compressor = zlib.compressobj(wbits=GZIP_FORMAT)

    def write(self, data: bytes) -> int:
        """Compress some bytes."""
        self._file.write(self._compressor.compress(data))
        return len(data)

    def end(self) -> None:
        """Write the member's trailer."""
        self._file.write(self._compressor.flush())
