"""What the torch peer of ``fine_tuning.py`` trains: texts, choices, tags under transformers."""

import argparse
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import transformers

IGNORED = -100
TAGS = ["B-W", "I-W"]
Batch = dict[str, Any]
Rows = list[Batch]
"""Of each row its ``input_ids`` and so on as lists, and ``labels``."""


class Job:
    """One kind of task.  The constructor reads and tokenizes.

    Attributes:
        model: with a fresh head.
        train, dev: tokenized rows.
    """

    auto: Any
    model: Any
    train: Rows
    dev: Rows

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
        self.read()

    def read(self) -> None:
        """Set the attributes."""
        raise NotImplementedError

    def predictions(self, logits: Sequence[Any]) -> Any:
        """Return what JSON can hold of the held-out rows' outputs."""
        raise NotImplementedError

    def load(self, **config: Any) -> Any:
        """Return the model with a head of so many labels."""
        return self.auto.from_pretrained(self.options.model, **config)

    def tokens(self, *texts: Any, **more: Any) -> Any:
        """Tokenize texts, or pairs, cut on the right."""
        return self.tokenizer(*texts, truncation=True, max_length=self.options.max_seq_len, **more)

    def collate(self, rows: Sequence[Batch]) -> Batch:
        """Pad rows to the longest."""
        longest = max(len(row["input_ids"]) for row in rows)
        batch = {
            name: torch.tensor([row[name] + [0] * (longest - len(row[name])) for row in rows])
            for name in ("input_ids", "attention_mask", "token_type_ids")
        }
        return {**batch, "labels": self.padded_labels([row["labels"] for row in rows], longest)}

    def padded_labels(self, labels: Sequence[Any], longest: int) -> Any:
        """Return a tensor of labels."""
        return torch.tensor(labels)

    def outputs(self, batch: Batch) -> Sequence[Any]:
        """Return the logits of each row of a batch."""
        labels = batch.pop("labels")
        del labels
        return list(self.model(**batch).logits)

    def loss(self, batch: Batch) -> Any:
        """Return the loss of a batch."""
        return self.model(**batch).loss


class Classify(Job):
    """Classes of texts or pairs."""

    auto = transformers.AutoModelForSequenceClassification

    def read(self) -> None:
        """Tokenize both files; number the classes."""
        parts = [objects(path) for path in (self.options.train, self.options.dev)]
        self.known = sorted({row["label"] for row in parts[0]})
        self.train, self.dev = (self.rows(part) for part in parts)
        self.model = self.load(num_labels=len(self.known))

    def rows(self, part: Rows) -> Rows:
        """Tokenize some rows."""
        return [
            {**self.tokens(*texts_of(row)), "labels": self.known.index(row["label"])}
            for row in part
        ]

    def predictions(self, logits: Sequence[Any]) -> Any:
        """Return the likeliest class of each row."""
        return [self.known[int(row.argmax())] for row in logits]


class Regression(Classify):
    """A value of each text or pair."""

    def read(self) -> None:
        """Tokenize both files."""
        parts = [objects(path) for path in (self.options.train, self.options.dev)]
        self.train, self.dev = (
            [{**self.tokens(*texts_of(row)), "labels": float(row["label"])} for row in part]
            for part in parts
        )
        self.model = self.load(num_labels=1, problem_type="regression")

    def predictions(self, logits: Sequence[Any]) -> Any:
        """Return the value of each row."""
        return [float(row[0]) for row in logits]


class Choice(Job):
    """Which of several second parts is right."""

    auto = transformers.AutoModelForMultipleChoice

    def read(self) -> None:
        """Tokenize each choice with its text."""
        self.train, self.dev = (
            [
                {
                    "choices": [
                        dict(self.tokens(row["text"], choice)) for choice in row["choices"]
                    ],
                    "labels": row["label"],
                }
                for row in objects(path)
            ]
            for path in (self.options.train, self.options.dev)
        )
        self.model = self.load()

    def collate(self, rows: Sequence[Batch]) -> Batch:
        """Pad all choices to the longest, (B, C, S)."""
        flat = [{**choice, "labels": 0} for row in rows for choice in row["choices"]]
        batch = super().collate(flat)
        shape = (len(rows), len(rows[0]["choices"]), -1)
        return {
            name: values.reshape(shape) for name, values in batch.items() if name != "labels"
        } | {"labels": torch.tensor([row["labels"] for row in rows])}

    def predictions(self, logits: Sequence[Any]) -> Any:
        """Return the number of each likeliest choice."""
        return [int(row.argmax()) for row in logits]


class Tag(Job):
    """A tag of each word, read from its first token; words beyond the limit get ``O``."""

    auto = transformers.AutoModelForTokenClassification

    def sentences(self, path: Path) -> list[tuple[list[str], list[str]]]:
        """Read words and tags, one a line with a tab between, blank lines between sentences."""
        parts = path.read_text("utf-8").strip("\n").split("\n\n")
        rows = [[line.split("\t") for line in part.split("\n")] for part in parts]
        return [([row[0] for row in part], [row[-1] for row in part]) for part in rows]

    def read(self) -> None:
        """Tokenize the words; number the tags."""
        parts = [self.sentences(path) for path in (self.options.train, self.options.dev)]
        self.known = sorted(
            {tag for _, tags in parts[0] for tag in tags}, key=lambda t: (t != "O", t)
        )
        self.lengths = [len(words) for words, _ in parts[1]]
        self.train, self.dev = ([self.row(*one) for one in part] for part in parts)
        self.model = self.load(num_labels=len(self.known))

    def row(self, words: list[str], tags: list[str]) -> Batch:
        """Tokenize one sentence; the first token of each word has its tag."""
        found = self.tokens(words, is_split_into_words=True)
        owners: list[int | None] = found.word_ids()
        labels = [
            IGNORED if word is None or word == before else self.known.index(tags[word])
            for before, word in pairwise([None, *owners])
        ]
        return {**found, "labels": labels, "owners": owners}

    def padded_labels(self, labels: Sequence[Any], longest: int) -> Any:
        """Fill up with what the loss ignores."""
        return torch.tensor([row + [IGNORED] * (longest - len(row)) for row in labels])

    def predictions(self, logits: Sequence[Any]) -> Any:
        """Return the tag of each word of each sentence."""
        found = [[self.known[0]] * length for length in self.lengths]
        for tags, row, values in zip(found, self.dev, logits, strict=True):
            for place, label in enumerate(row["labels"]):
                if label != IGNORED:
                    tags[row["owners"][place]] = self.known[int(values[place].argmax())]
        return found


class Segmentation(Tag):
    """Words of texts without blanks: each character begins one or goes on with it."""

    def sentences(self, path: Path) -> list[tuple[list[str], list[str]]]:
        """Read a sentence a line, blanks between words."""
        found = []
        for line in path.read_text("utf-8").splitlines():
            words = line.split()
            tags = [tag for word in words for tag in TAGS[:1] + TAGS[1:] * (len(word) - 1)]
            found.append((list("".join(words)), tags))
        return found


def objects(path: Path) -> Rows:
    """Read JSON lines."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def texts_of(row: Batch) -> list[str]:
    """Return the text or the pair of a row."""
    return [row[name] for name in ("text", "second") if name in row]
