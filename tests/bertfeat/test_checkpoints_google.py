"""TensorFlow 1 checkpoints as google-research/bert saves them, read and written."""

import json
import shutil

import numpy as np
import pytest

from bertfeat.checkpoints import detect, read, write
from bertfeat.errors import CheckpointError, ConfigError, ConversionLoss, TensorMismatch
from bertfeat.tokenization import Tokenizer
from torch_bert import SIZES, canonical, make

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tensorflow = pytest.importorskip("tensorflow")


def variables(model):
    """The model's parameters under the names and in the shapes of google-research/bert."""
    bert, cls = model.bert, model.cls
    found = {
        "bert/embeddings/word_embeddings": bert.embeddings.word_embeddings.weight,
        "bert/embeddings/position_embeddings": bert.embeddings.position_embeddings.weight,
        "bert/embeddings/token_type_embeddings": bert.embeddings.token_type_embeddings.weight,
        "bert/embeddings/LayerNorm/gamma": bert.embeddings.LayerNorm.weight,
        "bert/embeddings/LayerNorm/beta": bert.embeddings.LayerNorm.bias,
        "bert/pooler/dense/kernel": bert.pooler.dense.weight.T,
        "bert/pooler/dense/bias": bert.pooler.dense.bias,
        "cls/predictions/transform/dense/kernel": cls.predictions.transform.dense.weight.T,
        "cls/predictions/transform/dense/bias": cls.predictions.transform.dense.bias,
        "cls/predictions/transform/LayerNorm/gamma": cls.predictions.transform.LayerNorm.weight,
        "cls/predictions/transform/LayerNorm/beta": cls.predictions.transform.LayerNorm.bias,
        "cls/predictions/output_bias": cls.predictions.bias,
        "cls/seq_relationship/output_weights": cls.seq_relationship.weight,
        "cls/seq_relationship/output_bias": cls.seq_relationship.bias,
    }
    for i, layer in enumerate(bert.encoder.layer):
        at = f"bert/encoder/layer_{i}"
        dense = {
            f"{at}/attention/self/query": layer.attention.self.query,
            f"{at}/attention/self/key": layer.attention.self.key,
            f"{at}/attention/self/value": layer.attention.self.value,
            f"{at}/attention/output/dense": layer.attention.output.dense,
            f"{at}/intermediate/dense": layer.intermediate.dense,
            f"{at}/output/dense": layer.output.dense,
        }
        for name, part in dense.items():
            found |= {f"{name}/kernel": part.weight.T, f"{name}/bias": part.bias}
        norms = {
            f"{at}/attention/output/LayerNorm": layer.attention.output.LayerNorm,
            f"{at}/output/LayerNorm": layer.output.LayerNorm,
        }
        for name, part in norms.items():
            found |= {f"{name}/gamma": part.weight, f"{name}/beta": part.bias}
    return {name: tensor.detach().numpy() for name, tensor in found.items()}


def save(folder, values, name="bert_model.ckpt"):
    """Save with TensorFlow 1's Saver, from a graph, as Google's training does."""
    tf1 = tensorflow.compat.v1
    with tensorflow.Graph().as_default(), tf1.Session() as session:
        for variable, value in values.items():
            tf1.get_variable(variable, initializer=value)
        session.run(tf1.global_variables_initializer())
        tf1.train.Saver().save(session, str(folder / name), write_meta_graph=False)


def configure(folder, **changes):
    keys = {
        "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
        "initializer_range": 0.02, **SIZES, **changes,
    }  # fmt: skip
    (folder / "bert_config.json").write_text(json.dumps(keys, indent=2, sort_keys=True))


@pytest.fixture(scope="module")
def pretrained():
    return make("BertForPreTraining")


@pytest.fixture(scope="module")
def google(tmp_path_factory, pretrained):
    """A folder such as Google released, made by TensorFlow, with optimizer slots besides."""
    folder = tmp_path_factory.mktemp("google") / "uncased_L-2_H-12_A-3"
    folder.mkdir()
    values = variables(pretrained)
    slots = {f"{name}/adam_{s}": np.ones_like(v) for name, v in values.items() for s in "mv"}
    save(folder, values | slots | {"global_step": np.int64(1000)})
    (folder / "checkpoint").unlink()
    configure(folder)
    return folder


