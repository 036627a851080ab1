"""Documents from lines of a file: plain texts, or JSON objects with ids and metadata."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from bertfeat.errors import InputError
from bertfeat.features.reader import Line, LineReader
from bertfeat.index.documents import Document, check_ids

FORMATS = ("auto", "text", "jsonl")


class DocumentLines:
    """Reads the documents of a file; blank lines are passed over and counted.

    Args:
        reader: the file.
        form: ``text``: each line is a text; ``jsonl``: each is an object with ``text`` and, if
            wanted, ``id``, whose other keys are metadata; ``auto``: what the first line that is
            not blank looks like.

    Attributes:
        blank: blank lines so far.
    """

    def __init__(self, reader: LineReader, form: str = "auto") -> None:
        self._reader, self._form = reader, form
        self.blank = 0

    def __iter__(self) -> Iterator[Document]:
        """Yield the documents.

        Raises:
            InputError: a line is no document; the message names it.
        """
        lines = self._lines()
        for line in lines:
            if self._form == "auto":
                self._form = "jsonl" if _is_record(line.text) else "text"
            for each in chain([line], lines):
                yield self._document(each)

    def _lines(self) -> Iterator[Line]:
        for line in self._reader:
            if line.error is not None:
                raise InputError(line.error)
            if line.text.strip():
                yield line
            else:
                self.blank += 1

    def _document(self, line: Line) -> Document:
        if self._form == "text":
            return Document(line.text)
        try:
            return record(line.text)
        except InputError as error:
            raise InputError(f"{self._reader.where(line.index)}: {error}") from error


def record(line: str) -> Document:
    """Read one JSON object.

    Raises:
        InputError: it is none, lacks ``text``, or its ``id`` is no id.
    """
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}; --format text takes lines as they are") from error
    if not isinstance(content, dict) or not isinstance(content.get("text"), str):
        raise InputError('expected an object such as {"id": 1, "text": "…"}')
    text, number = content.pop("text"), content.pop("id", None)
    if number is not None:
        number = _id(number)
    return Document(text, number, content or None)


def texts_of(lines: Iterable[Line]) -> Iterator[str]:
    """Yield the texts of lines, blank ones too.

    Raises:
        InputError: a line is no text.
    """
    for line in lines:
        if line.error is not None:
            raise InputError(line.error)
        yield line.text


def _id(number: Any) -> int:
    try:
        return check_ids([number])[0]
    except InputError as error:
        raise InputError(f"id {number!r}: {error}; keep a name of yours in another key") from error


def _is_record(line: str) -> bool:
    try:
        record(line)
    except InputError:
        return False
    return True
