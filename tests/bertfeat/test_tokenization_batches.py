"""Many items at once: order, one bad item among good ones, threads and forks."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bertfeat.errors import InputError
from bertfeat.tokenization import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "##a", "##b", "é"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("abc")
    (folder / "vocab.txt").write_text("\n".join(TOKENS), "utf-8")
    return folder


@pytest.fixture(scope="module")
def tokenizer(folder):
    return Tokenizer.from_folder(folder)


BAD = [
    (None, "NoneType"),
    (float("nan"), "NaN (a missing value?)"),
    (np.float64("nan"), "NaN (a missing value?)"),
    (1.5, "float"),
    (7, "int"),
    (True, "bool"),
    (b"a", "bytes; decode them first"),
    (bytearray(b"a"), "bytearray; decode them first"),
    ({"text": "a"}, "dict"),
    ({"a"}, "set"),
    (np.array(["a", "b"]), "ndarray"),
    ((), "a tuple of 0"),
    (("a",), "a tuple of 1"),
    (("a", "b", "c"), "a tuple of 3"),
]
BAD_INSIDE = [
    (("a", None), "[1]", "NoneType"),
    ((1, "a"), "[0]", "int"),
    ((["a"], ["b"]), "[0]", "list"),
    (["a", 5], "[1]", "int"),
    (["a", "b", ["c"]], "[2]", "list"),
    ([None], "[0]", "NoneType"),
    ([b"a"], "[0]", "bytes; decode them first"),
    ("ab\ud800", "", "lone surrogate U+D800 at character 2"),
    (("a", "\udfff"), "[1]", "lone surrogate U+DFFF at character 0"),
    (["é", "a\udc80"], "[1]", "lone surrogate U+DC80 at character 1"),
]


@pytest.mark.parametrize(("item", "got"), BAD)
def test_an_item_of_a_wrong_kind_is_an_error_that_names_it(tokenizer, item, got):
    first, error, last = tokenizer.encode_batch(["a b", item, ["c"]])
    assert type(error) is InputError
    assert str(error) == (
        "texts[1]: expected a string, a pair (tuple of two strings) or a list of words "
        f"(list of strings), got {got}"
    )
    assert (first.tokens[1:-1], last.tokens[1:-1]) == (["a", "b"], ["c"])
    with pytest.raises(InputError, match="text: expected"):
        tokenizer.encode(item)


@pytest.mark.parametrize(("item", "place", "got"), BAD_INSIDE)
def test_a_bad_part_of_an_item_is_an_error_that_names_the_part(tokenizer, item, place, got):
    first, error, last = tokenizer.encode_batch(["a b", item, ["c"]], first_index=40)
    assert type(error) is InputError
    assert str(error).startswith(f"texts[41]{place}: expected ")
    assert got in str(error)
    assert (first.tokens[1:-1], last.tokens[1:-1]) == (["a", "b"], ["c"])


def test_a_batch_gives_what_each_item_gives_alone_in_order(tokenizer):
    items = ["a", ("b", "c a"), ["c", "ab"], "", ["é"], [], ("", ""), "abab c"] * 50
    batch = tokenizer.encode_batch(items, 5, "left")
    alone = [tokenizer.encode(item, 5, "left") for item in items]
    for name in ("input_ids", "tokens", "offsets", "word_ids", "num_tokens", "truncated"):
        assert [getattr(one, name) for one in batch] == [getattr(one, name) for one in alone]


def test_an_empty_batch_is_an_empty_list(tokenizer):
    assert tokenizer.encode_batch([]) == []


def test_a_batch_of_bad_items_only_is_all_errors(tokenizer):
    assert [type(error) for error in tokenizer.encode_batch([None, 3])] == [InputError] * 2


def test_numpy_arrays_of_strings_are_batches(tokenizer):
    batch = tokenizer.encode_batch(np.array(["a b", "c"]))
    assert [one.tokens[1:-1] for one in batch] == [["a", "b"], ["c"]]


def test_a_prompt_fails_lists_of_words_only(tokenizer):
    text, words = tokenizer.encode_batch(["a", ["a"]], prompt="b ")
    assert text.tokens == ["[CLS]", "b", "a", "[SEP]"]
    assert "texts[1]: a prompt" in str(words)


def test_threads_may_share_a_tokenizer(tokenizer):
    texts = [" ".join("abc"[: 1 + number % 3] * (number % 7)) for number in range(200)]
    lengths = [3 + number % 9 for number in range(200)]
    expected = [
        tokenizer.encode(text, length).input_ids
        for text, length in zip(texts, lengths, strict=True)
    ]
    with ThreadPoolExecutor(8) as threads:
        got = list(threads.map(lambda *call: tokenizer.encode(*call).input_ids, texts, lengths))
    assert got == expected


FORK = """
import os, sys
from pathlib import Path
from bertfeat.tokenization import Tokenizer
tokenizer = Tokenizer.from_folder(Path(sys.argv[1]))
texts = ["a b c"] * 1000
expected = [one.input_ids for one in tokenizer.encode_batch(texts)]
child = os.fork()
same = [one.input_ids for one in tokenizer.encode_batch(texts)] == expected
if not child:
    os._exit(0 if same else 3)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.exit(status if same else 4)
"""


def run_fork(folder, program=FORK, **environment):
    return subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        capture_output=True,
        timeout=60,
        env={"PYTHONPATH": str(ROOT), **environment},
        check=False,
    )


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@needs_fork
@pytest.mark.parametrize("environment", [{}, {"TOKENIZERS_PARALLELISM": "false"}])
def test_a_forked_child_tokenizes_without_a_word_on_the_terminal(folder, environment):
    done = run_fork(folder, **environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@needs_fork
def test_a_fork_leaves_the_environment_of_the_parent_as_it_was(folder):
    check = "assert 'TOKENIZERS_PARALLELISM' not in os.environ; sys.exit"
    done = run_fork(folder, FORK.replace("sys.exit", check))
    assert (done.returncode, done.stderr) == (0, b"")