@pytest.fixture
def tokenizer(tiny_bert):
    return Tokenizer.from_folder(tiny_bert())


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        assert found[name].tobytes() == array.tobytes(), name


def test_googles_file_is_read_with_its_values_and_without_the_optimizers(google, pretrained):
    found = read(google)
    assert found.format == detect(google) == "google"
    assert_same(found.tensors, canonical(pretrained))
    assert found.tensors["next_sentence/kernel"].shape == (12, 2)


def test_what_we_write_has_googles_names_shapes_and_values(tmp_path, tokenizer):
    model = make("BertForPreTraining", vocab_size=tokenizer.vocab_size)
    model.save_pretrained(tmp_path / "hf")
    write(read(tmp_path / "hf"), tokenizer, tmp_path / "google", "google")
    reader = tensorflow.train.load_checkpoint(str(tmp_path / "google" / "bert_model.ckpt"))
    assert_same(
        {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()},
        variables(model),
    )
    assert reader.get_variable_to_shape_map()["cls/seq_relationship/output_weights"] == [2, 12]
    assert json.loads((tmp_path / "google" / "bert_config.json").read_text()) == {
        "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
        "initializer_range": 0.02, **SIZES, "vocab_size": tokenizer.vocab_size,
    }  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "google").iterdir()) == [
        "bert_config.json", "bert_model.ckpt.data-00000-of-00001", "bert_model.ckpt.index",
        "tokenizer_config.json", "vocab.txt",
    ]  # fmt: skip


def test_transformers_computes_the_same_from_googles_file_by_way_of_ours(
    google, pretrained, tmp_path
):
    """Words, heads and layers end up in the right places: logits of the whole model agree."""
    vocabulary = [f"token{i}" for i in range(45)]
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (tmp_path / "vocab.txt").write_text("\n".join([*specials, *vocabulary]))
    write(read(google), Tokenizer.from_folder(tmp_path), tmp_path / "hf", "huggingface")
    again = transformers.BertForPreTraining.from_pretrained(tmp_path / "hf")
    ids = torch.randint(0, 50, (3, 11), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found = pretrained(ids), again(ids)
    assert torch.equal(found.prediction_logits, expected.prediction_logits)
    assert torch.equal(found.seq_relationship_logits, expected.seq_relationship_logits)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("BertForSequenceClassification", ("output_weights", "output_bias")),
        ("BertForQuestionAnswering", ("cls/squad/output_weights", "cls/squad/output_bias")),
    ],
)
def test_task_heads_have_the_names_of_run_classifier_and_run_squad(
    tmp_path, tokenizer, kind, names
):
    model = make(kind, vocab_size=tokenizer.vocab_size)
    head = getattr(model, "classifier", None) or model.qa_outputs
    model.save_pretrained(tmp_path / "hf")
    write(read(tmp_path / "hf"), tokenizer, tmp_path / "google", "google")
    reader = tensorflow.train.load_checkpoint(str(tmp_path / "google" / "bert_model.ckpt"))
    weights, bias = (reader.get_tensor(name) for name in names)
    np.testing.assert_array_equal(weights, head.weight.detach().numpy())
    np.testing.assert_array_equal(bias, head.bias.detach().numpy())
    assert_same(read(tmp_path / "google").tensors, canonical(model))


def test_the_last_checkpoint_of_a_training_run_is_taken(google, pretrained, tmp_path):
    old = {name: np.zeros_like(value) for name, value in variables(pretrained).items()}
    save(tmp_path, old, "model.ckpt-0")
    save(tmp_path, variables(pretrained), "model.ckpt-343")
    shutil.copy(google / "bert_config.json", tmp_path)
    assert_same(read(tmp_path).tensors, canonical(pretrained))
    (tmp_path / "checkpoint").unlink()
    with pytest.raises(CheckpointError, match=r"model\.ckpt-0, model\.ckpt-343"):
        read(tmp_path)


