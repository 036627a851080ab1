"""Scores of files with a gold and a predicted tag a word, for any system's output."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertfeat.errors import InputError, listed
from bertfeat.features.reader import open_lines
from bertfeat.ner.schemes import convert, to_spans
from bertfeat_tools.scoring.bootstrap import Statistic, mean_and_sd, paired_bootstrap
from bertfeat_tools.scoring.chunks import Sentences, score_chunks

Pair = tuple[list[list[str]], list[list[str]]]


def read_predictions(path: Path, *, raw: bool = False) -> Pair:
    """Read gold and predicted tags, the last two columns of each line.

    IOBES, BILOU and BMES become IOB2, as conlleval knows none of them.

    Args:
        path: words and tags in columns, blank lines between sentences.
        raw: leave the tags as they stand.

    Raises:
        InputError: lines have fewer than two columns (all are listed).
    """
    sentences: list[list[list[str]]] = [[]]
    bad = []
    with open_lines(str(path)) as reader:
        for line in reader:
            row = line.text.split()
            if line.error or len(row) == 1:
                bad.append(f"line {line.index + 1}: {line.error or 'one column'}")
            elif row and not row[0].startswith("-DOCSTART-"):
                sentences[-1].append(row[-2:])
            elif sentences[-1]:
                sentences.append([])
    if bad:
        raise InputError(f"{path}: expected a gold and a predicted tag a line{listed(bad)}")
    kept = [rows for rows in sentences if rows]
    gold, predicted = ([[row[side] for row in rows] for rows in kept] for side in (0, 1))
    return (gold, predicted) if raw else (_plain(gold), _plain(predicted))


def report(gold: Sentences, predicted: Sentences, mode: str, scheme: str) -> dict[str, Any]:
    """Return entity scores, by type too, and token scores under names of their own."""
    table = score_chunks(gold, predicted, mode=mode, scheme=scheme)
    whole = table.pop("")
    types = {kind: score.to_dict() for kind, score in table.items()}
    return whole.to_dict() | {"types": types, **token_scores(gold, predicted)}


def score_files(
    files: Sequence[Path], *, mode: str, scheme: str, against: Path | None = None, seed: int = 0
) -> dict[str, Any]:
    """Score the file of one run, or those of several with mean and deviation.

    Args:
        files: see :func:`read_predictions`.
        mode: ``conlleval`` or ``strict``.
        scheme: for ``strict``.
        against: another system's file, with which the first is compared.
        seed: of the bootstrap.
    """
    pairs = [read_predictions(path, raw=mode == "strict") for path in files]
    runs = [report(*pair, mode, scheme) for pair in pairs]
    found: dict[str, Any] = dict(runs[0])
    if len(runs) > 1:
        names = [name for name, value in runs[0].items() if isinstance(value, float)]
        found = dict(mean_and_sd([{name: run[name] for name in names} for run in runs]))
    if against is not None:
        other = read_predictions(against)
        found["against"] = compare(read_predictions(files[0]), other, seed)
    return found


def token_scores(gold: Sentences, predicted: Sentences) -> dict[str, float]:
    """Return accuracy, and precision, recall and F1 of single tags other than O.

    The micro ones count all such tags together; ``token_f1_macro`` is the mean over the tags.
    """
    pairs = Counter(
        pair for g, p in zip(gold, predicted, strict=True) for pair in zip(g, p, strict=True)
    )
    golds, guesses = Counter[str](), Counter[str]()
    for (gold_tag, guess), count in pairs.items():
        golds[gold_tag] += count
        guesses[guess] += count
    tags = sorted((golds | guesses).keys() - {"O"})
    right = sum(pairs[tag, tag] for tag in tags)
    of_guesses, of_golds = (sum(c[tag] for tag in tags) for c in (guesses, golds))
    f1s = [2 * pairs[tag, tag] / (golds[tag] + guesses[tag]) for tag in tags]
    return {
        "token_accuracy": sum(pairs[t, t] for t in golds) / max(golds.total(), 1),
        "token_precision_micro": right / max(of_guesses, 1),
        "token_recall_micro": right / max(of_golds, 1),
        "token_f1_micro": 2 * right / max(of_guesses + of_golds, 1),
        "token_f1_macro": sum(f1s) / max(len(f1s), 1),
    }


def compare(first: Pair, second: Pair, seed: int = 0) -> dict[str, float]:
    """Compare the entity F1 of two systems on the same sentences by a paired bootstrap.

    Raises:
        InputError: the gold tags differ.
    """
    if first[0] != second[0]:
        raise InputError("expected two predictions of the same sentences, the gold tags differ")
    found = paired_bootstrap(len(first[0]), _f1(first), _f1(second), seed=seed)
    return found["f1"]._asdict()


def _f1(pair: Pair) -> Statistic:
    """Return the entity F1 of a selection of sentences."""
    counts = np.array([
        (len(set(left) & set(right)), len(right) + len(left))
        for left, right in ((to_spans(g), to_spans(p)) for g, p in zip(*pair, strict=True))
    ]).reshape(-1, 2)  # fmt: skip

    def statistic(rows: NDArray[np.intp]) -> dict[str, float]:
        correct, both = counts[rows].sum(axis=0)
        return {"f1": 2 * float(correct) / max(float(both), 1.0)}

    return statistic


def _plain(sentences: list[list[str]]) -> list[list[str]]:
    letters = {tag[0] for tags in sentences for tag in tags}
    if letters & set("ESLUM") and not letters <= set("OIE"):
        return [convert(tags, "IOB2") for tags in sentences]
    return sentences
