"""Files of sentences, tagged or not, whatever their format."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bertfeat.checkpoints.whole_file import whole_file
from bertfeat.errors import InputError, listed
from bertfeat.features.reader import STDIN, Line, open_lines
from bertfeat.ner.columns import TAG, read_columns, read_word_lines, write_columns
from bertfeat.ner.sentences import Sentence, from_text
from bertfeat.ner.span_lines import read_span_lines, write_span_lines
from bertfeat.ner.standoff import SUFFIX, TEXT_SUFFIX, read_standoff, write_standoff

Read = Callable[[Iterable[Line]], tuple[list[Sentence], list[tuple[int, str]]]]


def read_texts(lines: Iterable[Line]) -> tuple[list[Sentence], list[tuple[int, str]]]:
    """Read plain text, one sentence a line; a blank line begins a new document."""
    found, bad, document = [], [], 0
    for line in lines:
        if line.error:
            bad.append((line.index + 1, line.error))
            continue
        document += not line.text.strip()
        found.append(from_text(line.text, document=document))
    return found, bad


READERS: dict[str, Read] = {
    "conll": read_columns,
    "lines": read_word_lines,
    "jsonl": read_span_lines,
    "text": read_texts,
}
STANDOFF = "standoff"
FORMATS = (*READERS, STANDOFF)
WRITERS: dict[str, Callable[[Iterable[Sentence]], Iterator[str]]] = {
    "jsonl": write_span_lines,
    "conll": write_columns,
    STANDOFF: write_standoff,
}


def read_sentences(path: str | Path, format: str = "auto") -> list[Sentence]:
    """Read a file of sentences.

    Args:
        path: ``-`` is standard input; ``.gz`` is unpacked.
        format: ``conll``, ``lines``, ``jsonl``, ``text``, ``standoff`` (an ``.ann`` file with its
            ``.txt`` beside it), or ``auto`` to look at the name and the first lines.

    Raises:
        InputError: lines are wrong; all of them are listed with their numbers.
        OSError: the file cannot be opened.
    """
    with open_lines(str(path)) as reader:
        lines = list(reader)
    if format == "auto":
        format = STANDOFF if str(path).endswith(SUFFIX) else detect_format(lines)
    if format not in FORMATS:
        raise InputError(f"format {format!r} is none of auto, {', '.join(FORMATS)}")
    if format == STANDOFF:
        sentences, bad = read_standoff(_with_text(path), lines)
    else:
        sentences, bad = READERS[format](lines)
    if bad:
        wrong = listed([f"line {number}: {reason}" for number, reason in bad])
        name = "standard input" if path == STDIN else path
        raise InputError(f"{name}: {len(bad)} line(s) cannot be read as {format}{wrong}")
    return sentences


def read_tagged(path: str | Path, format: str = "auto") -> list[Sentence]:
    """Read a file of tagged sentences; those without words are left out.

    Raises:
        InputError: lines are wrong, sentences have no tags, or there is none.
        OSError: the file cannot be opened.
    """
    found = [sentence for sentence in read_sentences(path, format) if sentence.words]
    untagged = [number for number, s in enumerate(found, 1) if s.tags is None]
    if untagged or not found:
        raise InputError(
            f"{path}: expected tagged sentences, "
            + (f"{len(untagged)} have no tags, the first is number {untagged[0]}" if untagged
               else "there is none")
        )  # fmt: skip
    return found


def detect_format(lines: list[Line]) -> str:
    """Return the format that the first lines have."""
    filled = [line.text.strip("\r\ufeff") for line in lines[:200] if line.text.strip()]
    first = filled[0] if filled else ""
    if first.startswith("{"):
        try:
            json.loads(first)
            return "jsonl"
        except ValueError:
            pass
    if first == "text_a\tlabel" or _is_word_line(first):
        return "lines"
    rows = [line.split() for line in filled if not line.startswith(("#", "-DOCSTART-"))]
    tagged = [row for row in rows if len(row) > 1 and any(TAG.match(x) for x in row[1:])]
    return "conll" if rows and len(tagged) > len(rows) / 2 else "text"


def write_sentences(sentences: Iterable[Sentence], path: Path, format: str) -> None:
    """Write tagged sentences to a file, whole or not at all.

    Standoff writes the text too, a sentence a line, unless it lies beside the file already.

    Raises:
        InputError: the format cannot hold the sentences, or another text lies there.
    """
    found = list(sentences)
    with whole_file(path) as temporary:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            file.writelines(f"{line}\n" for line in WRITERS[format](found))
        if format == STANDOFF:
            _write_text(found, path)


def _with_text(path: str | Path) -> Path:
    if Path(path).suffix != SUFFIX:
        raise InputError(f"{path} is no {SUFFIX} file with its text beside it, which standoff is")
    return Path(path)


def _write_text(sentences: list[Sentence], path: Path) -> None:
    broken = next((s.text for s in sentences if "\n" in s.text), None)
    if broken is not None:
        raise InputError(f"standoff holds a sentence a line, not {broken!r:.60}; write JSON lines")
    place = _with_text(path).with_suffix(TEXT_SUFFIX)
    data = "".join(f"{s.text}\n" for s in sentences).encode()
    if place.exists() and place.read_bytes().removesuffix(b"\n") != data.removesuffix(b"\n"):
        raise InputError(f"{place} holds another text; choose another name for the entities")
    if not place.exists():
        with whole_file(place) as temporary:
            temporary.write_bytes(data)


def _is_word_line(line: str) -> bool:
    words, _, tags = line.partition("\t")
    parts = tags.split(" ")
    many = len(parts) > 1 and len(parts) == len(words.split(" "))
    return many and all(TAG.match(tag) for tag in parts)
