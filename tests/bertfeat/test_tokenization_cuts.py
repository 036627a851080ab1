"""Truncation and windows: against the tokenizers library's own cutting, and by their promises."""

import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Library

from bertfeat.errors import InputError, TextTooLong
from bertfeat.tokenization import Tokenizer

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.ascii_lowercase, "##a", "##b"]

words = st.lists(st.sampled_from([*string.ascii_lowercase, "aab", "[MASK]"]), max_size=30)
texts = words.map(" ".join)
items = st.one_of(texts, st.tuples(texts, texts), words)
sides = st.sampled_from(["right", "left", "middle"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("letters")
    (folder / "vocab.txt").write_text("\n".join(TOKENS))
    Tokenizer.from_folder(folder).save(folder)
    return folder


@pytest.fixture(scope="module")
def tokenizer(folder):
    return Tokenizer.from_folder(folder)


@pytest.fixture(scope="module")
def library(folder):
    return Library.from_file(str(folder / "tokenizer.json"))


def encode_with(library, item):
    if isinstance(item, list):
        return library.encode(item, is_pretokenized=True)
    return library.encode(*item) if isinstance(item, tuple) else library.encode(item)


@given(item=items, max_length=st.integers(3, 40), side=st.sampled_from(["right", "left"]))
def test_cuts_are_those_of_the_tokenizers_library(tokenizer, library, item, max_length, side):
    library.enable_truncation(max_length, strategy="longest_first", direction=side)
    expected, got = encode_with(library, item), tokenizer.encode(item, max_length, side)
    assert got.input_ids == expected.ids
    assert got.token_type_ids == expected.type_ids
    assert got.special_tokens_mask == expected.special_tokens_mask
    assert got.word_ids == expected.word_ids
    if not isinstance(item, list):
        assert got.offsets == expected.offsets


@given(item=items, max_length=st.integers(3, 40), side=sides)
def test_a_cut_keeps_to_the_limit_and_tells_the_truth(tokenizer, item, max_length, side):
    whole, cut = tokenizer.encode(item), tokenizer.encode(item, max_length, side)
    assert len(cut.input_ids) == min(max_length, len(whole.input_ids))
    assert cut.num_tokens == whole.num_tokens == len(whole.input_ids)
    assert cut.truncated == (whole.num_tokens > max_length)
    assert not whole.truncated
    assert sum(cut.special_tokens_mask) == sum(whole.special_tokens_mask)


@given(item=items, max_length=st.integers(3, 40), side=sides)
def test_every_part_of_a_cut_speaks_of_the_same_tokens(tokenizer, item, max_length, side):
    whole, cut = tokenizer.encode(item), tokenizer.encode(item, max_length, side)
    for name in ("input_ids", "tokens", "offsets", "word_ids", "sequence_ids", "token_type_ids"):
        assert getattr(cut, name) == [getattr(whole, name)[index] for index in cut.indices]


@given(text=words, max_length=st.integers(2, 40))
def test_middle_keeps_both_ends_with_the_odd_token_in_front(tokenizer, text, max_length):
    whole = tokenizer.encode(text).tokens[1:-1]
    kept = tokenizer.encode(text, max_length, "middle").tokens[1:-1]
    if len(whole) > max_length - 2:
        tail = (max_length - 2) // 2
        head = max_length - 2 - tail
        whole = whole[:head] + whole[len(whole) - tail :]
    assert kept == whole


def test_the_longer_text_of_a_pair_is_cut_first(tokenizer):
    pair = ("a b c d e f", "x y")
    assert tokenizer.encode(pair, 8).tokens == [
        "[CLS]", "a", "b", "c", "[SEP]", "x", "y", "[SEP]",
    ]  # fmt: skip
    assert tokenizer.encode(pair, 8, "left").tokens == [
        "[CLS]", "d", "e", "f", "[SEP]", "x", "y", "[SEP]",
    ]  # fmt: skip
    assert tokenizer.encode(pair, 8, "middle").tokens == [
        "[CLS]", "a", "b", "f", "[SEP]", "x", "y", "[SEP]",
    ]  # fmt: skip


def test_error_names_both_lengths_and_the_item(tokenizer):
    with pytest.raises(TextTooLong, match="at most 4 tokens, got 5"):
        tokenizer.encode("a b c", 4, "error")
    results = tokenizer.encode_batch(["a", "a b c", ("a", "b")], 4, "error", first_index=7)
    assert results[0].tokens == ["[CLS]", "a", "[SEP]"]
    assert [type(result) for result in results[1:]] == [TextTooLong, TextTooLong]
    assert str(results[1]).startswith("texts[8]: expected at most 4 tokens, got 5")
    assert tokenizer.encode("a b", 4, "error").tokens == ["[CLS]", "a", "b", "[SEP]"]


def test_a_limit_may_be_a_numpy_integer(tokenizer):
    assert len(tokenizer.encode("a b c", np.int64(4))) == 4


def test_only_special_tokens_stay_where_there_is_no_room_for_more(tokenizer):
    assert tokenizer.encode("a b", 2).tokens == ["[CLS]", "[SEP]"]
    assert tokenizer.encode(("a b", "c"), 3, "middle").tokens == ["[CLS]", "[SEP]", "[SEP]"]


@pytest.mark.parametrize("max_length", [-1, 0, 1])
def test_a_limit_below_the_special_tokens_is_an_error(tokenizer, max_length):
    with pytest.raises(InputError, match="max_length"):
        tokenizer.encode("", max_length)
    with pytest.raises(InputError, match="max_length"):
        tokenizer.encode_batch([], max_length)


def test_a_limit_below_the_special_tokens_of_a_pair_fails_that_pair_only(tokenizer):
    single, pair = tokenizer.encode_batch(["a b", ("a", "b")], 2)
    assert single.tokens == ["[CLS]", "[SEP]"]
    assert isinstance(pair, InputError)
    assert "texts[1]: expected room for the 3 special tokens, got max_length 2" in str(pair)


@pytest.mark.parametrize(
    "options",
    [
        {"max_length": 4.0}, {"max_length": True}, {"max_length": "4"}, {"truncate": "center"},
        {"truncate": None}, {"truncate": ["right"]}, {"prompt": None}, {"prompt": "\ud800"},
    ],
)  # fmt: skip
def test_an_option_of_a_wrong_kind_is_an_error_that_names_it(tokenizer, options):
    with pytest.raises(InputError, match=next(iter(options))):
        tokenizer.encode_batch(["a"], **options)


window_options = st.integers(3, 20).flatmap(
    lambda length: st.tuples(st.just(length), st.integers(0, length - 3))
)


@given(item=st.one_of(texts, words), options=window_options)
def test_windows_hold_every_token_and_share_the_stride(tokenizer, item, options):
    max_length, stride = options
    whole = tokenizer.encode(item)
    windows = tokenizer.windows(item, max_length, stride)
    bodies = [list(window.indices)[1:-1] for window in windows]
    joined = bodies[0] + [index for body in bodies[1:] for index in body[stride:]]
    assert joined == list(range(1, whole.num_tokens - 1))
    for before, after in zip(bodies, bodies[1:], strict=False):
        assert len(before) == max_length - 2
        assert before[len(before) - stride :] == after[:stride]
        assert len(after) > stride


@given(item=st.one_of(texts, words), options=window_options)
def test_windows_are_those_of_the_tokenizers_library(tokenizer, library, item, options):
    max_length, stride = options
    library.enable_truncation(max_length, stride=stride)
    first = encode_with(library, item)
    expected = [part.ids for part in (first, *first.overflowing)]
    assert [window.input_ids for window in tokenizer.windows(item, max_length, stride)] == expected


@given(item=items, options=window_options)
def test_windows_tell_the_length_of_the_whole_item(tokenizer, item, options):
    max_length, stride = options
    try:
        windows = tokenizer.windows(item, max_length, stride)
    except InputError:
        assert isinstance(item, tuple)
        return
    whole = tokenizer.encode(item)
    assert {window.num_tokens for window in windows} == {whole.num_tokens}
    assert [window.truncated for window in windows] == [len(windows) > 1] * len(windows)
    assert {index for window in windows for index in window.indices} == set(whole.indices)
    for window in windows:
        assert len(window.input_ids) <= max_length
        assert window.offsets == [whole.offsets[index] for index in window.indices]


def test_windows_of_a_pair_repeat_the_first_text_and_move_over_the_second(tokenizer):
    windows = tokenizer.windows(("q", "a b c d e"), max_length=7, stride=1)
    assert [window.tokens for window in windows] == [
        ["[CLS]", "q", "[SEP]", "a", "b", "c", "[SEP]"],
        ["[CLS]", "q", "[SEP]", "c", "d", "e", "[SEP]"],
    ]
    assert windows[1].offsets == [(0, 0), (0, 1), (0, 0), (4, 5), (6, 7), (8, 9), (0, 0)]
    assert windows[1].token_type_ids == [0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("item", "max_length", "stride", "named"),
    [
        ("a b c", 5, 3, "stride"),
        ("a", 5, 3, "stride"),
        ("a b c", 5, -1, "stride"),
        ("a b c", 5, 1.0, "stride"),
        ("a b c", 1, 0, "max_length"),
        (("a b c d e", "x y z"), 9, 1, "stride"),
        (None, 5, 1, "NoneType"),
    ],
)
def test_windows_that_cannot_be_made_are_an_error(tokenizer, item, max_length, stride, named):
    with pytest.raises(InputError, match=named):
        tokenizer.windows(item, max_length, stride)


def test_a_window_has_the_prompt_only_where_the_text_begins(tokenizer):
    windows = tokenizer.windows("c d e", max_length=5, stride=1, prompt="p ")
    assert [window.tokens[1:-1] for window in windows] == [["p", "c", "d"], ["d", "e"]]
    assert [window.offsets[1:-1] for window in windows] == [
        [(0, 0), (0, 1), (2, 3)],
        [(2, 3), (4, 5)],
    ]
