"""int8 under LiteRT: what it computes, what it refuses, and what it needs."""

import json
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest

from bertfeat import Encoder, lite
from bertfeat.checkpoints import convert, lite_cache, model_hash, read
from bertfeat.errors import CheckpointError, ConfigError, ConversionLoss, InputError
from bertfeat.features.options import EncodeOptions
from reference import ReferenceBert

TEXTS = ["the cat sat on the mat", ("hello", "the big dog"), ["red", "rain"], "cat", ""]
SIZES = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 128}
OPTIONS = [
    {},
    {"layers": [0]},
    {"layers": "all", "combine": "none"},
    {"layers": "-2:", "combine": "weighted", "layer_weights": [0.3, 0.7], "normalize": True},
    {"layers": "all", "combine": "max", "pooling": "mean_max", "dimensions": 70},
    {"layers": [1, 2], "pooling": "max"},
    {"pooling": "cls"},
    {"pooling": "REDUCE_MEAN"},
    {"pooling": "sep"},
    {"pooling": "first", "truncate": "left", "max_seq_len": 6},
    {"pooling": "last"},
    {"pooling": "weighted_mean"},
    {"pooling": "mean_sqrt_len"},
    {"pooling": "pooler"},
]
pytestmark = pytest.mark.filterwarnings(
    "ignore::bertfeat.errors.NotTrainedForSimilarity",
    "ignore::bertfeat.errors.TruncationWarning",
)


@pytest.fixture(scope="module")
def source(tiny_bert):
    return tiny_bert(seed=21, heads=("pooler", "classifier"), num_labels=1, **SIZES)


@pytest.fixture(scope="module")
def folder(source, tmp_path_factory):
    target = tmp_path_factory.mktemp("lite") / "model"
    lost, fidelity = lite.make(source, target)
    assert lost == []
    assert fidelity.mean_cosine > 0.999
    return target


@pytest.fixture(scope="module")
def encoder(folder):
    return Encoder.load(folder)


@pytest.fixture(scope="module")
def exact(source):
    return Encoder.load(source)


@pytest.fixture(scope="module")
def keras(source):
    return Encoder.load(source, engine="keras")


def cosines(ours, theirs):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    lengths = np.linalg.norm(ours, axis=-1) * np.linalg.norm(theirs, axis=-1)
    return (ours * theirs).sum(-1) / lengths


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_feature_is_close_to_float32(encoder, exact, options):
    texts = TEXTS[:-1] if options.get("pooling") in ("first", "last") else TEXTS
    found, expected = encoder.encode(texts, **options), exact.encode(texts, **options)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert found.flags.c_contiguous
    assert found.flags.writeable
    assert cosines(found, expected).min() > 0.998
    assert np.abs(found - expected).max() > 0 or options == {"layers": [0]}


def test_token_vectors_of_every_layer_are_close_to_float32(encoder, exact):
    for ours, theirs in zip(
        encoder.extract(TEXTS, layers="all"), exact.extract(TEXTS, layers="all"), strict=True
    ):
        assert (ours.tokens, ours.offsets) == (theirs.tokens, theirs.offsets)
        assert cosines(ours.vectors, theirs.vectors).min() > 0.995


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_float32_under_litert_is_float32_under_keras(exact, keras, options):
    found, expected = (e.encode(TEXTS[:-1], **options) for e in (exact, keras))
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("act", ["gelu_new", "relu", "silu", "swish", "tanh", "linear"])
def test_every_activation_is_written_right(tiny_bert, act):
    folder = tiny_bert(seed=3, hidden_act=act, initializer_range=1.0)
    ours, theirs = (Encoder.load(folder, engine=engine) for engine in ("litert", "keras"))
    for text in TEXTS[:2]:
        found, expected = (e.encode(text, layers="all", pooling="mean") for e in (ours, theirs))
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("heads", "layers"), [(1, 1), (2, 3), (5, 2), (12, 11)])
def test_every_size_is_written_right(tiny_bert, heads, layers):
    sizes = {"hidden_size": 8 * heads, "num_attention_heads": heads, "num_hidden_layers": layers}
    folder = tiny_bert(seed=heads, layer_norm_eps=1e-3, **sizes)
    oracle, encoder = ReferenceBert(folder), Encoder.load(folder, engine="litert")
    for item, text in zip(encoder.extract(TEXTS, layers="all"), TEXTS, strict=True):
        encoding = encoder.tokenizer.encode(text)
        expected = oracle.forward(encoding.input_ids, encoding.token_type_ids)
        for layer, vectors in enumerate(item.vectors):
            np.testing.assert_allclose(vectors, expected[f"hidden_states.{layer}"], atol=1e-5)


