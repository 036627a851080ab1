"""The feature algebra over its whole grid, against plain NumPy."""

import itertools
import json
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from bertfeat import Encoder
from bertfeat.errors import (
    InputError,
    MissingHead,
    NonFiniteError,
    NotTrainedForSimilarity,
    RowErrors,
    TextTooLong,
    TruncationWarning,
)
from bertfeat.features.dtypes import convert
from tiny_bert import WORDS

LAYERS = (-1, [0], "-2:", "all", [2, 0])
COMBINE = ("concat", "sum", "mean", "max", "weighted", "none")
POOLING = (
    "mean", "max", "mean_max", "mean_sqrt_len", "weighted_mean", "cls", "sep", "first", "last",
)  # fmt: skip
TEXTS = ["the cat sat on the mat", ("hello", "the big dog"), ["red", "rain"], "cat"]


@pytest.fixture(scope="module")
def folder(tiny_bert):
    return tiny_bert(seed=11, heads=("pooler",))


@pytest.fixture(scope="module")
def encoder(folder):
    return Encoder.load(folder)


@pytest.fixture(scope="module")
def expected_states(encoder, folder):
    oracle, states = reference.ReferenceBert(folder), []
    for text in TEXTS:
        encoding = encoder.tokenizer.encode(text)
        found = oracle.forward(encoding.input_ids, encoding.token_type_ids)
        states.append((found, encoding.special_tokens_mask))
    return states


def oracle_vectors(states, layers, combine, weights, pooling, normalize, dimensions=None):
    vectors = []
    for found, special in states:
        tokens = reference.combine([found[f"hidden_states.{n}"] for n in layers], combine, weights)
        pooled = reference.pool(tokens, pooling, special)
        vectors.append(reference.finish(pooled, normalize, dimensions))
    return np.stack(vectors)


NUMBERS = {-1: [2], "-2:": [1, 2], "all": [0, 1, 2]}


