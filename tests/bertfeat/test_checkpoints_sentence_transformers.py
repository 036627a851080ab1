"""sentence-transformers folders: theirs are read as they mean them, ours they load."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from bertfeat.checkpoints import Dense, SentenceModules, detect, read, write
from bertfeat.errors import CheckpointError, ConversionLoss, TensorMismatch
from bertfeat.tokenization import Tokenizer

torch = pytest.importorskip("torch")
sentence_transformers = pytest.importorskip("sentence_transformers")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("default")

TEXTS = ["the cat sat on the mat.", "hello world!", "Big RED dog", "rain " * 90]


def put(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def listed(folder, *modules):
    """Write ``modules.json`` from (class, place) pairs."""
    entries = [
        {"idx": i, "name": str(i), "path": place, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, place) in enumerate(modules)
    ]
    put(folder / "modules.json", entries)
    return folder


def pooled(folder, **modes):
    put(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 16, **modes})


@pytest.fixture
def old(tiny_bert):
    """A folder as releases before 5.4 write it: mean pooling only."""
    folder = listed(tiny_bert(), ("Transformer", ""), ("Pooling", "1_Pooling"))
    pooled(folder, pooling_mode_cls_token=False, pooling_mode_mean_tokens=True)
    return folder


@pytest.fixture
def theirs(tiny_bert):
    """A model with every module, as the installed release makes it."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    torch.manual_seed(0)
    return SentenceTransformer(
        modules=[
            modules.Transformer(str(tiny_bert()), max_seq_length=24),
            modules.Pooling(16, ("mean", "cls", "lasttoken"), include_prompt=False),
            modules.Dense(48, 10, activation_function=torch.nn.GELU()),
            modules.Dense(10, 6, bias=False, activation_function=torch.nn.Tanh()),
            modules.Dropout(0.1),
            modules.Normalize(),
        ],
        prompts={"query": "query: ", "document": "text: "},
        default_prompt_name="query",
        similarity_fn_name="dot",
        truncate_dim=5,
        device="cpu",
    )


def same_vectors(folder, model):
    again = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    for options in ({}, {"prompt_name": "document"}, {"prompt": ""}):
        expected = model.encode(TEXTS, **options)
        np.testing.assert_array_equal(again.encode(TEXTS, **options), expected)
    assert again.similarity_fn_name == model.similarity_fn_name
    return again


def test_what_the_installed_release_writes_is_read(theirs, tmp_path):
    theirs.save(str(tmp_path / "st"))
    found = read(tmp_path / "st")
    assert found.format == detect(tmp_path / "st") == "sentence-transformers"
    sentence = found.sentence
    assert sentence.pooling == ("mean", "cls", "sep")
    assert sentence.include_prompt is False
    assert sentence.normalize is True
    assert sentence.prompts == {"query": "query: ", "document": "text: "}
    assert sentence.default_prompt_name == "query"
    assert (sentence.similarity, sentence.truncate_dim) == ("dot", 5)
    assert [layer.activation for layer in sentence.dense] == ["gelu", "tanh"]
    for layer, module in zip(sentence.dense, (theirs[2], theirs[3]), strict=True):
        np.testing.assert_array_equal(layer.kernel, module.linear.weight.detach().numpy().T)
    np.testing.assert_array_equal(sentence.dense[0].bias, theirs[2].linear.bias.detach().numpy())
    assert sentence.dense[1].bias is None
    weight = theirs[0].auto_model.encoder.layer[1].output.dense.weight.detach().numpy()
    np.testing.assert_array_equal(found.tensors["layers/1/output/kernel"], weight.T)
    assert Tokenizer.from_folder(found.tokenizer_folder).max_length == 24


def test_what_we_write_gives_their_own_vectors(theirs, tmp_path):
    theirs.save(str(tmp_path / "st"))
    model = read(tmp_path / "st")
    write(model, Tokenizer.from_folder(model.tokenizer_folder), tmp_path / "ours", model.format)
    again = same_vectors(tmp_path / "ours", theirs)
    assert again.max_seq_length == 24
    assert again.truncate_dim == 5


