"""From any format to any other and back: the same bits, or a list of what cannot come along."""

import hashlib
import json

import numpy as np
import pytest

from bertfeat.checkpoints import convert, huggingface, model_hash, read, write
from bertfeat.errors import CheckpointError, ConversionLoss, VocabularyError
from bertfeat.tokenization import Tokenizer

FORMATS = ("google", "huggingface", "sentence-transformers")
PRETRAINED = ("pooler", "masked_lm", "next_sentence")
MODULES = "sentence_transformers.models"
TEXTS = ["The cat sat on the mat.", "Ran! in the rain?", "zebra"]


def assert_bit_equal(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        assert found[name].tobytes() == array.tobytes(), name


def ids(folder):
    tokenizer = Tokenizer.from_folder(folder)
    return [tokenizer.encode(text).input_ids for text in TEXTS]


@pytest.mark.parametrize("lowercase", [True, False], ids=["uncased", "cased"])
@pytest.mark.parametrize("heads", [(), ("pooler",), ("masked_lm",), PRETRAINED, ("pooler", "span")])
def test_every_way_round_gives_the_same_bits(tiny_bert, tmp_path, heads, lowercase):
    """Hugging Face → Google → Hugging Face → sentence-transformers → Google → Google."""
    folder = tiny_bert(heads=heads, lowercase=lowercase)
    first = read(folder)
    way = ("google", "huggingface", "sentence-transformers", "google", "google", "huggingface")
    for number, name in enumerate(way):
        target = tmp_path / f"{number}-{name}"
        lost = convert(folder, target, name, drop=True)
        assert lost == (["pooling mean"] if number == 3 else [])
        found = read(target)
        assert found.format == name
        assert found.config == first.config
        assert_bit_equal(found.tensors, first.tensors)
        assert ids(target) == ids(folder)
        folder = target


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.parametrize("name", FORMATS)
def test_the_default_model_goes_round_with_the_same_bits(default_model, tmp_path, name):
    convert(default_model, tmp_path / "there", name, drop=True)
    convert(tmp_path / "there", tmp_path / "back", "huggingface", drop=True)
    assert_bit_equal(read(tmp_path / "back").tensors, read(default_model).tensors)


def test_a_google_checkpoint_comes_back_byte_for_byte(tiny_bert, tmp_path):
    convert(tiny_bert(heads=PRETRAINED), tmp_path / "a", "google")
    convert(tmp_path / "a", tmp_path / "b", "huggingface")
    convert(tmp_path / "b", tmp_path / "c", "google")
    before, after = ({p.name: p.read_bytes() for p in (tmp_path / x).iterdir()} for x in "ac")
    assert before == after


def sentence_model(folder):
    """Make a plain folder one of sentence-transformers, with everything that is optional."""
    kinds = ["Transformer", "Pooling", "Dense", "Normalize"]
    places = ["", "1_Pooling", "2_Dense", "3_Normalize"]
    (folder / "1_Pooling").mkdir()
    (folder / "2_Dense").mkdir()
    files = {
        "modules.json": [
            {"idx": i, "name": str(i), "path": place, "type": f"{MODULES}.{kind}"}
            for i, (kind, place) in enumerate(zip(kinds, places, strict=True))
        ],
        "1_Pooling/config.json": {"pooling_mode_cls_token": True, "include_prompt": False},
        "2_Dense/config.json": {"in_features": 16, "out_features": 4, "bias": False},
        "sentence_bert_config.json": {"max_seq_length": 12, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "prompts": {"query": "q: "}, "default_prompt_name": "query",
            "similarity_fn_name": "dot", "truncate_dim": 3,
        },
    }  # fmt: skip
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value))
    kernel = np.arange(64, dtype=np.float32).reshape(4, 16)
    huggingface.write_safetensors(folder / "2_Dense/model.safetensors", {"linear.weight": kernel})
    return folder


@pytest.mark.parametrize("name", ["google", "huggingface"])
def test_a_format_without_sentence_modules_lists_them_and_writes_nothing(tiny_bert, tmp_path, name):
    folder = sentence_model(tiny_bert())
    with pytest.raises(ConversionLoss) as caught:
        convert(folder, tmp_path / "target", name)
    lines = str(caught.value).splitlines()
    assert str(folder) in lines[0]
    assert [line.strip() for line in lines[1:-1]] == [
        "pooling cls", "include_prompt false", "Dense 16 → 4, tanh", "Normalize",
        "max_seq_length 12", "prompts query", "default prompt query", "similarity dot",
        "truncate_dim 3",
    ]  # fmt: skip
    assert list(tmp_path.iterdir()) == []
    lost = convert(folder, tmp_path / "target", name, drop=True)
    assert lost == [line.strip() for line in lines[1:-1]]
    assert_bit_equal(read(tmp_path / "target").tensors, read(folder).tensors)


