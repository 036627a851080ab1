"""Segmented texts as sentences of tagged characters: SIGHAN's lines, words of CoNLL-U."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from bertfeat.errors import InputError
from bertfeat.ner.schemes import to_spans
from bertfeat.ner.sentences import Sentence
from bertfeat_tools.scoring.segmentation import Words, read_sentences
from bertfeat_tools.table import Problems, read_lines

LABELS = ("I-W", "B-W")
"""Of the characters within a word and of its first one.

A character without tokens, such as a control character, has zeros for scores and so gets the first
label: it goes on with the word before it, and begins one at the start of a text alone.
"""
COLUMNS = 10
CONLLU = (".conllu", ".conllu.gz")


def read_segmented(path: Path) -> list[Words]:
    """Return the words of each sentence of a file; sentences without any are left out.

    Args:
        path: CoNLL-U by its name, else a sentence a line with blanks between words (SIGHAN 2005).

    Raises:
        InputError: lines are not UTF-8 or no CoNLL-U (all are listed), or there are no words.
    """
    read = _conllu if path.name.endswith(CONLLU) else read_sentences
    found = [words for words in read(path) if words]
    if not found:
        raise InputError(f"expected segmented sentences, {path} has none")
    return found


def as_sentence(words: Words) -> Sentence:
    """Return the characters of words with their tags; spaces within words are left out."""
    letters = [[letter for letter in word if not letter.isspace()] for word in words]
    tags = [tag for word in letters for tag in ("B-W",) + ("I-W",) * (len(word) - 1)]
    return Sentence(tuple(letter for word in letters for letter in word), tuple(tags))


def words_of(letters: Sequence[str], tags: Iterable[str]) -> Words:
    """Return the words that tags make of characters."""
    return ["".join(letters[start:stop]) for start, stop, _ in to_spans(list(tags))]


def _conllu(path: Path) -> list[Words]:
    """Read the syntactic words of each sentence, as Universal Dependencies 2 lays them out."""
    sentences: list[Words] = [[]]
    problems = Problems(path)
    for line in read_lines(path):
        row = line.text.split("\t")
        if not line.text.strip():
            sentences.append([])
        elif line.text.startswith("#"):
            continue
        elif len(row) != COLUMNS or not row[1].strip():
            problems.add(line.index + 1, f"{len(row)} columns, or no word")
        elif row[0].isdecimal():  # 1-2 is a group of words, 1.1 an empty node
            sentences[-1].append(row[1])
    problems.raise_if_any(f"{COLUMNS} columns of CoNLL-U, the second a word,")
    return sentences
