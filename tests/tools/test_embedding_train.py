"""``bertfeat train embed``: rows, batches without false negatives, folders that everyone loads."""

import json

import numpy as np
import pytest

from bertfeat import Encoder
from bertfeat.errors import InputError
from bertfeat.tokenization import Tokenizer
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.embedding.batches import DistinctBatches, batches_of
from bertfeat_tools.embedding.rows import Columns, read_columns
from bertfeat_tools.embedding.train import EmbedOptions
from bertfeat_tools.training.texts import tokenized
from command_line import call

PAIRS = [("the cat sat", "a cat sat", 5), ("one dog ran", "the sun", 0), ("red rain", "rain", 4),
         ("he is big", "blue mat", 1), ("hello world", "hello", 3), ("one", "two", 2)]  # fmt: skip
QUICK = ("--epochs", 4, "--batch-size", 3, "--learning-rate", 0.003, "--quiet")


@pytest.fixture
def rows(tmp_path):
    """Pairs with scores up to 5."""
    path = tmp_path / "rows.tsv"
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in PAIRS))
    return path


@pytest.mark.parametrize(
    ("loss", "columns"),
    [("cosent", "1,2,3"), pytest.param("ranking", "1", marks=pytest.mark.slow)],
)
def test_a_trained_folder_gives_the_same_vectors_everywhere(
    tiny_bert, rows, tmp_path, loss, columns
):
    others = pytest.importorskip("sentence_transformers")
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = tiny_bert(num_hidden_layers=1, **still)
    done = call(bertfeat, "train", "embed", "--train", rows, "--columns", columns, "--loss", loss,
                "--dev", rows, "--max-score", 5, "--model", model, "--matryoshka", "8",
                "--output", tmp_path / "out", *QUICK)  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["steps"] == 8
    assert loss != "cosent" or found["spearman"] > 0.6
    texts = [text for pair in PAIRS for text in pair[:2]]
    ours = Encoder.load(found["model"]).encode(texts)
    theirs = others.SentenceTransformer(found["model"], device="cpu").encode(texts)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_no_text_stands_twice_in_a_batch():
    rng = np.random.default_rng(0)
    texts = tuple(tuple(f"t{n}" for n in rng.integers(0, 40, 200)) for _ in range(2))
    batches = DistinctBatches(200, 8, 1, lambda rows: rows, texts=texts)
    seen = []
    for step in range(batches.steps_per_epoch):
        rows = batches(step)
        own = [text for row in rows for text in {texts[0][row], texts[1][row]}]
        assert len(own) == len(set(own))
        seen += list(rows)
    assert len(seen) == len(set(seen)) > 150
    again = DistinctBatches(200, 8, 1, lambda rows: rows, texts=texts)
    assert all(np.array_equal(batches(n), again(n)) for n in range(batches.steps_per_epoch))


@pytest.mark.parametrize(
    ("loss", "mixed"), [("mse", False), ("denoising", False), ("cosent", True)]
)
def test_rows_that_do_not_see_each_other_come_in_like_lengths(tiny_bert, loss, mixed):
    tokenizer = Tokenizer.from_folder(tiny_bert())
    rng = np.random.default_rng(1)
    texts = ["the " * n for n in rng.permutation(64) % 16 + 1]
    columns = Columns([texts], np.zeros(64, np.float32))
    options = EmbedOptions(loss=loss, batch_size=8)
    batches = batches_of(options, columns, [tokenized(texts, tokenizer, 32)], tokenizer.pad_id)
    seen = [batches(n)["targets" if loss == "denoising" else "attention_mask"] for n in range(8)]
    lengths = [np.count_nonzero(array, axis=1) for array in seen]
    assert sorted(np.concatenate(lengths)) == sorted(text.count("the") + 2 for text in texts)
    assert any(np.ptp(found) > 1 for found in lengths) == mixed


def test_columns_that_a_loss_cannot_use_are_errors(rows, tmp_path):
    with pytest.raises(InputError, match=r"triplet needs anchor,positive,negative, got 2"):
        read_columns(rows, ["1", "2"], "triplet", 1.0)
    assert read_columns(rows, ["1"], "ranking", 1.0).texts[0] == [p[0] for p in PAIRS]
    assert read_columns(rows, ["1", "2", "3"], "cosine", 5.0).scores.tolist()[:2] == [1, 0]
    bad = tmp_path / "bad.tsv"
    bad.write_text("a\tb\tx\nc\td\t1\ne\t\t2\n")
    with pytest.raises(InputError, match="line 3: no value for 2"):
        read_columns(bad, ["1", "2", "3"], "cosent", 1.0)
