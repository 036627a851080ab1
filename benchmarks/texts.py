"""Real texts of three mixes, read from the third-party test data."""

import csv
import gzip
import io
import os
import zipfile
from pathlib import Path

DATA = Path(
    os.environ.get("BERTFEAT_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)


def short_texts() -> list[str]:
    """Sentences of the STS benchmark, about 14 tokens each."""
    with gzip.open(DATA / "sts" / "stsb-en-dev.csv.gz", "rt", encoding="utf-8") as lines:
        return [text for row in csv.reader(lines) for text in row[:2]]


def long_texts() -> list[str]:
    """Paragraphs of speeches, cut every 180 words: about 230 tokens each."""
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
