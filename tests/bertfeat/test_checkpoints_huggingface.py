"""What transformers writes is read with the right values; what we write, transformers reads."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bertfeat.checkpoints import detect, read, write
from bertfeat.errors import CheckpointError, ConfigError, TensorMismatch
from bertfeat.tokenization import Tokenizer
from torch_bert import HEADED, canonical, make

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        assert found[name].shape == array.shape, name
        assert found[name].tobytes() == array.tobytes(), name


def rewritten(folder, change):
    """Apply `change` to the names and tensors of a folder's safetensors file."""
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})
    return folder


def configured(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


@pytest.fixture
def tokenizer(tiny_bert):
    return Tokenizer.from_folder(tiny_bert())


@pytest.mark.parametrize("kind", ["BertModel", *HEADED])
def test_a_saved_model_is_read_with_its_values(tmp_path, kind):
    model = make(kind)
    model.save_pretrained(tmp_path)
    found = read(tmp_path)
    assert found.format == detect(tmp_path) == "huggingface"
    assert_same(found.tensors, canonical(model))
    assert found.config.to_dict() == {
        name: getattr(model.config, name) for name in found.config.to_dict()
    }


@pytest.mark.parametrize("kind", ["BertModel", "BertForPreTraining"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_pytorch_model_bin_is_read_with_its_values(tmp_path, kind, zipped):
    model = make(kind)
    model.config.save_pretrained(tmp_path)
    torch.save(
        model.state_dict(),
        tmp_path / "pytorch_model.bin",
        _use_new_zipfile_serialization=zipped,
    )
    assert_same(read(tmp_path).tensors, canonical(model))


def test_a_sharded_model_is_read_with_its_values(tmp_path):
    model = make("BertForPreTraining")
    model.save_pretrained(tmp_path, max_shard_size="5KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    assert_same(read(tmp_path).tensors, canonical(model))


def test_names_of_2018_are_read(tmp_path):
    """gamma and beta, and the two buffers that older releases saved."""
    model = make("BertForPreTraining")
    model.save_pretrained(tmp_path)

    def old(tensors):
        names = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        renamed = {}
        for name, tensor in tensors.items():
            for new, former in names.items():
                name = name.replace(new, former)
            renamed[name] = tensor
        ids = np.arange(16)[None]
        buffers = {"position_ids": ids, "token_type_ids": np.zeros_like(ids)}
        return renamed | {f"bert.embeddings.{name}": value for name, value in buffers.items()}

    assert_same(read(rewritten(tmp_path, old)).tensors, canonical(model))


@pytest.mark.parametrize("prefix", ["bert.", "0.auto_model.", "module.bert.", "model."])
def test_any_prefix_of_the_encoder_is_read(tmp_path, prefix):
    model = make()
    model.save_pretrained(tmp_path)
    rewritten(tmp_path, lambda tensors: {prefix + name: t for name, t in tensors.items()})
    assert_same(read(tmp_path).tensors, canonical(model))


def test_heads_are_found_behind_an_outer_prefix(tmp_path):
    model = make("BertForSequenceClassification")
    model.save_pretrained(tmp_path)
    rewritten(tmp_path, lambda tensors: {f"module.{name}": t for name, t in tensors.items()})
    assert_same(read(tmp_path).tensors, canonical(model))


def test_a_decoder_that_is_the_word_embeddings_is_left_out(tmp_path):
    model = make("BertForMaskedLM")
    model.config.save_pretrained(tmp_path)
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    assert "cls.predictions.decoder.weight" in state
    save_file(state, tmp_path / "model.safetensors")
    assert_same(read(tmp_path).tensors, canonical(model))


def test_an_untied_decoder_is_kept_and_comes_back(tmp_path, tokenizer):
    model = make("BertForMaskedLM", tie_word_embeddings=False, vocab_size=tokenizer.vocab_size)
    model.save_pretrained(tmp_path / "a")
    found = read(tmp_path / "a")
    assert "masked_lm/decoder" in found.tensors
    assert_same(found.tensors, canonical(model))
    write(found, tokenizer, tmp_path / "b", "huggingface")
    again = transformers.BertForMaskedLM.from_pretrained(tmp_path / "b")
    assert_same(canonical(again), canonical(model))


def test_an_untied_decoder_that_is_missing_is_reported(tmp_path):
    make("BertForMaskedLM").save_pretrained(tmp_path)
    with pytest.raises(TensorMismatch, match=r"cls\.predictions\.decoder\.weight +\(50, 12\)"):
        read(configured(tmp_path, tie_word_embeddings=False))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_float_types_keep_their_bits(tmp_path, dtype):
    model = make().to(getattr(torch, dtype))
    model.save_pretrained(tmp_path)
    found = read(tmp_path).tensors["layers/1/output/kernel"]
    assert found.dtype.name == dtype
    expected = model.encoder.layer[1].output.dense.weight.T
    np.testing.assert_array_equal(found.astype(np.float64), expected.detach().double().numpy())


@pytest.mark.parametrize("kind", ["BertModel", *HEADED])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_we_write_loads_in_transformers_with_no_key_over_or_missing(
    tmp_path, tokenizer, kind, dtype
):
    model = make(kind, vocab_size=tokenizer.vocab_size).to(getattr(torch, dtype))
    model.save_pretrained(tmp_path / "a")
    write(read(tmp_path / "a"), tokenizer, tmp_path / "b", "huggingface")
    again, info = getattr(transformers, kind).from_pretrained(
        tmp_path / "b", output_loading_info=True
    )
    assert {key: list(value) for key, value in info.items() if value} == {}
    assert again.config.architectures == [kind]
    assert again.dtype == getattr(torch, dtype)
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    files = (tmp_path / "b" / "config.json", tmp_path / "b" / "model.safetensors")
    assert len({path.stat().st_mode for path in files}) == 1


def test_foreign_keys_and_labels_of_the_configuration_survive(tmp_path, tokenizer):
    labels = {0: "bad", 1: "so-so", 2: "good"}
    model = make("BertForSequenceClassification", vocab_size=tokenizer.vocab_size, id2label=labels)
    model.save_pretrained(tmp_path / "a")
    configured(tmp_path / "a", problem_type="single_label_classification", of_ours={"x": 1})
    write(read(tmp_path / "a"), tokenizer, tmp_path / "b", "huggingface")
    config = transformers.AutoConfig.from_pretrained(tmp_path / "b")
    assert config.id2label == labels
    assert config.problem_type == "single_label_classification"
    assert config.of_ours == {"x": 1}


def test_all_that_does_not_fit_is_one_table(tmp_path):
    make("BertForPreTraining").save_pretrained(tmp_path)

    def spoil(tensors):
        del tensors["bert.encoder.layer.1.attention.self.query.weight"]
        del tensors["cls.predictions.transform.dense.bias"]
        tensors["bert.encoder.layer.0.output.dense.weight"] = np.zeros((12, 21), np.float32)
        tensors["bert.pooler.dense.bias"] = np.zeros(12, np.int8)
        return tensors | {"crf.transitions": np.zeros((3, 3), np.float32)}

    with pytest.raises(TensorMismatch) as caught:
        read(rewritten(tmp_path, spoil))
    lines = [line.split(maxsplit=1) for line in str(caught.value).splitlines()]
    assert str(tmp_path / "model.safetensors") in str(caught.value)
    assert "5 tensor(s)" in str(caught.value)
    table = {name: " ".join(rest.split()) for name, rest in lines[2:-1]}
    assert table == {
        "bert.encoder.layer.1.attention.self.query.weight": "(12, 12) missing",
        "cls.predictions.transform.dense.bias": "(12,) missing",
        "bert.encoder.layer.0.output.dense.weight": "(12, 20) (12, 21)",
        "bert.pooler.dense.bias": "(12,) (12,) int8",
        "crf.transitions": "not expected (3, 3)",
    }


def test_a_table_names_tensors_as_the_file_does(tmp_path):
    make().save_pretrained(tmp_path)
    with pytest.raises(TensorMismatch, match=r"\n  encoder\.layer\.2\.attention\.self\.query"):
        read(configured(tmp_path, num_hidden_layers=3))


def test_a_classifier_with_another_number_of_labels_than_declared_is_reported(tmp_path):
    make("BertForSequenceClassification", num_labels=3).save_pretrained(tmp_path)
    with pytest.raises(TensorMismatch, match=r"classifier\.weight +\(2, 12\) +\(3, 12\)"):
        read(configured(tmp_path, id2label={"0": "a", "1": "b"}))


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, -1])
def test_a_cut_off_safetensors_file_is_an_error_that_names_it(tmp_path, keep):
    make().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(CheckpointError, match=r"model\.safetensors.*damaged or cut off"):
        read(tmp_path)


def test_a_git_lfs_pointer_is_recognized(tmp_path):
    make().save_pretrained(tmp_path)
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    (tmp_path / "model.safetensors").write_text(pointer)
    with pytest.raises(CheckpointError, match="git lfs pull"):
        read(tmp_path)


def test_a_missing_shard_is_named(tmp_path):
    make().save_pretrained(tmp_path, max_shard_size="5KB")
    shard = sorted(tmp_path.glob("model-*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(CheckpointError, match=shard.name):
        read(tmp_path)


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/x.safetensors", "a\\..\\x", 3])
def test_an_index_cannot_lead_out_of_the_folder(tmp_path, name):
    make().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    index = {"weight_map": {"embeddings.word_embeddings.weight": name}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="no place inside"):
        read(tmp_path)


def test_a_folder_without_weights_lists_what_it_holds(tmp_path):
    make().config.save_pretrained(tmp_path)
    (tmp_path / "tf_model.h5").touch()
    with pytest.raises(CheckpointError, match=r"no model\.safetensors.*tf_model\.h5"):
        read(tmp_path)


def test_an_empty_folder_is_no_model(tmp_path):
    with pytest.raises(CheckpointError, match=r"modules\.json.*config\.json.*holds nothing"):
        read(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_a_damaged_configuration_is_named(tmp_path, text):
    make().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        read(tmp_path)


def test_another_architecture_is_refused(tmp_path):
    make().save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="model_type='roberta'"):
        read(configured(tmp_path, model_type="roberta"))


def test_weights_of_something_else_are_refused_in_one_sentence(tmp_path):
    make().save_pretrained(tmp_path)
    rewritten(tmp_path, lambda _: {"conv.weight": np.zeros((2, 2), np.float32)})
    with pytest.raises(CheckpointError, match=r"one BERT encoder.*conv\.weight"):
        read(tmp_path)
