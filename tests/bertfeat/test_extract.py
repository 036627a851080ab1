"""Token vectors through Encoder.extract, against the reference and against themselves."""

import numpy as np
import pytest

from bertfeat import Encoder
from bertfeat.errors import InputError, RowErrors, TruncationWarning
from reference import ReferenceBert


@pytest.fixture(scope="module")
def folder(tiny_bert):
    return tiny_bert(seed=21)


@pytest.fixture(scope="module")
def encoder(folder):
    return Encoder.load(folder)


def test_every_layer_of_every_token_equals_the_reference(encoder, folder):
    texts = ["the cat sat", ("hello", "world"), ["big", "rain"], ""]
    items = list(encoder.extract(texts, layers="all"))
    for text, item in zip(texts, items, strict=True):
        encoding = encoder.tokenizer.encode(text)
        found = ReferenceBert(folder).forward(encoding.input_ids, encoding.token_type_ids)
        expected = np.stack([found[f"hidden_states.{n}"] for n in range(3)])
        np.testing.assert_allclose(item.vectors, expected, atol=1e-5)
        assert item.tokens == encoding.tokens
        assert item.offsets == encoding.offsets
        assert item.word_ids == encoding.word_ids


def test_the_last_layer_unless_asked(encoder):
    (item,) = encoder.extract("the cat")
    np.testing.assert_array_equal(
        item.vectors, next(encoder.extract("the cat", layers=[2])).vectors
    )


def test_items_are_read_only_as_they_are_needed(encoder):
    taken = []

    def texts():
        for number in range(2000):
            taken.append(number)
            yield "cat"

    items = encoder.extract(texts())
    next(items)
    assert len(taken) < 600


def test_a_bad_item_is_reported_after_the_others(encoder):
    items = encoder.extract(["cat", None, "dog"])
    found = []
    with pytest.raises(RowErrors) as caught:
        for item in items:
            found.append(item)
    assert list(caught.value.errors) == [1]
    assert [item.error is None for item in found] == [True, False, True]
    assert found[1].vectors.shape == (1, 0, 16)


def test_cut_texts_are_told_after_the_last(encoder):
    with pytest.warns(TruncationWarning, match=r"1 text\(s\).*texts\[1\]"):
        items = list(encoder.extract(["cat", "dog " * 90]))
    assert items[1].truncated
    assert items[1].num_tokens == 92
    assert items[1].vectors.shape == (1, 64, 16)


@pytest.mark.parametrize("stride", [0, 10, 40])
def test_windows_lose_no_token_and_take_the_largest_context(encoder, stride):
    words = [("cat", "dog", "mat", "sun")[i % 4] for i in range(150)]
    text = " ".join(words)
    (item,) = encoder.extract([text], long="window", stride=stride)
    assert item.tokens == ["[CLS]", *words, "[SEP]"]
    assert [text[a:b] for a, b in item.offsets[1:-1]] == words
    assert not item.truncated
    windows = encoder.tokenizer.windows(text, 64, stride)
    alone = [encoder.outputs(" ".join(w.tokens[1:-1]), ["hidden_states.2"]) for w in windows]
    starts = [number * (62 - stride) for number in range(len(windows))]
    for token in range(150):
        best, context = None, -1
        for number, (start, window) in enumerate(zip(starts, windows, strict=True)):
            place, size = token - start, len(window.input_ids) - 2
            if 0 <= place < size and min(place, size - 1 - place) > context:
                best, context = (number, place + 1), min(place, size - 1 - place)
        number, place = best
        expected = alone[number]["hidden_states.2"][place]
        np.testing.assert_allclose(item.vectors[0, token + 1], expected, atol=1e-5)


def test_windows_leave_short_texts_alone(encoder):
    (short,) = encoder.extract(["the cat sat"], long="window")
    (plain,) = encoder.extract(["the cat sat"])
    np.testing.assert_array_equal(short.vectors, plain.vectors)


@pytest.mark.parametrize(
    ("options", "part"),
    [({"long": "fold"}, "long='fold'"), ({"stride": -1}, "stride=-1"), ({"layers": 5}, "layer 5")],
)
def test_bad_options_are_named_at_the_call(encoder, options, part):
    with pytest.raises(InputError, match=part):
        encoder.extract(["cat"], **options)


def test_a_pair_too_long_for_windows_fails_alone(encoder):
    items = list(
        encoder.extract(["cat", ("the dog", "sun " * 90)], long="window", return_errors=True)
    )
    assert items[0].tokens == ["[CLS]", "cat", "[SEP]"]
    assert "texts[1] is a pair longer than the model" in str(items[1].error)


def test_windows_take_no_prompt(encoder):
    with pytest.raises(InputError, match="takes no prompt"):
        next(encoder.extract(["cat"], long="window", prompt="the "))


def test_the_same_layers_can_be_extracted_and_encoded_without_pooling(encoder):
    (item,) = encoder.extract(["the cat"], layers=[-1, -2])
    (vectors,) = encoder.encode(["the cat"], layers=[-1, -2], combine="none", pooling="none")
    np.testing.assert_allclose(vectors.swapaxes(0, 1), item.vectors, atol=1e-6)
