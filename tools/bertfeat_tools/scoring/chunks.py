"""Entity scores: conlleval as its Perl script prints it, and strict ones by scheme as seqeval's."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bertfeat.errors import InputError
from bertfeat.ner.schemes import Span, split_tag, to_spans

Sentences = Sequence[Sequence[str]]

# What begins, goes on and ends a chunk in seqeval's strict mode: (letters before, letters now,
# whether the type must be the same (=), another (!) or any (*)).
ANY = "IOBESLUM"
STRICT: dict[str, dict[str, tuple[tuple[str, str, str], ...]]] = {
    "IOB1": {
        "start": (("O", "I", "*"), ("I", "I", "!"), ("B", "I", "*"), ("I", "B", "="),
                  ("B", "B", "=")),
        "inside": (("B", "I", "="), ("I", "I", "=")),
        "end": (("I", "I", "!"), ("I", "O", "*"), ("I", "B", "*"), ("B", "O", "*"),
                ("B", "I", "!"), ("B", "B", "=")),
    },
    "IOB2": {
        "start": ((ANY, "B", "*"),),
        "inside": (("B", "I", "="), ("I", "I", "=")),
        "end": (("I", "O", "*"), ("I", "I", "!"), ("I", "B", "*"), ("B", "O", "*"),
                ("B", "I", "!"), ("B", "B", "*")),
    },
    "IOE1": {
        "start": (("O", "I", "*"), ("I", "I", "!"), ("E", "I", "*"), ("E", "E", "=")),
        "inside": (("I", "I", "="), ("I", "E", "=")),
        "end": (("I", "I", "!"), ("I", "O", "*"), ("I", "E", "!"), ("E", "I", "="),
                ("E", "E", "=")),
    },
    "IOE2": {
        "start": (("O", "I", "*"), ("O", "E", "*"), ("E", "I", "*"), ("E", "E", "*"),
                  ("I", "I", "!"), ("I", "E", "!")),
        "inside": (("I", "E", "="), ("I", "I", "=")),
        "end": (("E", ANY, "*"),),
    },
    "IOBES": {
        "start": ((ANY, "B", "*"), (ANY, "S", "*")),
        "inside": (("B", "I", "="), ("B", "E", "="), ("I", "I", "="), ("I", "E", "=")),
        "end": (("S", ANY, "*"), ("E", ANY, "*")),
    },
}  # fmt: skip
TRANSLATED = {"BILOU": ("IOBES", str.maketrans("LU", "ES")),
              "BMES": ("IOBES", str.maketrans("M", "I"))}  # fmt: skip


@dataclass(frozen=True)
class Score:
    """Counts of one type, or of all.

    Attributes:
        correct: predicted chunks that are gold ones.
        predicted, gold: chunks.
    """

    correct: int
    predicted: int
    gold: int

    @property
    def precision(self) -> float:
        """Correct of the predicted; 0 without any."""
        return self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Correct of the gold ones; 0 without any."""
        return self.correct / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where both are."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0

    def to_dict(self) -> dict[str, float | int]:
        """Return counts and scores."""
        scores = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return scores | {name: getattr(self, name) for name in ("correct", "predicted", "gold")}


def score_chunks(
    gold: Sentences, predicted: Sentences, *, mode: str = "conlleval", scheme: str = "IOB2"
) -> dict[str, Score]:
    """Compare chunks; the key ``""`` is all types together.

    Args:
        gold: tags of each sentence.
        predicted: those of the same words.
        mode: ``conlleval`` (illegal sequences repaired; see ``bertfeat.ner.schemes``) or
            ``strict`` (what the scheme does not allow is no chunk).
        scheme: for ``strict``.

    Raises:
        InputError: lengths differ, or a tag is not of the scheme.
    """
    check_lengths(gold, predicted)
    read = to_spans if mode == "conlleval" else lambda tags: strict_spans(tags, scheme)
    counts: tuple[Counter[str], ...] = (Counter(), Counter(), Counter())
    for golds, guesses in zip(gold, predicted, strict=True):
        left, right = set(read(golds)), set(read(guesses))
        for counter, found in zip(counts, (left & right, right, left), strict=True):
            counter.update(kind for _, _, kind in found)
    kinds = sorted(set().union(*counts))
    table = {kind: Score(*(counter[kind] for counter in counts)) for kind in kinds}
    return {"": Score(*(counter.total() for counter in counts))} | table


