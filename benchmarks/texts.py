"""Real texts of three mixes, and pairs that people scored, read from the third-party test data."""

import csv
import gzip
import io
import os
import zipfile
from pathlib import Path

DATA = Path(
    os.environ.get("BERTFEAT_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)


def sts_pairs(part: str = "dev") -> tuple[list[tuple[str, str]], list[float]]:
    """Return the pairs of the STS benchmark and how alike people found them, 0 to 5."""
    with gzip.open(DATA / "sts" / f"stsb-en-{part}.csv.gz", "rt", encoding="utf-8") as lines:
        rows = list(csv.reader(lines))
    return [(first, second) for first, second, _ in rows], [float(score) for *_, score in rows]


def short_texts() -> list[str]:
    """Sentences of the STS benchmark: the first 512 have 10 tokens each, all have 16."""
    return [text for pair in sts_pairs()[0] for text in pair]


def long_texts() -> list[str]:
    """Paragraphs of speeches, cut every 180 words: about 210 tokens each."""
    with zipfile.ZipFile(DATA / "corpus" / "state_union.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".txt"))
        words = [
            word
            for name in names
            for word in io.TextIOWrapper(archive.open(name), "utf-8", errors="replace")
            .read()
            .split()
        ]
    return [" ".join(words[i : i + 180]) for i in range(0, len(words) - 180, 180)]


def mixed_texts() -> list[str]:
    """Seven short texts for each long one, in a fixed shuffled order: about 35 tokens each."""
    short, long = short_texts(), long_texts()
    return [long[i // 8] if i % 8 == 5 else short[i] for i in range(len(short))]


MIXES = {"short": short_texts, "mixed": mixed_texts, "long": long_texts}
COUNTS = {"short": 512, "mixed": 256, "long": 64}
"""Texts of each mix that one turn encodes: 5,000 to 14,000 tokens."""
