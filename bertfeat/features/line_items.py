"""Input lines as google-research/bert ``extract_features.py`` reads them."""

import re
from dataclasses import dataclass

PAIR = re.compile(r"^(.*) \|\|\| (.*)$")
"""Greedy: the last ``|||`` between two spaces divides a line into a pair."""


@dataclass(frozen=True)
class LineItem:
    """What is encoded of a line.

    Attributes:
        item: the text, or a pair of texts.
        starts: where in the line each of them begins, in characters.
    """

    item: str | tuple[str, str]
    starts: tuple[int, ...]


def parse_line(line: str) -> LineItem:
    """Strip a line and divide it where it is a pair."""
    text = line.strip()
    start = len(line) - len(line.lstrip())
    pair = PAIR.match(text)
    if pair is None:
        return LineItem(text, (start,))
    return LineItem((pair[1], pair[2]), (start, start + pair.start(2)))