def test_every_pooling_we_write_is_read_back_and_understood(old, tmp_path):
    """Both ways of writing it: keys that all releases read, and a list where the order matters."""
    from dataclasses import replace

    modes = {"mean": "mean", "cls": "cls", "max": "max", "mean_sqrt_len": "mean_sqrt_len_tokens",
             "sep": "lasttoken"}  # fmt: skip
    model, tokenizer = read(old), Tokenizer.from_folder(old)
    choices = [(name,) for name in modes] + [("cls", "mean"), ("mean", "cls"), ("sep", "max")]
    for number, pooling in enumerate(choices):
        chosen = replace(model, sentence=SentenceModules(pooling))
        folder = tmp_path / str(number)
        write(chosen, tokenizer, folder, "sentence-transformers")
        assert read(folder).sentence.pooling == pooling
        theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu")[1]
        expected = tuple(modes[name] for name in pooling)
        assert theirs.pooling_mode == (expected if len(expected) > 1 else expected[0])


def test_mean_max_becomes_mean_and_max(old, tmp_path):
    from dataclasses import replace

    chosen = replace(read(old), sentence=SentenceModules(("mean_max",)))
    write(chosen, Tokenizer.from_folder(old), tmp_path / "st", "sentence-transformers")
    assert read(tmp_path / "st").sentence.pooling == ("mean", "max")


def test_the_boolean_keys_concatenate_in_their_order(old):
    flags = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")
    pooled(old, **{f"pooling_mode_{flag}": True for flag in flags}, pooling_mode_lasttoken=True)
    assert read(old).sentence.pooling == ("cls", "max", "mean", "mean_sqrt_len", "sep")
    pooled(old, **{f"pooling_mode_{flag}": False for flag in flags})
    assert read(old).sentence.pooling == ("mean",)