def test_what_litert_does_not_compute_another_engine_does(exact, keras):
    np.testing.assert_allclose(exact.attentions("the cat"), keras.attentions("the cat"), atol=1e-6)
    assert (exact.runtime.engine.name, keras.runtime.engine.name) == ("litert", "tensorflow")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"engine": "onnx"}, "engine='onnx' is none of auto, litert, keras"),
        ({"engine": "litert", "precision": "bfloat16"}, "float32 and int8 only"),
        ({"engine": "keras", "precision": "int8"}, "under LiteRT only"),
        ({"engine": "litert", "device": "gpu:0"}, "LiteRT computes on the CPU only"),
        ({"device": "tpu:0"}, "none of auto, cpu, gpu:0"),
    ],
)
def test_an_engine_that_cannot_is_refused(source, options, says):
    with pytest.raises(ConfigError, match=says):
        Encoder.load(source, **options)


def test_a_text_does_not_feel_its_neighbours(encoder):
    texts = ["cat", "the big red dog ran in the rain", "hello world", "one two three", "sun"]
    together = encoder.encode(texts)
    for text, vector in zip(texts, together, strict=True):
        np.testing.assert_allclose(encoder.encode(text), vector, rtol=0, atol=1e-5)


def test_the_heads_are_those_of_the_checkpoint(encoder, exact):
    assert encoder.rerank_method == "cross-encoder"
    pairs = [("the cat", "sat on the mat"), ("hello", "rain")]
    np.testing.assert_allclose(encoder.score(pairs), exact.score(pairs), atol=0.02)


def test_what_stays_inside_is_said(encoder):
    with pytest.raises(InputError, match=r"does not compute attentions.*precision='float32'"):
        encoder.attentions("cat")


def test_it_says_what_it_is_and_how_faithful(encoder, exact, folder):
    assert encoder.precision == "int8"
    assert "the folder is a lite one; cosine to float32 0.999" in encoder.precision_reason
    assert encoder.model_hash == exact.model_hash == model_hash(folder)
    assert encoder.folder == folder
    assert (encoder.dim, encoder.max_seq_len) == (exact.dim, exact.max_seq_len)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"precision": "float32"}, "computes in int8 only"),
        ({"device": "gpu:0"}, "LiteRT computes on the CPU only"),
    ],
)
def test_a_lite_folder_refuses_what_it_cannot(folder, options, says):
    with pytest.raises(ConfigError, match=says):
        Encoder.load(folder, **options)


def test_a_lite_folder_cannot_be_converted_back(folder, tmp_path):
    with pytest.raises(CheckpointError, match="convert the model that it was made from"):
        convert(folder, tmp_path / "back", "huggingface")
    assert not (tmp_path / "back").exists()


def test_a_masked_lm_head_is_left_out_if_told(tiny_bert, tmp_path):
    source = tiny_bert(heads=("masked_lm",))
    with pytest.raises(ConversionLoss, match="the masked-LM head"):
        convert(source, tmp_path / "lite", "lite")
    assert convert(source, tmp_path / "lite", "lite", drop=True) == ["the masked-LM head"]
    assert Encoder.load(tmp_path / "lite").encode("cat").shape == (16,)


@pytest.mark.parametrize(
    ("path", "damage", "says"),
    [
        ("graph.tflite", lambda data: data[:-1], "damaged or cut off: its sha256"),
        ("graph.tflite", None, "missing, damaged or cut off"),
        ("tensors/embeddings.word_embeddings.npy", lambda data: data[:-9], "damaged or cut off"),
        ("lite.json", lambda data: data.replace(b'"format": 1', b'"format": 99'), "format 99"),
        ("lite.json", lambda data: data[:-5], "not valid JSON"),
    ],
)
def test_a_damaged_folder_is_a_clear_error(folder, tmp_path, path, damage, says):
    shutil.copytree(folder, tmp_path / "copy")
    file = tmp_path / "copy" / path
    if damage:
        file.write_bytes(damage(file.read_bytes()))
    else:
        file.unlink()
    with pytest.raises(CheckpointError, match=says):
        read(tmp_path / "copy")


