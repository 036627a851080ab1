"""Word segmentation as SIGHAN's bakeoffs score it: words, and recall of words unknown in training.

A word is right when it begins and ends where the gold word does.  The bakeoffs' own script aligns
the words of a line by ``diff`` instead (Emerson 2005); where a character repeats, that can pair
words at different places and find a few more of them right.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bertfeat.errors import InputError
from bertfeat_tools.table import Problems, read_lines

Words = list[str]
Span = tuple[int, int]
COUNTS = ("right", "gold", "predicted", "unknown", "unknown_right")


def read_sentences(path: Path) -> list[Words]:
    """Return the words of each line, with blanks of any kind between them (U+3000 too).

    Raises:
        InputError: the file is not UTF-8 or has no line.
    """
    found = [line.text.split() for line in read_lines(path)]
    if not found:
        raise InputError(f"expected a sentence a line, {path} is empty; give a segmented text")
    return found


def read_vocabulary(paths: Iterable[Path]) -> frozenset[str]:
    """Return all words of files: SIGHAN's lists of training words, or segmented training texts."""
    return frozenset(word for path in paths for line in read_sentences(path) for word in line)


def check_same_text(gold: list[Words], predicted: list[Words], path: Path) -> None:
    """Check that both segment the same characters.

    Raises:
        InputError: the numbers of lines or the characters of lines differ; all are listed.
    """
    if len(gold) != len(predicted):
        raise InputError(
            f"expected {len(gold)} lines as the gold file has, {path} has {len(predicted)}; give "
            "the segmentation of every line, in order"
        )
    problems = Problems(path)
    for number, (left, right) in enumerate(zip(gold, predicted, strict=True), 1):
        if "".join(left) != "".join(right):
            problems.add(number, f"{''.join(right)!r} instead of {''.join(left)!r}")
    problems.raise_if_any("the characters of the gold file")


def segmentation_statistic(
    gold: list[Words], predicted: list[Words], vocabulary: frozenset[str] | None = None
) -> Callable[[NDArray[np.intp]], dict[str, float]]:
    """Return the scores as a function of the sentences chosen.

    They are ``precision``, ``recall`` and ``f1`` of words.  The words of training add
    ``oov_rate``, the share of gold words that are not among them, ``oov_recall`` and ``iv_recall``,
    the recall of those and of the others (0 where there are none).
    """
    table = np.array([
        _count(left, right, vocabulary) for left, right in zip(gold, predicted, strict=True)
    ])  # fmt: skip

    def score(rows: NDArray[np.intp]) -> dict[str, float]:
        sums = dict(zip(COUNTS, table[rows].sum(axis=0).tolist(), strict=True))
        return _scores(sums, vocabulary is not None)

    return score


def spans(words: Words) -> list[Span]:
    """Return where each word begins and ends, in characters of the line without blanks."""
    ends = np.cumsum([len(word) for word in words]).tolist()
    return list(zip([0, *ends], ends, strict=False))


def _count(gold: Words, predicted: Words, vocabulary: frozenset[str] | None) -> list[int]:
    found = set(spans(predicted))
    hits = [span in found for span in spans(gold)]
    known = frozenset(gold) if vocabulary is None else vocabulary
    unknown = [word not in known for word in gold]
    both = sum(hit and new for hit, new in zip(hits, unknown, strict=True))
    return [sum(hits), len(gold), len(predicted), sum(unknown), both]


def _scores(sums: dict[str, int], has_vocabulary: bool) -> dict[str, float]:
    found = {
        "precision": _share(sums["right"], sums["predicted"]),
        "recall": _share(sums["right"], sums["gold"]),
        "f1": _share(2 * sums["right"], sums["gold"] + sums["predicted"]),
    }
    if has_vocabulary:
        known = sums["gold"] - sums["unknown"]
        found |= {
            "oov_rate": _share(sums["unknown"], sums["gold"]),
            "oov_recall": _share(sums["unknown_right"], sums["unknown"]),
            "iv_recall": _share(sums["right"] - sums["unknown_right"], known),
        }
    return found


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