def test_everything_a_sentence_transformers_folder_says_comes_along(tiny_bert, tmp_path):
    folder = sentence_model(tiny_bert())
    assert convert(folder, tmp_path / "target", "sentence-transformers") == []
    before, after = read(folder).sentence, read(tmp_path / "target").sentence
    assert after.dense[0].kernel.tobytes() == before.dense[0].kernel.tobytes()
    kept = [(s.pooling, s.include_prompt, s.normalize, s.max_seq_length, dict(s.prompts),
             s.default_prompt_name, s.similarity, s.truncate_dim, s.dense[0].activation)
            for s in (before, after)]  # fmt: skip
    assert kept[0] == kept[1]
    assert kept[1] == (("cls",), False, True, 12, {"query": "q: "}, "query", "dot", 3, "tanh")


def test_a_tokenizer_that_is_not_wordpiece_does_not_fit_google(tiny_bert, tmp_path):
    from tokenizers import Tokenizer as Backend
    from tokenizers.models import Unigram

    folder = tiny_bert()
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁a", -1.0)]
    for name in ("vocab.txt", "special_tokens_map.json", "tokenizer_config.json"):
        (folder / name).unlink()
    Backend(Unigram(pieces, unk_id=3)).save(str(folder / "tokenizer.json"))
    with pytest.raises(ConversionLoss, match="not WordPiece"):
        convert(folder, tmp_path / "target", "google")


def test_a_normalizer_that_google_does_not_have_is_listed(tiny_bert, tmp_path):
    """An accent-keeping lower-caser in front, as do_lower_case of sentence-transformers adds."""
    folder = tiny_bert(lowercase=False)
    convert(folder, tmp_path / "st", "sentence-transformers")
    options = {"max_seq_length": None, "do_lower_case": True}
    (tmp_path / "st" / "sentence_bert_config.json").write_text(json.dumps(options))
    with pytest.raises(ConversionLoss, match="the tokenizer's normalizer"):
        convert(tmp_path / "st", tmp_path / "google", "google")
    convert(tmp_path / "st", tmp_path / "hf", "huggingface", drop=True)
    assert ids(tmp_path / "hf") == ids(tmp_path / "st") != ids(folder)


def test_an_existing_target_is_left_alone(tiny_bert, tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("mine")
    for name in ("target", "link", "file"):
        with pytest.raises(CheckpointError, match="exists already"):
            convert(tiny_bert(), tmp_path / name, "huggingface")
    assert (tmp_path / "file").read_text() == "mine"
    assert list((tmp_path / "target").iterdir()) == []


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_write_that_breaks_off_leaves_nothing_behind(tiny_bert, tmp_path, monkeypatch, error):
    def fail(*_):
        assert len(list(tmp_path.iterdir())) == 1  # only the temporary folder, never the target
        assert not (tmp_path / "target").exists()
        raise error

    monkeypatch.setattr(huggingface, "write_safetensors", fail)
    with pytest.raises(type(error)):
        convert(tiny_bert(), tmp_path / "target", "huggingface")
    assert list(tmp_path.iterdir()) == []


def test_a_target_in_folders_yet_to_be_made_is_written(tiny_bert, tmp_path):
    convert(tiny_bert(), tmp_path / "a" / "b" / "c", "huggingface")
    assert read(tmp_path / "a" / "b" / "c").format == "huggingface"


def test_a_vocabulary_larger_than_the_embedding_table_is_an_error(tiny_bert, tmp_path):
    folder = tiny_bert()
    with (folder / "vocab.txt").open("a") as file:
        file.write("newcomer\n")
    size = read(folder).config.vocab_size
    with pytest.raises(VocabularyError, match=rf"{size + 1} tokens.*{size} rows"):
        convert(folder, tmp_path / "target", "google")


def test_an_unknown_format_is_an_error(tiny_bert, tmp_path):
    folder = tiny_bert()
    with pytest.raises(
        CheckpointError, match="'onnx' is none of lite, sentence-transformers, hugg"
    ):
        write(read(folder), Tokenizer.from_folder(folder), tmp_path / "target", "onnx")


def test_the_hash_is_that_of_the_weight_file(tiny_bert):
    folder = tiny_bert()
    data = (folder / "model.safetensors").read_bytes()
    assert model_hash(folder) == hashlib.sha256(data).hexdigest()


def test_the_hash_changes_when_the_file_does(tiny_bert):
    folder = tiny_bert()
    before = model_hash(folder)
    (tiny_bert(seed=1) / "model.safetensors").replace(folder / "model.safetensors")
    after = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert model_hash(folder) == after != before


def test_the_hash_of_several_files_is_that_of_their_sha256sum(tiny_bert):
    folder = sentence_model(tiny_bert())
    lines = "".join(
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("2_Dense/model.safetensors", "model.safetensors")
    )
    assert model_hash(folder) == hashlib.sha256(lines.encode()).hexdigest()