def test_a_model_is_converted_once(source, tmp_path, monkeypatch):
    monkeypatch.setenv("BERTFEAT_CACHE", str(tmp_path))
    first = Encoder.load(source, precision="int8")
    assert first.folder == source
    assert "asked for; cosine to float32 0.999" in first.precision_reason
    monkeypatch.setattr(lite_cache, "_convert", None)
    again = Encoder.load(source, precision="int8")
    np.testing.assert_array_equal(again.encode(TEXTS), first.encode(TEXTS))
    [kept] = (tmp_path / "lite").iterdir()
    assert kept.name.startswith(first.model_hash[:16])


def test_a_conversion_that_fails_says_why_and_leaves_nothing(source, tmp_path, monkeypatch):
    monkeypatch.setenv("BERTFEAT_CACHE", str(tmp_path))
    broken = tmp_path / "broken"
    shutil.copytree(source, broken)
    (broken / "vocab.txt").unlink()
    with pytest.raises(CheckpointError, match="cannot be converted to int8: .*vocab"):
        lite_cache.lite_folder(broken)
    assert list((tmp_path / "lite").iterdir()) == []


WITHOUT_TENSORFLOW = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in {missing!r} else find_spec(name)
import numpy as np
from bertfeat import Encoder
encoder = Encoder.load(sys.argv[1])
np.save(sys.argv[2], encoder.encode(["the cat sat", "hello"]))
print(len(list(encoder.extract(["cat"], layers="all"))))
"""
HEAVY = (
    "tensorflow", "keras", "jax", "safetensors", "huggingface_hub", "pyarrow", "rich", "faiss",
    "filelock", "platformdirs",
)  # fmt: skip


def test_a_lite_folder_needs_neither_tensorflow_nor_what_comes_with_it(encoder, folder, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW.format(missing=HEAVY), str(folder),
         str(tmp_path / "v.npy")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert "XNNPACK" not in done.stderr
    np.testing.assert_array_equal(
        np.load(tmp_path / "v.npy"), encoder.encode(["the cat sat", "hello"])
    )


def test_another_model_than_a_lite_one_says_which_extra_reads_it(source, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW.format(missing=("safetensors",)), str(source),
         str(tmp_path / "v.npy")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert 'pip install "bertfeat[serve]"' in done.stderr.splitlines()[-1]


def test_what_a_sentence_transformers_folder_says_is_kept(exact, tmp_path):
    pytest.importorskip("safetensors")
    from bertfeat.checkpoints import Dense, SentenceModules, write
    from bertfeat.checkpoints.model_folder import ModelFolder

    model = read(exact.folder)
    rng = np.random.default_rng(0)
    sentence = SentenceModules(
        pooling=("cls", "mean"), normalize=True, max_seq_length=12, prompts={"query": "the "},
        dense=(Dense(rng.normal(0, 0.2, (128, 24)).astype(np.float32), None, "tanh"),),
        similarity="dot",
    )  # fmt: skip
    model = ModelFolder(**vars(model) | {"sentence": sentence})
    write(model, exact.tokenizer, tmp_path / "full", "sentence-transformers", drop=True)
    lite.make(tmp_path / "full", tmp_path / "lite")
    full, small = Encoder.load(tmp_path / "full"), Encoder.load(tmp_path / "lite")
    assert (small.dim, small.max_seq_len) == (24, 12)
    assert read(tmp_path / "lite").sentence.prompts == {"query": "the "}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cosines(small.encode_query("cat"), full.encode_query("cat")) > 0.998
    assert json.loads((tmp_path / "lite" / "lite.json").read_text())["fidelity"]["texts"] == 24
    assert small.runtime.spec(EncodeOptions()) != full.runtime.spec(EncodeOptions())
