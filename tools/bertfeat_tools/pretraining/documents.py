"""Documents of a corpus, one after the other: text, JSON lines, Parquet; a broken place is told."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from bertfeat.errors import InputError
from bertfeat.features.reader import open_lines

Document = list[str]
"""Its sentences, or other pieces of text, in order."""


def read_documents(paths: Iterable[Path], field: str = "text") -> Iterator[Document]:
    """Yield the documents of files, streaming.

    ``.jsonl`` and ``.parquet`` hold a document a row, whose lines are its sentences; any other
    file is text with a sentence a line and a blank line between documents.  ``.gz`` is unpacked.

    Args:
        paths: of the files.
        field: key or column of the text in JSON lines and Parquet.

    Raises:
        InputError: a line is broken; names file and line.
        OSError: a file cannot be opened.
    """
    for path in paths:
        name = path.name.removesuffix(".gz")
        if name.endswith(".parquet"):
            documents = _parquet(path, field)
        elif name.endswith((".jsonl", ".json")):
            documents = _json_lines(path, field)
        else:
            documents = _text(path)
        yield from (document for document in documents if document)


def _text(path: Path) -> Iterator[Document]:
    document: Document = []
    with open_lines(str(path)) as reader:
        for line in reader:
            if line.error:
                raise InputError(line.error)
            if line.text.strip():
                document.append(line.text.strip())
            elif document:
                yield document
                document = []
    yield document


def _json_lines(path: Path, field: str) -> Iterator[Document]:
    with open_lines(str(path)) as reader:
        for line in reader:
            if not line.error and not line.text.strip():
                continue
            try:
                if line.error:
                    raise ValueError(line.error)
                yield _pieces(json.loads(line.text)[field])
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InputError(
                    f"{reader.where(line.index)}: expected an object with the text in {field!r} "
                    f"({line.error or repr(error)})"
                ) from error


def _parquet(path: Path, field: str) -> Iterator[Document]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=256, columns=[field]):
                for number, text in enumerate(batch.column(0).to_pylist()):
                    if not isinstance(text, str):
                        raise InputError(f"{path}: row {number} of a batch holds {text!r:.40}")
                    yield _pieces(text)
    except (pyarrow.ArrowException, IndexError) as error:
        raise InputError(f"{path} has no text column {field!r}, or is damaged: {error}") from error


def _pieces(text: str) -> Document:
    return [line.strip() for line in text.splitlines() if line.strip()]
