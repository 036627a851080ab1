"""A tokenizer's files that are missing, damaged or say what cannot be."""

import pytest

from bertfeat.errors import VocabularyError
from bertfeat.tokenization import Tokenizer

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LOWER = [*SPECIALS, "hello", "##lo", "el", "a", "b", "##b", "é", "élan", "elan", "中", "##国", "国"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "expected tokenizer.json or vocab.txt, there is neither"),
        ({"sentencepiece.bpe.model": b"x"}, "sentencepiece.bpe.model alone is not read"),
        ({"vocab.txt": b""}, "vocab.txt: expected one token a line, the file is empty"),
        ({"vocab.txt": b"\n\n"}, "the file is empty"),
        (
            {"vocab.txt": b"[PAD]\n[UNK]\na\xff\n"},
            "vocab.txt, line 3: expected UTF-8, got the byte 0xff",
        ),
        ({"vocab.txt": b"[UNK]\n[CLS]\na\n"}, r"no sep_token \(\[SEP\], </s>\)"),
        ({"vocab.txt": b"[UNK]\na\n"}, "no cls_token .* and no sep_token"),
        ({"vocab.txt": b"[CLS]\n[SEP]\na\n"}, "no \\[UNK\\]"),
        (
            {"tokenizer.json": b"{}"},
            "tokenizer.json: expected a tokenizer of the tokenizers library",
        ),
        ({"tokenizer.json": b'{"version": "1.0", "tru'}, "damaged, cut off"),
        ({"tokenizer.json": b"\xff\xfe"}, "tokenizer.json: expected a tokenizer"),
    ],
)
def test_missing_and_damaged_files_are_errors_that_name_them(make, files, message):
    with pytest.raises(VocabularyError, match=message):
        Tokenizer.from_folder(make(files=files))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer_config.json", b"{", "tokenizer_config.json: expected JSON"),
        ("tokenizer_config.json", b"[]", "expected a JSON object, got list"),
        ("special_tokens_map.json", b"\xff", "special_tokens_map.json: expected JSON"),
        ("tokenizer_config.json", {"do_lower_case": "yes"}, "do_lower_case, got 'yes'"),
        ("tokenizer_config.json", {"strip_accents": 1}, "strip_accents, got 1"),
        (
            "tokenizer_config.json",
            {"max_input_chars_per_word": 0},
            "max_input_chars_per_word, got 0",
        ),
        ("tokenizer_config.json", {"tokenizer_class": "BertJapaneseTokenizer"}, "BertJapanese"),
        (
            "tokenizer_config.json",
            {"added_tokens_decoder": {"99": {"content": "<x>"}}},
            "expected id 99 for '<x>', the vocabulary gives it 17",
        ),
        (
            "tokenizer_config.json",
            {"added_tokens_decoder": {"17": {"text": "<x>"}}},
            "expected an added token",
        ),
    ],
)
def test_settings_that_cannot_be_are_errors_that_name_the_key(make, name, content, message):
    with pytest.raises(VocabularyError, match=message):
        Tokenizer.from_folder(make(LOWER, {name: content}))


def test_a_folder_that_does_not_exist_is_said_not_to_exist(tmp_path):
    with pytest.raises(VocabularyError, match="there is no such folder"):
        Tokenizer.from_folder(tmp_path / "nowhere")
    with pytest.raises(VocabularyError, match="no such file"):
        Tokenizer.from_vocabulary(tmp_path / "vocab.txt")


def test_lines_are_stripped_the_last_duplicate_counts_and_blank_lines_take_an_id(make):
    lines = [*SPECIALS, "  a\t", "b", "", "a", "", "c \r", "\u2028", "b"]
    tokenizer = Tokenizer.from_folder(make(lines))
    assert tokenizer.encode("a b c").input_ids == [2, 8, 12, 10, 3]
    assert tokenizer.vocab_size == len(lines)


def test_ids_of_a_damaged_vocabulary_are_those_of_transformers(make):
    transformers = pytest.importorskip("transformers")
    lines = [*SPECIALS, "a", "b", "", "a ", "", "c\r", "##c", "b", "x"]
    folder = make(lines, {"tokenizer_config.json": {"do_lower_case": True}})
    text = "a b c ac bc x y"
    expected = transformers.BertTokenizerFast.from_pretrained(folder)(text)["input_ids"]
    assert Tokenizer.from_folder(folder).encode(text).input_ids == expected


def test_a_byte_order_mark_is_no_part_of_the_first_token(make):
    folder = make(files={"vocab.txt": b"\xef\xbb\xbf" + "\n".join(LOWER).encode()})
    assert Tokenizer.from_folder(folder).token_to_id("[PAD]") == 0


def test_a_vocabulary_without_padding_pads_with_zero_and_without_mask_says_so(make):
    tokenizer = Tokenizer.from_folder(make(["[UNK]", "[CLS]", "[SEP]", "a"]))
    assert tokenizer.pad_id == 0
    with pytest.raises(VocabularyError, match="no \\[MASK\\]"):
        tokenizer.mask_id  # noqa: B018
