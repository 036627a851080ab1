"""Google's ``vocab.txt``: one token a line, its number the id."""

from collections.abc import Mapping
from pathlib import Path

from bertfeat.errors import VocabularyError

_CASED_SHARE = 0.01


def read_vocabulary(path: Path) -> dict[str, int]:
    """Read a vocabulary; as in Google's ``load_vocab`` lines are stripped and the last one counts.

    A line that a later one repeats keeps its id under a name that no text can match, so that ids
    have no gaps and tokens added later get the next free one.

    Raises:
        VocabularyError: the file is missing, empty or not UTF-8.
    """
    lines = _read_lines(path)
    last = {token: index for index, token in enumerate(lines)}
    return {
        token if last[token] == index else f"{token} (line {index + 1})": index
        for index, token in enumerate(lines)
    }


def write_vocabulary(path: Path, vocabulary: Mapping[str, int]) -> None:
    """Write a vocabulary; an id without a token becomes a blank line."""
    tokens = {index: token for token, index in vocabulary.items()}
    lines = [tokens.get(index, "") for index in range(max(tokens, default=-1) + 1)]
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8"))


def is_cased(vocabulary: Mapping[str, int]) -> bool:
    """Tell from the tokens whether a model reads capitals, for folders that do not say.

    A vocabulary made from lowercased text has none outside of special tokens ("[CLS]", "<S>");
    one token in a hundred is asked for, as some vocabularies were extended by hand.
    """
    words = [token for token in vocabulary if not token.startswith(("[", "<"))]
    capitals = sum(any(character.isupper() for character in word) for word in words)
    return capitals > _CASED_SHARE * len(words)


def _read_lines(path: Path) -> list[str]:
    if not path.is_file():
        raise VocabularyError(f"{path}: expected a vocabulary, there is no such file")
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise VocabularyError(
            f"{path}, line {line}: expected UTF-8, got the byte 0x{raw[error.start]:02x}; "
            "the file is damaged or in another encoding"
        ) from None
    # not splitlines(): U+2028 is a token of Google's Chinese vocabulary
    lines = [line.strip() for line in text.removesuffix("\n").split("\n")]
    if not any(lines):
        raise VocabularyError(f"{path}: expected one token a line, the file is empty")
    return lines
