"""One answer of several systems: what their n-best files find likeliest together."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertfeat.errors import InputError, listed
from bertfeat_tools.scoring.span import read_object


def ensemble(paths: Sequence[Path]) -> dict[str, str]:
    """Return for each question the text whose probability, added up over files, is the highest.

    An empty text, no answer, is a candidate like any other.  Equal sums go to what an earlier file
    has earlier.

    Args:
        paths: n-best files as google-research/bert's run_squad.py writes them: an object of
            question identifier to candidates with ``text`` and ``probability``.

    Raises:
        InputError: a file is laid out otherwise, or lacks a question that another one has; all are
            listed.
    """
    found = [_read(path) for path in paths]
    known = dict.fromkeys(name for one in found for name in one)
    missing = [
        f"{path}: {name}" for path, one in zip(paths, found, strict=True)
        for name in known if name not in one
    ]  # fmt: skip
    _raise_if(missing, "the same questions in every n-best file", "lacking")
    return {name: _likeliest([one[name] for one in found]) for name in known}


def _likeliest(lists: Sequence[Sequence[dict[str, Any]]]) -> str:
    sums: Counter[str] = Counter()
    for candidates in lists:
        for one in candidates:
            sums[one["text"]] += one["probability"]
    return sums.most_common(1)[0][0] if sums else ""


def _read(path: Path) -> dict[str, list[dict[str, Any]]]:
    found = read_object(path, "list of candidates")
    bad = [f"{path}: {name}" for name, listed in found.items() if not _is_n_best(listed)]
    _raise_if(bad, 'a list of {"text": …, "probability": …} for each question', "otherwise")
    return found


def _is_n_best(listed: Any) -> bool:
    return isinstance(listed, list) and all(
        isinstance(one, dict)
        and isinstance(one.get("text"), str)
        and isinstance(one.get("probability"), int | float)
        for one in listed
    )


def _raise_if(bad: Sequence[str], expected: str, what: str) -> None:
    if bad:
        raise InputError(f"expected {expected}, {len(bad)} {what}:{listed(bad)}")
