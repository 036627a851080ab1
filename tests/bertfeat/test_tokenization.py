"""Tokens, ids, offsets and word ids of single items, against Google's published vectors."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

from bertfeat.errors import InputError
from bertfeat.tokenization import Tokenizer

# the vocabulary of Google's tokenization_test.py, then what its other vectors need
GOOGLE = ["[UNK]", "[CLS]", "[SEP]", "want", "##want", "##ed", "wa", "un", "runn", "##ing", ","]
MORE = [
    "[PAD]", "[MASK]", "hello", "!", "how", "are", "you", "?", "HeLLo", "Yoü", "yoü", "wanted",
    "running", "the", "a", "b", "aa", "c",
]  # fmt: skip
CHINESE = ["ah", "博", "推", "zz", "你", "好", "##好"]


def write(folder: Path, tokens: list[str], **options: bool) -> Tokenizer:
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), "utf-8")
    return Tokenizer.from_folder(folder, **options)


@pytest.fixture
def google(tmp_path):
    return write(tmp_path, GOOGLE)


@pytest.fixture
def uncased(tmp_path):
    return write(tmp_path, GOOGLE + MORE + CHINESE, lowercase=True)


@pytest.fixture
def cased(tmp_path):
    return write(tmp_path, GOOGLE + MORE + CHINESE, lowercase=False)


def inner(encoding):
    """The tokens without [CLS] and [SEP]."""
    return encoding.tokens[1:-1]


def test_full_tokenizer_vector_of_google_gives_its_tokens_and_ids(google):
    encoding = google.encode("UNwant\u00e9d,running")
    assert inner(encoding) == ["un", "##want", "##ed", ",", "runn", "##ing"]
    assert encoding.input_ids[1:-1] == [7, 4, 5, 10, 8, 9]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("unwanted running", ["un", "##want", "##ed", "runn", "##ing"]),
        ("unwantedX running", ["[UNK]", "runn", "##ing"]),
    ],
)
def test_wordpiece_vectors_of_google_hold(google, text, expected):
    assert inner(google.encode(text)) == expected


def test_basic_vectors_of_google_hold_with_lowercasing(uncased):
    text = " \tHeLLo!how  \n Are yoU?  "
    assert inner(uncased.encode(text)) == ["hello", "!", "how", "are", "you", "?"]
    assert inner(uncased.encode("H\u00e9llo")) == ["hello"]
    assert inner(uncased.encode("ah\u535a\u63a8zz")) == ["ah", "博", "推", "zz"]


def test_basic_vectors_of_google_hold_without_lowercasing(cased):
    text = " \tHeLLo!how  \n you?  "
    assert inner(cased.encode(text)) == ["HeLLo", "!", "how", "you", "?"]
    assert inner(cased.encode("hello Hello")) == ["hello", "[UNK]"]


@pytest.mark.parametrize("space", [" ", "\t", "\r", "\n", "\u00a0", "\u3000"])
def test_whitespace_of_google_separates_words(uncased, space):
    assert inner(uncased.encode(f"a{space}b")) == ["a", "b"]


@pytest.mark.parametrize("control", ["\u0005", "\0", "\ufffd", "\u200b", "\u00ad"])
def test_control_characters_of_google_vanish(uncased, control):
    assert inner(uncased.encode(f"a{control}a")) == ["aa"]


def test_an_emoji_is_no_control_character(uncased):
    assert inner(uncased.encode("a \U0001f4a9 b")) == ["a", "[UNK]", "b"]


@pytest.mark.parametrize("mark", [*"-$`.^~<=>|+,!?", "。", "，", "“", "—"])
def test_punctuation_of_google_is_a_word_of_its_own(uncased, mark):
    tokens = inner(uncased.encode(f"a{mark}b"))
    assert (tokens[0], len(tokens), tokens[2]) == ("a", 3, "b")


def test_one_unknown_piece_makes_the_whole_word_unknown(uncased):
    assert inner(uncased.encode("wanting wantedq wanted")) == [
        "want", "##ing", "[UNK]", "wanted",
    ]  # fmt: skip


def test_accents_go_with_capitals_however_they_are_written(uncased):
    assert inner(uncased.encode("YO\u00dc HE\u0301LLO \u212b")) == ["you", "hello", "a"]


def test_accents_stay_where_text_is_not_lowercased(cased):
    assert inner(cased.encode("Yoü yoü")) == ["Yoü", "yoü"]


def test_hiragana_is_not_spaced_out_but_chinese_characters_are(tmp_path):
    tokenizer = write(tmp_path, [*GOOGLE, "の", "##の", "你", "好", "##好"])
    assert inner(tokenizer.encode("のの你好")) == ["の", "##の", "你", "好"]


def test_a_special_token_in_the_text_is_that_token(uncased):
    encoding = uncased.encode("the [MASK] a")
    assert inner(encoding) == ["the", "[MASK]", "a"]
    assert encoding.input_ids[2] == uncased.mask_id
    assert encoding.special_tokens_mask == [1, 0, 0, 0, 1]
    assert encoding.word_ids == [None, 0, 1, 2, None]


def test_a_pair_has_type_one_from_its_second_text_on(uncased):
    encoding = uncased.encode(("hello you", "how"))
    assert encoding.tokens == ["[CLS]", "hello", "you", "[SEP]", "how", "[SEP]"]
    assert encoding.token_type_ids == [0, 0, 0, 0, 1, 1]
    assert encoding.sequence_ids == [None, 0, 0, None, 1, None]
    assert encoding.special_tokens_mask == [1, 0, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("item", "tokens"),
    [
        ("", ["[CLS]", "[SEP]"]),
        (" \n\t", ["[CLS]", "[SEP]"]),
        (("", ""), ["[CLS]", "[SEP]", "[SEP]"]),
        ([], ["[CLS]", "[SEP]"]),
        (["", " "], ["[CLS]", "[SEP]"]),
    ],
)
def test_nothing_to_read_is_valid(uncased, item, tokens):
    encoding = uncased.encode(item)
    assert encoding.tokens == tokens
    assert encoding.num_tokens == len(encoding) == len(encoding.input_ids) == len(tokens)


TEXTS = [
    "Hello, you!",
    "  the   H\u00e9llo  \u00a0 wanted",
    "ah\u535a\u63a8zz 你好!?",
    "Wanted🥰 A",
]


@pytest.mark.parametrize("text", TEXTS)
def test_offsets_cut_each_token_out_of_the_original_text(uncased, text):
    encoding = uncased.encode(text)
    for token, (begin, end) in zip(inner(encoding), encoding.offsets[1:-1], strict=True):
        piece = text[begin:end].lower().replace("é", "e")
        assert token in (piece, f"##{piece}", "[UNK]")
        assert piece and not piece.isspace()
    assert encoding.offsets[0] == encoding.offsets[-1] == (0, 0)


def test_offsets_of_a_pair_count_in_their_own_text(uncased):
    encoding = uncased.encode(("the hello", "\U0001f4a9 how you"))
    assert encoding.offsets == [
        (0, 0), (0, 3), (4, 9), (0, 0), (0, 1), (2, 5), (6, 9), (0, 0),
    ]  # fmt: skip


def test_word_ids_number_words_and_punctuation_from_zero(uncased):
    encoding = uncased.encode("unwanted, the wanting  你好")
    assert inner(encoding) == ["un", "##want", "##ed", ",", "the", "want", "##ing", "你", "好"]
    assert encoding.word_ids == [None, 0, 0, 0, 1, 2, 3, 3, 4, 5, None]


def test_word_ids_of_split_words_are_their_indices_in_the_list(uncased):
    words = ["unwanted,running", "", "the", "\u0005", "H\u00e9llo"]
    encoding = uncased.encode(words)
    assert inner(encoding) == ["un", "##want", "##ed", ",", "running", "the", "hello"]
    assert encoding.word_ids == [None, 0, 0, 0, 0, 0, 2, 4, None]


def test_offsets_of_split_words_count_in_the_joined_words(uncased):
    words = ["Unwanted,running", "", "the", "\u0005", "H\u00e9llo"]
    encoding, joined = uncased.encode(words), " ".join(words)
    pieces = [joined[begin:end] for begin, end in encoding.offsets]
    assert pieces == ["", "Un", "want", "ed", ",", "running", "the", "H\u00e9llo", ""]


def test_a_prompt_stands_before_the_text_and_offsets_do_not_count_it(uncased):
    plain, prompted = uncased.encode("Hello you"), uncased.encode("Hello you", prompt="how? ")
    assert prompted.input_ids == uncased.encode("how? Hello you").input_ids
    assert prompted.offsets == [(0, 0), (0, 0), *plain.offsets]
    assert prompted.word_ids == [None, None, *plain.word_ids]
    assert prompted.special_tokens_mask == [1, 0, 0, 0, 0, 1]


def test_a_prompt_leaves_the_second_text_of_a_pair_alone(uncased):
    encoding = uncased.encode(("you", "how are"), prompt="the ")
    assert encoding.tokens == ["[CLS]", "the", "you", "[SEP]", "how", "are", "[SEP]"]
    assert encoding.offsets == [(0, 0), (0, 0), (0, 3), (0, 0), (0, 3), (4, 7), (0, 0)]
    assert encoding.word_ids == [None, None, 0, None, 0, 1, None]


def test_a_word_that_prompt_and_text_share_belongs_to_the_text(uncased):
    encoding = uncased.encode("ed the", prompt="how unwant")
    assert inner(encoding) == ["how", "un", "##want", "##ed", "the"]
    assert encoding.word_ids[1:-1] == [None, 0, 0, 0, 1]
    assert encoding.offsets[1:-1] == [(0, 0), (0, 0), (0, 0), (0, 2), (3, 6)]


def test_a_prompt_alone_gives_no_words(uncased):
    encoding = uncased.encode("", prompt="how ")
    assert (encoding.tokens, encoding.word_ids) == (["[CLS]", "how", "[SEP]"], [None] * 3)


def test_a_prompt_before_split_words_is_refused(uncased):
    with pytest.raises(InputError, match="list of words"):
        uncased.encode(["the"], prompt="how ")


def test_numpy_strings_are_strings(uncased):
    text, pair, words = np.str_("hello you"), (np.str_("the"), np.str_("a")), [np.str_("hello")]
    encoded = [encoding.tokens for encoding in uncased.encode_batch([text, pair, words])]
    assert encoded == [
        ["[CLS]", "hello", "you", "[SEP]"],
        ["[CLS]", "the", "[SEP]", "a", "[SEP]"],
        ["[CLS]", "hello", "[SEP]"],
    ]


def test_tokens_and_ids_translate_both_ways(uncased):
    assert uncased.id_to_token(uncased.token_to_id("hello")) == "hello"
    assert (uncased.token_to_id("Hello"), uncased.id_to_token(10_000)) == (None, None)
    assert uncased.id_to_token(-1) is None
    assert uncased.vocab_size == len(GOOGLE + MORE + CHINESE)
    specials = (uncased.cls_id, uncased.sep_id, uncased.pad_id, uncased.mask_id)
    assert specials == (1, 2, len(GOOGLE), len(GOOGLE) + 1)


def test_tokenizers_and_encodings_survive_pickling_and_copying(uncased):
    encoding = uncased.encode("hello you the", max_length=4)
    for twin in (pickle.loads(pickle.dumps(uncased)), copy.deepcopy(uncased)):
        assert twin.encode("Hello you").input_ids == uncased.encode("Hello you").input_ids
    twin = pickle.loads(pickle.dumps(encoding))
    assert (twin.tokens, twin.offsets, twin.num_tokens) == (encoding.tokens, encoding.offsets, 5)
