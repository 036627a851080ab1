"""brat's standoff: ``name.txt``, a sentence a line, and ``name.ann`` with the entities in it.

An entity's line is ``T1<tab>type start end<tab>text``, start and end (last character + 1) counting
characters of the whole text, line ends among them (https://brat.nlplab.org/standoff.html).  Lines
of relations, events, attributes and notes are passed over.  An entity of several pieces, or of
several lines, is an error.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bertfeat.errors import InputError
from bertfeat.features.reader import Line
from bertfeat.ner.schemes import Span
from bertfeat.ner.sentences import Sentence, from_text
from bertfeat.ner.span_lines import entities_of

SUFFIX, TEXT_SUFFIX = ".ann", ".txt"
ENTITY = re.compile(r"T\S*\t(.*\S) (\d+) (\d+)(?:\t(.*))?", re.DOTALL)
OTHERS = ("R", "E", "M", "A", "N", "#", "*")

Located = tuple[int, Span]
"""Number of a line of text and an entity in it."""


def write_standoff(sentences: Iterable[Sentence]) -> Iterator[str]:
    """Yield the lines of entities; offsets count in the sentences' texts, one a line.

    Raises:
        InputError: a type or an entity has a tab or a line end, which the format cannot hold.
    """
    start, number = 0, 0
    for sentence in sentences:
        for entity in entities_of(sentence):
            number += 1
            if re.search(r"[\t\n]", entity["label"] + entity["text"]):
                raise InputError(
                    f"standoff holds no tab and no line end, but there is {entity['label']!r} at "
                    f"{entity['text']!r:.60}; write JSON lines"
                )
            first, stop = start + entity["start"], start + entity["end"]
            yield f"T{number}\t{entity['label']} {first} {stop}\t{entity['text']}"
        start += len(sentence.text) + 1


def read_standoff(
    path: Path, lines: Iterable[Line]
) -> tuple[list[Sentence], list[tuple[int, str]]]:
    """Read the text beside a file of entities, a sentence a line; a blank line begins a document.

    Of overlapping entities the longest stays.

    Args:
        path: of the entities; the text has its name, but ends in ``.txt``.
        lines: the entities.

    Returns:
        The sentences, and what is wrong with which line of entities.

    Raises:
        InputError: the text is no UTF-8.
        OSError: it cannot be opened.
    """
    texts = _text_of(path).split("\n")
    starts = [0]
    for text in texts:
        starts.append(starts[-1] + len(text) + 1)
    spans: dict[int, list[Span]] = {}
    bad = []
    for line in lines:
        if not line.text.strip() and not line.error or line.text.startswith(OTHERS):
            continue
        found = line.error or _entity(line.text, texts, starts)
        if isinstance(found, str):
            bad.append((line.index + 1, found))
        else:
            spans.setdefault(found[0], []).append(found[1])
    sentences, document = [], 0
    for number, text in enumerate(texts[:-1] if texts[-1] == "" else texts):
        document += not text.strip()
        sentences.append(from_text(text, spans.get(number, ()), document))
    return sentences, bad


def _text_of(path: Path) -> str:
    place = path.with_suffix(TEXT_SUFFIX)
    try:
        return place.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{place}: {error}; save the file as UTF-8") from error


def _entity(line: str, texts: Sequence[str], starts: Sequence[int]) -> Located | str:
    """Return an entity, or what is wrong with its line."""
    match = ENTITY.fullmatch(line)
    if match is None:
        return f"{line!r:.60} is no entity in one piece (expected T1, tab, type, start, end)"
    kind, first, stop, surface = match[1], int(match[2]), int(match[3]), match[4]
    number = bisect_right(starts, first) - 1
    if not (number < len(texts) and first < stop <= starts[number] + len(texts[number])):
        return f"{first} {stop} lies in no line of the text, whose length is {starts[-1] - 1}"
    start, end = first - starts[number], stop - starts[number]
    if surface is not None and surface != texts[number][start:end]:
        return f"the text has {texts[number][start:end]!r:.40} at {first}, not {surface!r:.40}"
    return number, (start, end, kind)