def strict_spans(tags: Sequence[str], scheme: str) -> list[Span]:
    """Read the chunks that are written as the scheme wants, as seqeval's strict mode does.

    Raises:
        InputError: a tag has a letter that the scheme lacks.
    """
    name, table = TRANSLATED.get(scheme, (scheme, {}))
    patterns = STRICT[name]
    parts = [split_tag(tag) for tag in tags]
    read = [(letter.translate(table), kind or "_") for letter, kind in parts] + [("O", "_")]
    known = {letter for rows in patterns.values() for _, now, _ in rows for letter in now} | {"O"}
    known -= set(ANY) - set({"IOBES": "IOBES", "IOE2": "IOE"}.get(name, "IOBE"))
    wrong = [tag for tag, (letter, _) in zip(tags, read, strict=False) if letter not in known]
    if wrong:
        raise InputError(f"the tag {wrong[0]!r} is not of the scheme {scheme}")
    return _strict_chunks(read, patterns)


def conlleval(gold: Sentences, predicted: Sentences) -> str:
    """Return what the CoNLL-2000 Perl script ``conlleval`` prints for sentences."""
    table = score_chunks(gold, predicted)
    whole = table.pop("")
    pairs = [pair for g, p in zip(gold, predicted, strict=True) for pair in zip(g, p, strict=True)]
    right = 100 * sum(a == b for a, b in pairs) / len(pairs) if pairs else 0.0
    lines = [
        f"processed {len(pairs)} tokens with {whole.gold} phrases; "
        f"found: {whole.predicted} phrases; correct: {whole.correct}.",
        f"accuracy: {right:6.2f}%; {_percents(whole)}",
    ]
    for kind, score in table.items():
        lines.append(f"{kind:>17}: {_percents(score)}  {score.predicted}")
    return "\n".join(lines) + "\n"


def check_lengths(gold: Sentences, predicted: Sentences) -> None:
    """Check that both sides tag the same words.

    Raises:
        InputError: they do not; names the first sentence that differs.
    """
    if len(gold) != len(predicted):
        raise InputError(f"{len(gold)} gold sentences, but {len(predicted)} predicted ones")
    for number, (left, right) in enumerate(zip(gold, predicted, strict=True), 1):
        if len(left) != len(right):
            raise InputError(
                f"sentence {number} has {len(left)} gold tags, but {len(right)} predicted ones"
            )


def _percents(score: Score) -> str:
    return (
        f"precision: {100 * score.precision:6.2f}%; recall: {100 * score.recall:6.2f}%; "
        f"FB1: {100 * score.f1:6.2f}"
    )


def _strict_chunks(
    parts: list[tuple[str, str]], patterns: dict[str, tuple[tuple[str, str, str], ...]]
) -> list[Span]:
    """Walk as seqeval does: from a start as far as the inside goes, kept if it ends well."""
    found: list[Span] = []
    place, before = 0, ("O", "_")
    while place < len(parts):
        if _fits(before, parts[place], patterns["start"]):
            stop = place + 1
            while stop < len(parts) and _fits(parts[stop - 1], parts[stop], patterns["inside"]):
                stop += 1
            if stop < len(parts) and _fits(parts[stop - 1], parts[stop], patterns["end"]):
                found.append((place, stop, parts[place][1]))
            place = stop
        else:
            place += 1
        before = parts[place - 1]
    return found


def _fits(
    before: tuple[str, str], now: tuple[str, str], rows: Iterable[tuple[str, str, str]]
) -> bool:
    same = before[1] == now[1]
    return any(
        before[0] in left and now[0] in right and (kind == "*" or (kind == "=") == same)
        for left, right, kind in rows
    )