def test_a_dense_layer_in_a_pickle_is_read(old):
    """As LaBSE has it."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(16, 16)
    modules = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense")]
    listed(old, *modules, ("Normalize", "3_Normalize"))
    put(
        old / "2_Dense" / "config.json",
        {"in_features": 16, "out_features": 16, "bias": True,
         "activation_function": "torch.nn.modules.activation.Tanh"},
    )  # fmt: skip
    state = {f"linear.{name}": value for name, value in layer.state_dict().items()}
    torch.save(state, old / "2_Dense" / "pytorch_model.bin")
    (dense,) = read(old).sentence.dense
    np.testing.assert_array_equal(dense.kernel, layer.weight.detach().numpy().T)
    np.testing.assert_array_equal(dense.bias, layer.bias.detach().numpy())
    assert dense.activation == "tanh"


def test_a_transformer_in_a_folder_of_its_own_is_found(tiny_bert, tmp_path):
    tiny_bert().rename(tmp_path / "0_Transformer")
    put(tmp_path / "0_Transformer" / "sentence_bert_config.json", {"max_seq_length": 20})
    listed(tmp_path, ("Transformer", "0_Transformer"), ("Pooling", "1_Pooling"))
    pooled(tmp_path, pooling_mode_max_tokens=True)
    model = read(tmp_path)
    assert model.folder == tmp_path
    assert model.tokenizer_folder == tmp_path / "0_Transformer"
    assert model.sentence.max_seq_length == 20
    oracle = sentence_transformers.SentenceTransformer(str(tmp_path), device="cpu")
    target = tmp_path / "ours"
    write(model, Tokenizer.from_folder(model.tokenizer_folder), target, model.format)
    expected = oracle.encode(TEXTS)
    again = sentence_transformers.SentenceTransformer(str(target), device="cpu")
    np.testing.assert_array_equal(again.encode(TEXTS), expected)


def test_a_plain_model_becomes_one_with_mean_pooling(tiny_bert, tmp_path):
    folder = tiny_bert()
    model = read(folder)
    write(model, Tokenizer.from_folder(folder), tmp_path / "st", "sentence-transformers")
    bare = transformers.AutoModel.from_pretrained(folder)
    ids = Tokenizer.from_folder(folder).encode(TEXTS[0]).input_ids
    with torch.no_grad():
        expected = bare(torch.tensor([ids])).last_hidden_state.mean(1)[0].numpy()
    theirs = sentence_transformers.SentenceTransformer(str(tmp_path / "st"), device="cpu")
    np.testing.assert_allclose(theirs.encode(TEXTS[0]), expected, atol=1e-6)


@pytest.mark.parametrize("labels", [1, 3])
def test_a_cross_encoder_goes_there_and_back(tiny_bert, tmp_path, labels):
    folder = tiny_bert(heads=("pooler", "classifier"), num_labels=labels)
    raw = json.loads((folder / "config.json").read_text())
    activation = {"activation_fn": "torch.nn.modules.activation.Tanh"}
    put(folder / "config.json", raw | {"sentence_transformers": activation})
    pairs = [("the cat", "the dog sat"), ("hello", "world")]
    oracle = sentence_transformers.CrossEncoder(str(folder), device="cpu")
    expected = oracle.predict(pairs)

    oracle.save_pretrained(str(tmp_path / "theirs"))
    model = read(tmp_path / "theirs")
    assert model.sentence is None
    assert model.raw_config["sentence_transformers"]["activation_fn"].endswith("Tanh")
    np.testing.assert_array_equal(
        model.tensors["classifier/kernel"],
        oracle.model.classifier.weight.detach().numpy().T,
    )
    tokenizer = Tokenizer.from_folder(model.tokenizer_folder)
    write(model, tokenizer, tmp_path / "ours", "sentence-transformers")
    again = sentence_transformers.CrossEncoder(str(tmp_path / "ours"), device="cpu")
    np.testing.assert_array_equal(again.predict(pairs), expected)
    assert isinstance(again.activation_fn, torch.nn.Tanh)


@pytest.mark.parametrize(
    "kind", ["CNN", "LSTM", "WordWeights", "LayerNorm", "WeightedLayerPooling"]
)
def test_a_module_that_is_not_computed_here_is_an_error(old, kind):
    listed(old, ("Transformer", ""), (kind, f"1_{kind}"), ("Pooling", "1_Pooling"))
    with pytest.raises(CheckpointError, match=rf"modules\.json.*{kind}"):
        read(old)


@pytest.mark.parametrize(
    "kinds",
    [
        (),
        ("Normalize", "Pooling"),
        ("Pooling", "Normalize", "Dense"),
        ("Pooling", "Pooling"),
        ("Pooling", "Normalize", "Normalize"),
    ],
)
def test_modules_in_an_order_that_is_not_computed_here_are_an_error(old, kinds):
    listed(old, ("Transformer", ""), *((kind, f"1_{kind}") for kind in kinds))
    with pytest.raises(CheckpointError, match="there must be a Pooling, then"):
        read(old)


def test_code_of_the_models_own_is_never_run(old):
    entry = {"idx": 0, "name": "0", "path": "", "type": "custom_st.Transformer"}
    put(old / "modules.json", [entry])
    with pytest.raises(CheckpointError, match=r"custom_st\.Transformer.*never run"):
        read(old)


@pytest.mark.parametrize("place", ["../1_Pooling", "/1_Pooling", 3])
def test_a_module_outside_the_folder_is_an_error(old, place):
    listed(old, ("Transformer", ""), ("Pooling", place))
    with pytest.raises(CheckpointError, match="no place inside"):
        read(old)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "SparseEncoder"),
        ("model_type", ["MultiVectorEncoder"]),
        ("prompts", ["query: "]),
        ("prompts", {"query": 3}),
        ("default_prompt_name", "passage"),
        ("similarity_fn_name", "maxsim"),
        ("truncate_dim", -1),
        ("truncate_dim", "64"),
    ],
)
def test_options_of_the_model_that_cannot_be_are_an_error(old, key, value):
    put(old / "config_sentence_transformers.json", {"truncate_dim": None, key: value})
    with pytest.raises(CheckpointError, match=rf"config_sentence_transformers\.json.* {key}="):
        read(old)


def test_a_default_prompt_that_is_empty_by_nature_is_no_prompt(old):
    put(old / "config_sentence_transformers.json", {"default_prompt_name": "query"})
    assert read(old).sentence.default_prompt_name is None
    theirs = sentence_transformers.SentenceTransformer(str(old), device="cpu")
    np.testing.assert_array_equal(theirs.encode(TEXTS), theirs.encode(TEXTS, prompt=""))


@pytest.mark.parametrize(
    "options",
    [
        {"transformer_task": "fill-mask"},
        {"query_expansion": {"token": "[MASK]"}},
        {"modality_config": {"text": {"method": "forward", "method_output_name": "pooler_output"}}},
        {"model_args": {"num_hidden_layers": 1}},
        {"max_seq_length": "128"},
        {"max_seq_length": 0},
    ],
)
def test_transformer_options_that_change_the_vectors_are_an_error(old, options):
    put(old / "sentence_bert_config.json", options)
    with pytest.raises(CheckpointError, match=next(iter(options)).split("_")[0]):
        read(old)


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("1_Pooling", {"pooling_mode": "attention"}, "attention"),
        ("1_Pooling", {"embedding_dimension": 32}, "32 dimensions, the encoder has 16"),
        ("2_Dense", {"activation_function": "torch.nn.modules.activation.PReLU"}, "PReLU"),
        ("2_Dense", {"activation_function": "my.Tanh"}, r"my\.Tanh"),
        ("2_Dense", {"use_residual": True}, "use_residual=True"),
        ("2_Dense", {"module_input_name": "token_embeddings"}, "token_embeddings"),
        ("3_Normalize", {"module_input_name": "token_embeddings"}, "token_embeddings"),
    ],
)
def test_a_module_with_settings_not_computed_here_is_an_error(
    theirs, tmp_path, file, content, reason
):
    theirs.pop(4)
    theirs.save(str(tmp_path))
    path = next(tmp_path.glob(f"?_{file[2:]}")) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | content))
    with pytest.raises(CheckpointError, match=reason):
        read(tmp_path)


def test_a_dense_layer_that_does_not_fit_is_an_error(theirs, tmp_path):
    theirs.save(str(tmp_path))
    path = tmp_path / "2_Dense" / "config.json"
    raw = json.loads(path.read_text())
    path.write_text(json.dumps(raw | {"in_features": 47}))
    with pytest.raises(TensorMismatch, match=r"linear\.weight +\(10, 47\) +\(10, 48\)"):
        read(tmp_path)
    path.write_text(json.dumps(raw))
    put(tmp_path / "1_Pooling" / "config.json", {"embedding_dimension": 16, "pooling_mode": "cls"})
    with pytest.raises(CheckpointError, match="number 1 takes 48 dimensions, but 16"):
        read(tmp_path)


def test_what_sentence_transformers_has_no_module_for_is_listed(old, tmp_path):
    from dataclasses import replace

    dense = Dense(np.eye(16, dtype=np.float32), None, "softplus")
    chosen = replace(read(old), sentence=SentenceModules(("first",), dense=(dense,)))
    tokenizer = Tokenizer.from_folder(old)
    with pytest.raises(ConversionLoss, match=r"pooling first\n  Dense activation softplus"):
        write(chosen, tokenizer, tmp_path / "st", "sentence-transformers")


def test_heads_stay_in_a_sentence_transformers_folder(tiny_bert, tmp_path):
    folder = tiny_bert(heads=("pooler", "masked_lm", "next_sentence"))
    model, target = read(folder), tmp_path / "st"
    write(model, Tokenizer.from_folder(folder), target, "sentence-transformers")
    before, after = load_file(folder / "model.safetensors"), load_file(target / "model.safetensors")
    assert set(before) == set(after)
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)
