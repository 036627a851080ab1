"""Tagged words in columns, one word a line: CoNLL, WNUT, GermEval, characters of Chinese, WikiANN.

Columns stand between tabs or, in lines without one, spaces.  A blank line ends a sentence; of the
blank lines in a row a second one, or a line ``-DOCSTART-``, ends a document (where a file has
neither, it is one document).  Known ways of files:

- GermEval: ``#`` lines are remarks, the first column is the word's number, then word, outer and
  inner tag; the outer one is read.
- Chinese with positions: ``声0`` is the character and its place in its word, which is dropped.
- WikiANN: every word has the language before it, ``en:Sioux``, which is dropped.
- One sentence a line: words between spaces, tab, tags between spaces, below the head
  ``text_a<tab>label``.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bertfeat.features.reader import Line
from bertfeat.ner.sentences import Sentence

DOCUMENT = "-DOCSTART-"
TAG = re.compile(r"O$|[BIOESLUM]-\S")
POSITION = re.compile(r".+\d$", re.DOTALL)
LANGUAGE = re.compile(r"[a-z]{2,3}:.")


@dataclass
class Table:
    """Rows read so far, in sentences, and what is wrong with others.

    Attributes:
        bad: (line's number from 1, what is wrong).
    """

    sentences: list[list[list[str]]] = field(default_factory=lambda: [[]])
    documents: list[int] = field(default_factory=lambda: [0])
    bad: list[tuple[int, str]] = field(default_factory=list)
    document: int = 0
    blanks: int = 0

    def end_sentence(self, *, document: bool = False) -> None:
        """Begin a new sentence, and a new document if so told."""
        self.blanks += 1
        if document or self.blanks == 2:
            self.document += 1
        if self.sentences[-1]:
            self.sentences.append([])
            self.documents.append(self.document)
        self.documents[-1] = self.document

    def add(self, row: list[str]) -> None:
        """Append a row to the sentence."""
        self.blanks = 0
        self.sentences[-1].append(row)


def read_columns(
    lines: Iterable[Line], column: int = -1
) -> tuple[list[Sentence], list[tuple[int, str]]]:
    """Read tagged words in columns.

    Args:
        lines: of the file.
        column: that of the tags; GermEval's is always the third.

    Returns:
        The sentences, and what is wrong with which line.
    """
    table = Table()
    numbered = False
    for line in lines:
        text = line.text.strip(" \r\ufeff")
        if line.error:
            table.bad.append((line.index + 1, line.error))
        elif not text.strip():
            table.end_sentence()
        elif text.startswith(DOCUMENT):
            table.end_sentence(document=True)
        else:
            row = text.split("\t") if "\t" in text else re.split(" +", text)
            if row[0] == "#" and not (len(row) > 1 and TAG.match(row[column])):
                numbered = numbered or "\t" in text
                continue
            if numbered or (len(row) == 4 and row[0] == "1" and TAG.match(row[2])):
                numbered = True
                row = row[1:3]
            _check(table, line.index + 1, row, column)
    rows = [rows for rows in table.sentences if rows]
    words = _cleaned([[row[0] for row in sentence] for sentence in rows])
    documents = [d for d, kept in zip(table.documents, table.sentences, strict=True) if kept]
    return [
        Sentence(tuple(w), tuple(row[column] for row in sentence), document)
        for w, sentence, document in zip(words, rows, documents, strict=True)
    ], table.bad


def read_word_lines(lines: Iterable[Line]) -> tuple[list[Sentence], list[tuple[int, str]]]:
    """Read sentences of one line each: words, a tab, tags."""
    found, bad = [], []
    for line in lines:
        parts = line.text.strip("\r\ufeff").split("\t")
        if line.index == 0 and parts == ["text_a", "label"]:
            continue
        words, tags = (part.split(" ") for part in (parts[0], parts[-1]))
        wrong = line.error or _wrong_line(parts, words, tags)
        if wrong:
            bad.append((line.index + 1, wrong))
        else:
            found.append(Sentence(tuple(words), tuple(tags)))
    return found, bad


def write_columns(sentences: Iterable[Sentence]) -> Iterator[str]:
    """Yield the lines of a file with one word and its tag a line, documents two blanks apart."""
    before = None
    for sentence in sentences:
        if before is not None and sentence.document != before:
            yield ""
        before = sentence.document
        for word, tag in zip(sentence.words, sentence.tags or (), strict=True):
            yield f"{word}\t{tag}"
        yield ""


def _check(table: Table, number: int, row: list[str], column: int) -> None:
    if len(row) < 2 or not -len(row) <= column < len(row):
        wrong = f"{len(row)} column(s), expected a word and a tag"
    elif not row[0]:
        wrong = "an empty word"
    elif not TAG.match(row[column]):
        wrong = f"{row[column]!r} is no tag (expected O, or a letter, - and a type)"
    else:
        table.add(row)
        return
    table.bad.append((number, wrong))


def _wrong_line(parts: list[str], words: list[str], tags: list[str]) -> str:
    if len(parts) != 2:
        return f"{len(parts)} column(s), expected words, a tab and tags"
    if len(words) != len(tags) or not all(words):
        return f"{len(words)} word(s) and {len(tags)} tag(s), expected as many, none empty"
    wrong = next((tag for tag in tags if not TAG.match(tag)), None)
    return f"{wrong!r} is no tag" if wrong else ""


def _cleaned(sentences: list[list[str]]) -> list[list[str]]:
    """Drop positions behind characters, or languages before words, where every word has one."""
    words = [word for sentence in sentences for word in sentence]
    if words and all(POSITION.match(word) for word in words):
        return [[word[0] + word[1:].rstrip("0123456789") for word in s] for s in sentences]
    if words and all(LANGUAGE.match(word) for word in words):
        return [[word.partition(":")[2] for word in sentence] for sentence in sentences]
    return sentences
