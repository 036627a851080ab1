"""Tagged texts as JSON lines, spans in characters: ours and CLUENER's."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from bertfeat.features.reader import Line
from bertfeat.ner.schemes import Span
from bertfeat.ner.sentences import Sentence, from_text


def read_span_lines(lines: Iterable[Line]) -> tuple[list[Sentence], list[tuple[int, str]]]:
    """Read texts with their entities.

    A line is ``{"text", "entities": [{"start", "end", "label"}]}``, the end being that of the last
    character + 1, or CLUENER's ``{"text", "label": {type: {surface: [[first, last]]}}}``; then
    ``document`` (any value) tells documents apart.  Of overlapping entities the longest stays.
    A line without entities has no tags.
    """
    found: list[Sentence] = []
    bad: list[tuple[int, str]] = []
    documents: dict[str, int] = {}
    for line in lines:
        if not line.error and not line.text.strip():
            continue
        try:
            text, spans, document = _parse(line)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            bad.append((line.index + 1, line.error or _reason(error)))
            continue
        number = documents.setdefault(json.dumps(document), len(documents))
        found.append(from_text(text, spans, number))
    return found, bad


def write_span_lines(sentences: Iterable[Sentence]) -> Iterator[str]:
    """Yield our JSON lines of tagged sentences."""
    for sentence in sentences:
        yield json.dumps(
            {"text": sentence.text, "entities": entities_of(sentence)}, ensure_ascii=False
        )


def entities_of(sentence: Sentence) -> list[dict[str, Any]]:
    """Return the tagged entities: start, end (last character + 1), label, text."""
    found = []
    for first, stop, kind in sentence.spans:
        start, end = sentence.offsets[first][0], sentence.offsets[stop - 1][1]
        text = sentence.text[start:end]
        found.append({"start": start, "end": end, "label": kind, "text": text})
    return found


def _parse(line: Line) -> tuple[str, list[Span] | None, Any]:
    if line.error:
        raise ValueError(line.error)
    value = json.loads(line.text)
    text = value["text"]
    if not isinstance(text, str):
        raise TypeError(f'"text" is {text!r:.40}, expected a string')
    spans: list[Span] | None = None
    if "entities" in value:
        spans = [(e["start"], e["end"], e["label"]) for e in value["entities"]]
    elif "label" in value:
        spans = [
            (first, last + 1, kind)
            for kind, surfaces in value["label"].items()
            for places in surfaces.values()
            for first, last in places
        ]
    for start, stop, kind in spans or ():
        if not (0 <= start < stop <= len(text) and isinstance(kind, str) and kind):
            raise ValueError(f"{kind!r} at {start}:{stop} is no span of {len(text)} characters")
    return text, spans, value.get("document")


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"the key {error} is missing"
    return str(error) if isinstance(error, ValueError) else f"{error}, expected another shape"