def test_a_missing_type_vocab_size_means_sixteen(google, tmp_path):
    shutil.copytree(google, tmp_path / "g")
    path = tmp_path / "g" / "bert_config.json"
    raw = json.loads(path.read_text())
    del raw["type_vocab_size"]
    path.write_text(json.dumps(raw))
    expected = r"bert/embeddings/token_type_embeddings +\(16, 12\) +\(2, 12\)"
    with pytest.raises(TensorMismatch, match=expected):
        read(tmp_path / "g")


@pytest.mark.parametrize("ending", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("damage", ["half", "gone", "changed"])
def test_a_damaged_checkpoint_is_an_error_that_names_it(google, tmp_path, ending, damage):
    shutil.copytree(google, tmp_path / "g")
    path = tmp_path / "g" / f"bert_model.ckpt.{ending}"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    {
        "half": lambda: path.write_bytes(data[: len(data) // 2]),
        "gone": path.unlink,
        "changed": lambda: path.write_bytes(data),
    }[damage]()
    with pytest.raises(CheckpointError, match=r"bert_model\.ckpt") as caught:
        read(tmp_path / "g")
    assert str(tmp_path / "g") in str(caught.value)


def test_a_tensorflow_2_checkpoint_is_refused(tmp_path):
    value = tensorflow.Variable(np.zeros((2, 2), np.float32))
    tensorflow.train.Checkpoint(model=value).write(str(tmp_path / "bert_model.ckpt"))
    configure(tmp_path)
    with pytest.raises(CheckpointError, match="TensorFlow 2"):
        read(tmp_path)


def test_a_wrong_configuration_lists_all_that_does_not_fit(google, tmp_path):
    shutil.copytree(google, tmp_path / "g")
    configure(tmp_path / "g", num_hidden_layers=1, vocab_size=51)
    with pytest.raises(TensorMismatch) as caught:
        read(tmp_path / "g")
    assert "bert/embeddings/word_embeddings" in str(caught.value)
    assert str(caught.value).count("bert/encoder/layer_1/") == 16
    configure(tmp_path / "g", hidden_act="swoosh")
    with pytest.raises(ConfigError, match=r"bert_config\.json.*swoosh"):
        read(tmp_path / "g")


def test_what_the_format_cannot_hold_is_listed(tmp_path, tokenizer):
    labels = {0: "PER", 1: "LOC", 2: "O"}
    model = make(
        "BertForTokenClassification", vocab_size=tokenizer.vocab_size, id2label=labels,
        layer_norm_eps=1e-5, hidden_act="gelu_new",
    )  # fmt: skip
    model.save_pretrained(tmp_path / "hf")
    with pytest.raises(ConversionLoss) as caught:
        write(read(tmp_path / "hf"), tokenizer, tmp_path / "google", "google")
    message = str(caught.value)
    assert all(
        part in message
        for part in ("PER, LOC, O", "BertForTokenClassification", "1e-05", "gelu_new", "--drop")
    )
    assert list(tmp_path.iterdir()) == [tmp_path / "hf"]
    lost = write(read(tmp_path / "hf"), tokenizer, tmp_path / "google", "google", drop=True)
    assert len(lost) == 4
    again = read(tmp_path / "google")
    assert_same(again.tensors, canonical(model))
    assert (again.config.layer_norm_eps, again.config.hidden_act) == (1e-5, "gelu_new")


def test_half_precision_keeps_its_bits(tmp_path, tokenizer):
    model = make(vocab_size=tokenizer.vocab_size).to(torch.bfloat16)
    model.save_pretrained(tmp_path / "hf")
    first = read(tmp_path / "hf")
    write(first, tokenizer, tmp_path / "google", "google")
    again = read(tmp_path / "google").tensors
    assert again["pooler/kernel"].dtype.name == "bfloat16"
    assert_same(again, first.tensors)
