"""Our encoder in mteb's hands: its data loaders, its search and its description, as stand-ins."""

import json
import sys
from enum import StrEnum
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from bertfeat import Encoder
from bertfeat.errors import InputError
from bertfeat_tools.mteb_encoder import MtebEncoder

TEXTS = ["the cat sat", "a dog ran in the rain", "hello world", "one big red mat", "it is not blue"]
PLACE = {"hf_split": "test", "hf_subset": "default"}
STS = SimpleNamespace(name="STSBenchmark", type="STS")
SEARCH = SimpleNamespace(name="NFCorpus", type="Retrieval")
# Fields of mteb 2's ModelMeta that have no default; it takes no others than its own.
REQUIRED = {
    "loader", "name", "revision", "release_date", "languages", "n_parameters", "memory_usage_mb",
    "max_tokens", "embed_dim", "license", "open_weights", "public_training_code",
    "public_training_data", "framework", "similarity_fn_name", "use_instructions",
    "training_datasets",
}  # fmt: skip


class PromptType(StrEnum):
    """mteb's enumeration of roles."""

    query = "query"
    document = "document"


def batches(texts, size=2, **others):
    """Batches of named columns, as mteb's collate function leaves them."""
    for start in range(0, len(texts), size):
        part = slice(start, start + size)
        yield {"text": texts[part]} | {name: column[part] for name, column in others.items()}


@pytest.fixture(scope="module")
def encoder(tiny_bert):
    return Encoder.load(tiny_bert(seed=6))


def with_sentence_options(folder, **options):
    """The model of a folder that became one of sentence-transformers."""
    kinds = {"": "Transformer", "1_Pooling": "Pooling"}
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for at, (path, kind) in enumerate(kinds.items())
    ]
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}
    for name, content in (
        ("modules.json", modules), ("1_Pooling/config.json", pooling),
        ("config_sentence_transformers.json", options),
    ):  # fmt: skip
        (folder / name).write_text(json.dumps(content))
    return Encoder.load(folder)


@pytest.fixture(scope="module")
def prompted(tiny_bert):
    """An encoder with prompts."""
    prompts = {
        "NFCorpus-query": "one ", "STSBenchmark": "two ", "Retrieval-document": "three ",
        "query": "red ", "passage": "blue ",
    }  # fmt: skip
    return with_sentence_options(tiny_bert(seed=6), prompts=prompts)


def plain(encoder, texts):
    """The vectors of texts without a prompt."""
    return encoder.encode(texts, layers=-1, prompt="")


def test_texts_of_all_batches_become_vectors_in_order(encoder):
    model = MtebEncoder(encoder, layers=-1)
    found = model.encode(batches(TEXTS), task_metadata=STS, batch_size=2, **PLACE)
    assert (found.dtype, found.shape) == (np.float32, (5, 16))
    assert found == pytest.approx(plain(encoder, TEXTS), abs=1e-6)


def test_a_data_loader_of_torch_is_read_as_mteb_makes_it(encoder):
    data = pytest.importorskip("torch.utils.data")
    rows = [
        {"id": f"d{at}", "title": "a cat", "body": text, "text": f"a cat {text}"}
        for at, text in enumerate(TEXTS)
    ]
    loader = data.DataLoader(rows, batch_size=2, shuffle=False)
    model = MtebEncoder(encoder, layers=-1)
    found = model.encode(loader, task_metadata=SEARCH, prompt_type=PromptType.document, **PLACE)
    assert found == pytest.approx(plain(encoder, [row["text"] for row in rows]), abs=1e-6)


@pytest.mark.parametrize(
    ("task", "role", "prompt"),
    [
        (SEARCH, PromptType.query, "one "),
        (STS, None, "two "),
        (STS, PromptType.query, "two "),
        (SEARCH, PromptType.document, "three "),
        (SimpleNamespace(name="X", type="Y"), PromptType.query, "red "),
        (SimpleNamespace(name="X", type="Y"), "document", "blue "),
        (SimpleNamespace(name="X", type="Y"), None, ""),
    ],
)
def test_the_most_special_prompt_is_taken(prompted, task, role, prompt):
    model = MtebEncoder(prompted, layers=-1)
    found = model.encode(batches(TEXTS), task_metadata=task, prompt_type=role, **PLACE)
    expected = plain(prompted, [prompt + text for text in TEXTS])
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("measure", [None, "cosine", "dot"])
def test_vectors_are_compared_as_the_model_says(tiny_bert, measure):
    model = MtebEncoder(with_sentence_options(tiny_bert(), similarity_fn_name=measure))
    left, right = np.random.default_rng(0).normal(size=(2, 4, 16)).astype(np.float32)
    expected = left.astype(float) @ right.T
    if measure != "dot":
        expected /= np.linalg.norm(left, axis=1)[:, None] * np.linalg.norm(right, axis=1)
    assert model.similarity(left, right) == pytest.approx(expected, abs=1e-5)
    assert model.similarity_pairwise(left, right) == pytest.approx(np.diag(expected), abs=1e-5)
    assert model.similarity(left[0], right).shape == (1, 4)


def test_a_search_ranks_with_tensors_as_mteb_does(encoder):
    torch = pytest.importorskip("torch")
    model = MtebEncoder(encoder, layers=-1)
    queries = model.encode(
        batches(TEXTS[:2]), task_metadata=SEARCH, prompt_type=PromptType.query, **PLACE
    )
    corpus = model.encode(
        batches(TEXTS), task_metadata=SEARCH, prompt_type=PromptType.document, **PLACE
    )
    scores = torch.as_tensor(model.similarity(queries, corpus))
    assert torch.topk(scores, 1, dim=1).indices.flatten().tolist() == [0, 1]
    chosen = torch.as_tensor(corpus[torch.tensor([4, 1])])
    again = model.similarity(torch.as_tensor(queries[1]).unsqueeze(0), chosen)
    assert again == pytest.approx(scores[1:, [4, 1]].numpy(), abs=1e-6)


def test_batches_without_texts_are_told(encoder):
    with pytest.raises(InputError, match="this one has image"):
        MtebEncoder(encoder).encode([{"image": [1]}], task_metadata=STS, **PLACE)


def test_the_description_has_what_mteb_requires_and_may_be_set(encoder, monkeypatch):
    package = ModuleType("mteb.models.model_meta")
    package.ModelMeta = SimpleNamespace
    for name in ("mteb", "mteb.models"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "mteb.models.model_meta", package)
    model = MtebEncoder(str(encoder.folder))
    meta = model.mteb_model_meta
    assert set(vars(meta)) == REQUIRED
    assert (meta.name, meta.embed_dim, meta.max_tokens) == ("bertfeat/tiny-bert", 16, 64)
    assert meta.similarity_fn_name == "cosine"
    assert len(meta.revision) == 64
    model.mteb_model_meta = "another"
    assert model.mteb_model_meta == "another"
