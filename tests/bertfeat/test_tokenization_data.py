"""Ids on all text of the data folder, against transformers and against Google's algorithm.

Google's is written down here once more, in plain Python and by its documented steps, because
transformers calls the same library as we do.
"""

import gzip
import json
import unicodedata
import zipfile
from functools import cache

import pytest

from bertfeat.tokenization import Tokenizer

pytestmark = pytest.mark.data

VOCABULARIES = {
    "bert-base-uncased": True,
    "bert-base-cased": False,
    "bert-base-chinese": False,
    "bert-base-multilingual-cased": False,
}
NO_TEXT = ("vocab", "fixtures")
SAMPLE = 400
CHUNK = 5000


def read_text(path):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return "\n".join(archive.read(name).decode("latin-1") for name in archive.namelist())
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


@pytest.fixture(scope="module")
def every_line(data_dir):
    """All different lines of text, of every language."""
    paths = sorted(path for path in data_dir.glob("*/**/*") if path.is_file())
    chosen = [path for path in paths if path.relative_to(data_dir).parts[0] not in NO_TEXT]
    return list(dict.fromkeys(line for path in chosen for line in read_text(path).split("\n")))


@pytest.fixture(scope="module")
def some_lines(data_dir, every_line):
    """The whole bitext and a sample of the rest."""
    paths = sorted((data_dir / "bitext").iterdir())
    return [line for path in paths for line in read_text(path).split("\n")] + every_line[::SAMPLE]


@pytest.fixture(scope="module")
def folders(data_dir, tmp_path_factory):
    """A folder for each of Google's vocabularies, with the config that goes with it."""
    root = tmp_path_factory.mktemp("vocabularies")
    for name, lowercase in VOCABULARIES.items():
        (root / name).mkdir()
        vocabulary = gzip.decompress((data_dir / "vocab" / f"{name}-vocab.txt.gz").read_bytes())
        (root / name / "vocab.txt").write_bytes(vocabulary)
        config = json.dumps({"do_lower_case": lowercase})
        (root / name / "tokenizer_config.json").write_text(config)
    return root


def encode(tokenizer, lines):
    """Encode in chunks: the encodings of every line at once would fill the memory."""
    for start in range(0, len(lines), CHUNK):
        yield from tokenizer.encode_batch(lines[start : start + CHUNK])


def assert_ids_are_those_of_transformers(folder, lines):
    from transformers import BertTokenizerFast

    oracle, tokenizer = BertTokenizerFast.from_pretrained(folder), Tokenizer.from_folder(folder)
    for start in range(0, len(lines), CHUNK):
        part = lines[start : start + CHUNK]
        got = [encoding.input_ids for encoding in tokenizer.encode_batch(part)]
        expected = oracle(part, return_attention_mask=False)["input_ids"]
        assert [line for line, a, b in zip(part, expected, got, strict=True) if a != b] == []
        assert sum(map(len, got)) > 5 * len(part)


@pytest.mark.parametrize("name", VOCABULARIES)
def test_ids_are_those_of_transformers(name, folders, some_lines):
    assert_ids_are_those_of_transformers(folders / name, some_lines)


@pytest.mark.slow
@pytest.mark.parametrize("name", VOCABULARIES)
def test_ids_of_every_line_are_those_of_transformers(name, folders, every_line, tmp_path):
    """Every line under one of the vocabularies, which take turns."""
    folder, place = tmp_path / name, list(VOCABULARIES).index(name)
    Tokenizer.from_folder(folders / name, lowercase=VOCABULARIES[name]).save(folder)
    assert_ids_are_those_of_transformers(folder, every_line[place :: len(VOCABULARIES)])


def google_words(text, lowercase):
    """The words of Google's BasicTokenizer: clean, space out Chinese, lower, split."""
    text = "".join(" " if is_space(c) else c for c in text if not is_dropped(c))
    text = "".join(f" {c} " if is_chinese(c) else c for c in text)
    for word in text.split():
        if lowercase:
            letters = unicodedata.normalize("NFD", word.lower())
            word = "".join(c for c in letters if unicodedata.category(c) != "Mn")
        yield from "".join(f" {c} " if is_punctuation(c) else c for c in word).split()


def google_pieces(word, vocabulary, limit):
    """Google's WordpieceTokenizer: greedily the longest piece, or unknown as a whole."""
    pieces, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        ends = range(len(word), start, -1)
        end = next((end for end in ends if prefix + word[start:end] in vocabulary), None)
        if end is None or len(word) > limit:
            return [vocabulary["[UNK]"]]
        pieces.append(vocabulary[prefix + word[start:end]])
        start = end
    return pieces


@cache
def is_space(character):
    return character in "\t\n\r" or unicodedata.category(character) == "Zs"


@cache
def is_dropped(character):
    control = unicodedata.category(character) in ("Cc", "Cf") and not is_space(character)
    return control or character == "\ufffd"


@cache
def is_punctuation(character):
    other = character.isascii() and character.isprintable() and not character.isalnum()
    return (other and character != " ") or unicodedata.category(character).startswith("P")


@cache
def is_chinese(character):
    ranges = [
        (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
        (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
    ]  # fmt: skip
    return any(first <= ord(character) <= last for first, last in ranges)


def assert_ids_are_those_of_googles_algorithm(folder, lowercase, lines):
    tokenizer = Tokenizer.from_folder(folder, lowercase=lowercase)
    tokens = (folder / "vocab.txt").read_bytes().decode("utf-8").split("\n")[:-1]
    vocabulary = {token.strip(): index for index, token in enumerate(tokens)}
    known = {}
    for line, encoding in zip(lines, encode(tokenizer, lines), strict=True):
        expected = []
        for word in google_words(line, lowercase):
            if word not in known:
                known[word] = google_pieces(word, vocabulary, 100)
            expected += known[word]
        assert encoding.input_ids[1:-1] == expected, line


@pytest.mark.parametrize(("name", "lowercase"), VOCABULARIES.items())
def test_ids_are_those_of_googles_algorithm(name, lowercase, folders, some_lines):
    assert_ids_are_those_of_googles_algorithm(folders / name, lowercase, some_lines[::3])


@pytest.mark.parametrize("name", ["bert-base-cased", "bert-base-multilingual-cased"])
def test_offsets_cut_each_token_out_of_its_line(name, folders, some_lines):
    tokenizer = Tokenizer.from_folder(folders / name)
    lines = some_lines[::3]
    for line, encoding in zip(lines, encode(tokenizer, lines), strict=True):
        words = {}
        for token, (begin, end), word in list(
            zip(encoding.tokens, encoding.offsets, encoding.word_ids, strict=True)
        )[1:-1]:
            piece = "".join(c for c in line[begin:end] if not is_dropped(c))
            assert token in ("[UNK]", piece, f"##{piece}"), line
            words.setdefault(word, []).append(piece)
        assert list(words) == list(range(len(words))), line
        assert list(map("".join, words.values())) == list(google_words(line, False)), line
