"""Folders with the files and keys of well-known models load with nothing to set.

Each has random weights at a small size; the vectors are compared with sentence-transformers' or
transformers' own.
"""

import json
import shutil

import numpy as np
import pytest

from bertfeat import Encoder
from bertfeat.encoder.names import output_names
from tiny_bert import WORDS

torch = pytest.importorskip("torch")
sentence_transformers = pytest.importorskip("sentence_transformers")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")

TEXTS = ["the cat sat on the mat.", "hello world!", "Big RED dog", "", "the rain " * 80]
CHINESE = [*"中文字符今天气很好我们去公园吃饭", "。"]


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def as_sentence_transformer(
    folder, *, pooling, normalize, dense=0, max_seq_length=None, prompts=None,
    default_prompt_name=None, include_prompt=True,
):  # fmt: skip
    """Put the files around a Hugging Face folder that sentence-transformers models carry."""
    width = json.loads((folder / "config.json").read_text())["hidden_size"]
    kinds = ["Transformer", "Pooling"] + ["Dense"] * bool(dense) + ["Normalize"] * normalize
    paths = ["", *(f"{i}_{kind}" for i, kind in enumerate(kinds))][: len(kinds)]
    paths = ["" if kind == "Transformer" else f"{i}_{kind}" for i, kind in enumerate(kinds)]
    write_json(
        folder / "modules.json",
        [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (kind, path) in enumerate(zip(kinds, paths, strict=True))
        ],
    )
    modes = (
        "cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens",
        "lasttoken",
    )  # fmt: skip
    write_json(
        folder / "1_Pooling" / "config.json",
        {"word_embedding_dimension": width, "include_prompt": include_prompt}
        | {f"pooling_mode_{mode}": mode in pooling for mode in modes},
    )
    if dense:
        torch.manual_seed(3)
        layer = torch.nn.Linear(width, dense)
        write_json(
            folder / "2_Dense" / "config.json",
            {
                "in_features": width, "out_features": dense, "bias": True,
                "activation_function": "torch.nn.modules.activation.Tanh",
            },
        )  # fmt: skip
        state = {f"linear.{name}": value for name, value in layer.state_dict().items()}
        torch.save(state, folder / "2_Dense" / "pytorch_model.bin")
    if normalize:
        (folder / paths[-1]).mkdir(exist_ok=True)
    if max_seq_length:
        write_json(
            folder / "sentence_bert_config.json",
            {"max_seq_length": max_seq_length, "do_lower_case": False},
        )
    write_json(
        folder / "config_sentence_transformers.json",
        {"prompts": prompts or {}, "default_prompt_name": default_prompt_name},
    )
    return folder