@pytest.fixture
def uncompiled():
    """Run graphs step by step: hundreds of different ones would take minutes to compile."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module", params=["litert", "keras"])
def either(request, folder):
    return Encoder.load(folder, engine=request.param)


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("combine", COMBINE)
def test_the_whole_grid_equals_numpy(uncompiled, either, expected_states, layers, combine):
    numbers = layers if isinstance(layers, list) else NUMBERS[layers]
    weights = [0.5 + 0.25 * i for i in range(len(numbers))] if combine == "weighted" else None
    for pooling, normalize in itertools.product(POOLING, (True, False)):
        found = either.encode(
            TEXTS, layers=layers, combine=combine, layer_weights=weights, pooling=pooling,
            normalize=normalize,
        )  # fmt: skip
        expected = oracle_vectors(expected_states, numbers, combine, weights, pooling, normalize)
        np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=f"{pooling} {normalize}")


def test_several_layers_are_concatenated_unless_told_otherwise(encoder):
    alone = [encoder.encode(TEXTS, layers=n, pooling="mean") for n in (1, 2)]
    both = encoder.encode(TEXTS, layers="1:", pooling="mean")
    np.testing.assert_allclose(both, np.concatenate(alone, axis=1), atol=1e-6)


def test_dimensions_are_cut_before_normalizing(encoder, expected_states):
    found = encoder.encode(TEXTS, pooling="mean", dimensions=5, normalize=True)
    expected = oracle_vectors(expected_states, [2], "concat", None, "mean", True, 5)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_pooler_is_the_pooled_output(encoder, expected_states):
    found = encoder.encode(TEXTS, pooling="pooler")
    np.testing.assert_allclose(found, [f["pooled"] for f, _ in expected_states], atol=1e-5)
    with pytest.raises(InputError, match="last layer only"):
        encoder.encode(TEXTS, pooling="pooler", layers=[1])


def test_no_pooling_gives_a_vector_for_each_token(encoder, expected_states):
    found = encoder.encode(TEXTS, pooling="none", layers="all")
    for vectors, (states, _) in zip(found, expected_states, strict=True):
        tokens = np.concatenate([states[f"hidden_states.{n}"] for n in range(3)], axis=-1)
        np.testing.assert_allclose(vectors, tokens, atol=1e-5)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("REDUCE_MEAN", "mean"), ("REDUCE_MAX", "max"), ("REDUCE_MEAN_MAX", "mean_max"),
        ("FIRST_TOKEN", "cls"), ("CLS_TOKEN", "cls"), ("LAST_TOKEN", "sep"), ("SEP_TOKEN", "sep"),
        ("CLS_POOLED", "pooler"),
    ],
)  # fmt: skip
def test_the_names_of_bert_as_service_mean_the_same(encoder, old, new):
    np.testing.assert_array_equal(
        encoder.encode(TEXTS, pooling=old), encoder.encode(TEXTS, pooling=new)
    )


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(WORDS), max_size=50).map(" ".join), min_size=1, max_size=9)
)
def test_a_text_has_the_same_vector_alone_and_in_any_batch(encoder, texts):
    together = encoder.encode(texts, pooling="mean")
    for text, vector in zip(texts, together, strict=True):
        np.testing.assert_allclose(encoder.encode(text, pooling="mean"), vector, atol=1e-5)


def test_small_batches_change_nothing(folder):
    texts = [" ".join(WORDS[: 1 + i % 20]) for i in range(40)]
    whole = Encoder.load(folder).encode(texts, pooling="mean")
    cut = Encoder.load(folder, batch_tokens=30).encode(texts, pooling="mean")
    np.testing.assert_allclose(cut, whole, atol=1e-5)


def test_shapes_of_one_none_and_many(encoder):
    assert encoder.encode("cat", pooling="cls").shape == (16,)
    assert encoder.encode([], pooling="cls").shape == (0, 16)
    assert encoder.encode((text for text in ["a", "b"]), pooling="cls").shape == (2, 16)
    assert encoder.encode(np.array(["a", "b"]), pooling="cls").shape == (2, 16)
    assert encoder.encode([], pooling="mean", combine="none", layers="all").shape == (0, 3, 16)
    assert encoder.dim == 16


def test_vectors_are_contiguous_and_writable(encoder):
    vectors = encoder.encode(TEXTS, pooling="mean")
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    assert vectors.flags.writeable
    vectors[0] = 0


def test_bad_rows_fail_alone_and_are_named(encoder):
    texts = ["the cat", None, "the dog", float("nan"), 7]
    with pytest.raises(RowErrors) as caught:
        encoder.encode(texts, pooling="mean")
    assert sorted(caught.value.errors) == [1, 3, 4]
    assert "texts[1]" in str(caught.value.errors[1])
    good = encoder.encode(["the cat", "the dog"], pooling="mean")
    np.testing.assert_allclose(caught.value.vectors[[0, 2]], good, atol=1e-6)
    assert not caught.value.vectors[[1, 3, 4]].any()


def test_with_info_nothing_is_raised(encoder):
    vectors, info = encoder.encode(["the cat", None], pooling="mean", return_info=True)
    assert list(info.errors) == [1]
    assert info.num_tokens.tolist() == [4, 0]
    assert vectors[0].any()


@pytest.mark.parametrize("texts", [None, 5, b"bytes", {"a": 1}])
def test_what_is_no_collection_of_texts_is_refused(encoder, texts):
    with pytest.raises(InputError, match="expected a string or an iterable"):
        encoder.encode(texts)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"pooling": "average"}, "pooling='average'"),
        ({"combine": "add"}, "combine='add'"),
        ({"layers": 9}, "layer 9"),
        ({"dimensions": 17}, "dimensions=17"),
        ({"dimensions": 0}, "dimensions=0"),
        ({"dtype": "float8"}, "float8"),
        ({"truncate": "top"}, "truncate='top'"),
        ({"max_seq_len": 65}, "max_seq_len=65"),
        ({"normalize": "yes"}, "normalize='yes'"),
        ({"combine": "weighted"}, "layer_weights"),
        ({"layer_weights": [1.0]}, "layer_weights"),
        ({"combine": "weighted", "layers": "all", "layer_weights": [1, 2]}, "one for each"),
        ({"combine": "weighted", "layer_weights": ["x"]}, "finite"),
        ({"prompt_name": "query"}, "no prompt named 'query'"),
        ({"prompt": "a", "prompt_name": "b"}, "both given"),
        ({"colour": 1}, "unknown option"),
    ],
)
def test_a_bad_option_is_named_before_anything_is_computed(encoder, options, part):
    with pytest.raises(InputError, match=part):
        encoder.encode(["cat"], **options)
    with pytest.raises(InputError, match=part):
        encoder.encode([], **options)


def test_long_texts_are_cut_and_the_caller_is_told_once(encoder):
    long = "cat " * 100
    with pytest.warns(TruncationWarning, match=r"2 text\(s\).*64 tokens.*texts\[1\]") as caught:
        vectors, info = encoder.encode(["dog", long, long], pooling="mean", return_info=True)
    assert len(caught) == 1
    assert info.num_tokens.tolist() == [3, 102, 102]
    assert info.truncated.tolist() == [False, True, True]
    np.testing.assert_allclose(vectors[1], encoder.encode("cat " * 62, pooling="mean"), atol=1e-5)


def test_truncation_may_be_an_error_of_its_row(encoder):
    with pytest.raises(RowErrors) as caught:
        encoder.encode(["dog", "cat " * 100], pooling="mean", truncate="error")
    assert isinstance(caught.value.errors[1], TextTooLong)


def test_first_and_last_need_a_token(encoder):
    _, info = encoder.encode(["", "cat"], pooling="first", return_info=True)
    assert list(info.errors) == [0]
    assert "no token besides the special ones" in str(info.errors[0])


def test_a_checkpoint_without_pooler_says_so(tiny_bert):
    with pytest.raises(MissingHead, match="no pooler"):
        Encoder.load(tiny_bert(heads=())).encode("cat", pooling="pooler")


def test_non_finite_vectors_never_leave(tiny_bert):
    from safetensors.numpy import load_file, save_file

    folder = tiny_bert(seed=1, heads=("pooler", "classifier"))
    tensors = load_file(folder / "model.safetensors")
    cat = (folder / "vocab.txt").read_text().splitlines().index("cat")
    tensors["bert.embeddings.word_embeddings.weight"][cat] = np.nan
    save_file(tensors, folder / "model.safetensors")
    encoder = Encoder.load(folder)
    vectors, info = encoder.encode(["the dog", "the cat"], pooling="mean", return_info=True)
    assert isinstance(info.errors[1], NonFiniteError)
    assert np.isfinite(vectors).all()
    assert vectors[0].any()
    assert not vectors[1].any()
    items = list(encoder.extract(["the cat", "the dog"], return_errors=True))
    assert isinstance(items[0].error, NonFiniteError)
    assert items[1].error is None
    with pytest.raises(RowErrors) as caught:
        encoder.score(["the dog", "the cat"])
    assert [type(error) for error in caught.value.errors.values()] == [NonFiniteError]
    assert caught.value.vectors[0].any()


def test_a_plain_bert_gives_one_notice(tiny_bert):
    encoder = Encoder.load(tiny_bert(), precision="float32")
    with pytest.warns(NotTrainedForSimilarity, match="plain BERT"):
        encoder.encode("cat")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.encode("cat")


def test_dtypes_follow_their_definitions(encoder, expected_states):
    exact = encoder.encode(TEXTS, pooling="mean", normalize=True)
    ask = lambda dtype: encoder.encode(TEXTS, pooling="mean", normalize=True, dtype=dtype)  # noqa: E731
    np.testing.assert_array_equal(ask("float16"), exact.astype(np.float16))
    assert ask("bfloat16").dtype == np.float32
    np.testing.assert_allclose(ask("bfloat16"), exact, rtol=2**-8)
    np.testing.assert_array_equal(ask("ubinary"), np.packbits(exact > 0, axis=-1))
    signed = (np.packbits(exact > 0, axis=-1).astype(int) - 128).astype(np.int8)
    np.testing.assert_array_equal(ask("binary"), signed)
    levels = np.clip(np.floor((exact.astype(np.float32) + 1) / np.float32(2 / 255)), 0, 255)
    np.testing.assert_array_equal(ask("uint8"), levels.astype(np.uint8))
    np.testing.assert_array_equal(ask("int8"), (levels - 128).astype(np.int8))


def test_integer_ranges_saved_in_the_folder_are_used(tiny_bert):
    folder = tiny_bert(seed=11)
    ranges = {"min": [-2.0] * 16, "max": [3.0] * 16}
    (folder / "quantization_ranges.json").write_text(json.dumps(ranges))
    encoder = Encoder.load(folder)
    exact = encoder.encode(TEXTS, pooling="mean")
    found = encoder.encode(TEXTS, pooling="mean", dtype="uint8")
    expected = convert(exact, "uint8", np.array([[-2.0] * 16, [3.0] * 16], np.float32))
    np.testing.assert_array_equal(found, expected)
    assert found.max() < 255


def test_quantization_equals_sentence_transformers():
    quantize = pytest.importorskip("sentence_transformers.util.quantization").quantize_embeddings
    rng = np.random.default_rng(0)
    vectors = rng.uniform(-1, 1, (50, 24)).astype(np.float32)
    ranges = np.array([[-1.0] * 24, [1.0] * 24], np.float32)
    for dtype in ("int8", "uint8", "binary", "ubinary"):
        expected = quantize(vectors, precision=dtype, ranges=ranges)
        np.testing.assert_array_equal(convert(vectors, dtype, ranges), expected)


def test_row_errors_survive_pickling():
    error = RowErrors({3: InputError("texts[3] is bad")}, np.ones(2))
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert isinstance(again.errors[3], InputError)
    np.testing.assert_array_equal(again.vectors, error.vectors)