def with_xlmr_tokenizer(folder):
    """Replace the tokenizer by an XLM-R one (Unigram, <s>), as multilingual models have."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = ["▁", *(f"▁{word}" for word in WORDS), *"abcdefghijklmnopqrstuvwxyz.,!BRED"]
    vocabulary = [(special, 0.0) for special in specials]
    vocabulary += [(piece, -1.0 - i / 10) for i, piece in enumerate(dict.fromkeys(pieces))]
    vocabulary.append(("<mask>", 0.0))
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens([*specials, "<mask>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )  # fmt: skip
    for name in ("vocab.txt", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).unlink(missing_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {
        "bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>",
        "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>",
    }  # fmt: skip
    write_json(folder / "special_tokens_map.json", named)
    write_json(
        folder / "tokenizer_config.json",
        named | {"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": 64},
    )
    return folder


FAMILIES = {
    "bge-small-en-v1.5": {"pooling": ["cls_token"], "normalize": True, "max_seq_length": 64},
    "e5-small-v2": {"pooling": ["mean_tokens"], "normalize": True, "max_seq_length": 64},
    "gte-small": {"pooling": ["mean_tokens"], "normalize": True, "max_seq_length": 48},
    "multi-qa-MiniLM-L6-cos-v1": {
        "pooling": ["mean_tokens"], "normalize": True, "max_seq_length": 32,
    },
    "LaBSE": {"pooling": ["cls_token"], "normalize": True, "dense": 24, "max_seq_length": 40},
    "text2vec-base-chinese": {"pooling": ["mean_tokens"], "normalize": False, "max_seq_length": 50},
    "max-and-mean": {"pooling": ["max_tokens", "mean_tokens"], "normalize": False},
    "last-token": {"pooling": ["lasttoken"], "normalize": True},
    "weighted-mean": {"pooling": ["weightedmean_tokens"], "normalize": False},
    "sqrt-len": {"pooling": ["mean_sqrt_len_tokens"], "normalize": False},
}  # fmt: skip


def oracle(folder):
    return sentence_transformers.SentenceTransformer(str(folder), device="cpu")


def assert_equal_vectors(folder, texts=TEXTS):
    encoder, expected = Encoder.load(folder), oracle(folder)
    found = encoder.encode(texts)
    np.testing.assert_allclose(found, expected.encode(texts), atol=1e-5)
    assert encoder.dim == found.shape[1]
    return encoder, expected


@pytest.mark.parametrize("family", FAMILIES)
def test_sentence_vectors_equal_sentence_transformers(tiny_bert, family):
    folder = as_sentence_transformer(tiny_bert(family, seed=2), **FAMILIES[family])
    assert_equal_vectors(folder)


@pytest.mark.parametrize("pooling", ["mean_tokens", "cls_token"])
def test_bert_weights_with_an_xlmr_tokenizer(tiny_bert, pooling):
    folder = with_xlmr_tokenizer(tiny_bert("multilingual-e5-small", seed=4, vocab_size=85))
    encoder, _ = assert_equal_vectors(
        as_sentence_transformer(folder, pooling=[pooling], normalize=True, max_seq_length=60)
    )
    assert encoder.tokenizer.encode("the cat").tokens[0] == "<s>"


def test_a_chinese_bert_with_masked_lm_weights(tiny_bert):
    from tiny_bert import VOCABULARY

    vocabulary = [*VOCABULARY, *CHINESE]
    folder = tiny_bert("bert-base-chinese", vocabulary=vocabulary, heads=("masked_lm",))
    texts = ["今天天气很好。", "我们去公园吃饭 the cat", "中"]
    encoder = Encoder.load(folder)
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for text in texts:
        batch = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            expected = model(**batch, output_hidden_states=True)
        assert encoder.tokenizer.encode(text).input_ids == batch["input_ids"][0].tolist()
        mean = expected.hidden_states[-1][0].mean(0).numpy()
        np.testing.assert_allclose(encoder.encode(text, pooling="mean"), mean, atol=1e-5)
        logits = encoder.outputs(text, ["masked_lm_logits"])["masked_lm_logits"]
        np.testing.assert_allclose(logits, expected.logits[0].numpy(), atol=1e-5)


PROMPTS = {"query": "the query: ", "passage": "a passage: "}


def test_prompts_are_those_of_the_folder(tiny_bert):
    folder = as_sentence_transformer(
        tiny_bert("e5", seed=6), pooling=["mean_tokens"], normalize=True, prompts=PROMPTS,
        default_prompt_name="query",
    )  # fmt: skip
    encoder, expected = assert_equal_vectors(folder)
    for ask in (
        {"prompt_name": "passage"},
        {"prompt_name": "query"},
        {"prompt": "the dog: "},
        {"prompt": ""},
    ):
        np.testing.assert_allclose(
            encoder.encode(TEXTS, **ask), expected.encode(TEXTS, **ask), atol=1e-5
        )
    np.testing.assert_allclose(encoder.encode_query(TEXTS), expected.encode_query(TEXTS), atol=1e-5)
    passages = expected.encode(TEXTS, prompt_name="passage")
    np.testing.assert_allclose(encoder.encode_document(TEXTS), passages, atol=1e-5)


def test_without_a_prompt_for_documents_they_get_none(tiny_bert):
    folder = as_sentence_transformer(
        tiny_bert("query-only", seed=6), pooling=["mean_tokens"], normalize=True,
        prompts={"query": "the query: "}, default_prompt_name="query",
    )  # fmt: skip
    encoder, expected = assert_equal_vectors(folder)
    documents = expected.encode_document(TEXTS)
    np.testing.assert_allclose(encoder.encode_document(TEXTS), documents, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean_tokens", "max_tokens", "cls_token"])
def test_prompts_may_be_left_out_of_the_pooling(tiny_bert, pooling):
    folder = as_sentence_transformer(
        tiny_bert("instructor", seed=6), pooling=[pooling], normalize=False, prompts=PROMPTS,
        include_prompt=False,
    )  # fmt: skip
    encoder, expected = assert_equal_vectors(folder)
    texts = TEXTS[:3]
    np.testing.assert_allclose(
        encoder.encode(texts, prompt_name="query"),
        expected.encode(texts, prompt_name="query"),
        atol=1e-5,
    )


@pytest.mark.parametrize("saved", [None, "torch.nn.modules.linear.Identity"])
def test_cross_encoders_score_pairs(tiny_bert, saved):
    folder = tiny_bert(
        "ms-marco-MiniLM", heads=("pooler", "classifier"), num_labels=1, seed=8,
        **({"sentence_transformers": {"activation_fn": saved}} if saved else {}),
    )  # fmt: skip
    pairs = [("the cat", document) for document in ("a dog sat", "the cat", "", "rain " * 90)]
    expected = sentence_transformers.CrossEncoder(str(folder), device="cpu")
    encoder = Encoder.load(folder)
    scores = encoder.score(pairs)
    np.testing.assert_allclose(scores[:, 0], expected.predict(pairs), atol=1e-5)
    ranked = encoder.rerank("the cat", [document for _, document in pairs], k=3)
    assert encoder.rerank_method == "cross-encoder"
    assert [r.document for r in ranked] == np.argsort(-scores[:, 0], kind="stable")[:3].tolist()


def test_rerank_without_a_cross_encoder_is_cosine(tiny_bert):
    encoder = Encoder.load(tiny_bert(seed=8))
    documents = ["the dog", "the cat sat", "rain"]
    with pytest.warns(UserWarning, match="plain BERT"):
        ranked = encoder.rerank("the cat", documents)
    assert encoder.rerank_method == "cosine"
    vectors = encoder.encode(["the cat", *documents], normalize=True)
    expected = vectors[1:] @ vectors[0]
    np.testing.assert_allclose([r.score for r in ranked], np.sort(expected)[::-1], atol=1e-5)


@pytest.mark.parametrize("labels", [2, 3])
def test_classification_logits_of_several_labels(tiny_bert, labels):
    folder = tiny_bert(heads=("pooler", "classifier"), num_labels=labels, seed=9)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        expected = model(**tokenizer(["the cat"], return_tensors="pt")).logits.numpy()
    np.testing.assert_allclose(Encoder.load(folder).score(["the cat"]), expected, atol=1e-5)


def test_every_layer_and_attention_equals_transformers(tiny_bert):
    folder = tiny_bert(seed=12, num_hidden_layers=3)
    encoder = Encoder.load(folder)
    model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(("the cat",), ("it ran",), return_tensors="pt")
    with torch.no_grad():
        expected = model(**batch, output_hidden_states=True, output_attentions=True)
    found = encoder.outputs(("the cat", "it ran"), output_names(encoder.config, ("pooler",)))
    for i, state in enumerate(expected.hidden_states):
        np.testing.assert_allclose(found[f"hidden_states.{i}"], state[0].numpy(), atol=1e-5)
    for i, attention in enumerate(expected.attentions):
        np.testing.assert_allclose(found[f"attentions.{i}"], attention[0].numpy(), atol=1e-5)


def test_the_same_model_without_its_modules_is_plain(tiny_bert):
    folder = as_sentence_transformer(tiny_bert(seed=2), pooling=["cls_token"], normalize=True)
    own = Encoder.load(folder).encode(TEXTS[:2])
    (folder / "modules.json").unlink()
    shutil.rmtree(folder / "1_Pooling")
    encoder = Encoder.load(folder)
    with pytest.warns(UserWarning, match="plain BERT"):
        plain = encoder.encode(TEXTS[:2])
    np.testing.assert_allclose(plain, encoder.encode(TEXTS[:2], pooling="mean"), atol=1e-6)
    assert np.abs(own - plain).max() > 1e-2
