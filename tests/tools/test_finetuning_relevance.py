"""``bertfeat train classify --problem relevance``: cross-encoders that rerank."""

import json

import numpy as np
import pytest

from bertfeat import Encoder
from bertfeat.errors import InputError
from bertfeat.tasks import Predictor
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.finetuning.examples import labels_of, read_examples, targets
from bertfeat_tools.training.encoder import make_bert, open_folder, start
from command_line import call

PAIRS = [("the cat", "the cat sat", 1), ("the cat", "one dog ran", 0), ("a dog", "one dog ran", 1),
         ("a dog", "the cat sat", 0), ("cat and mat", "the cat sat", 1),
         ("dog in rain", "one dog ran", 1), ("cat", "dog", 0), ("dog", "cat", 0)]  # fmt: skip


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in PAIRS * 4))
    return path


def test_the_loss_is_binary_cross_entropy(tiny_bert):
    torch = pytest.importorskip("torch")
    start(0)
    from bertfeat_tools.finetuning.classifier import Classifier

    folder = tiny_bert(heads=("pooler", "classifier"), num_labels=1)
    bert = make_bert(open_folder(folder)[0], heads=("pooler", "classifier"), num_labels=1)
    model = Classifier(bert, "relevance")
    ids = np.random.default_rng(0).integers(5, 80, (4, 8)).astype(np.int32)
    batch = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0,
             "targets": np.array([1, 0, 0.3, 1], np.float32)}  # fmt: skip
    logits = torch.tensor(np.asarray(model.logits(batch)))[:, 0]
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, torch.tensor(batch["targets"])
    )
    assert float(model(batch)["loss"]) == pytest.approx(expected.item(), rel=1e-5)


def test_a_trained_cross_encoder_reranks(tiny_bert, rows, tmp_path):
    model = tiny_bert(num_hidden_layers=1, hidden_dropout_prob=0.0,
                      attention_probs_dropout_prob=0.0)  # fmt: skip
    done = call(bertfeat, "train", "classify", "--train", rows, "--dev", rows, "--columns",
                "1,2,3", "--problem", "relevance", "--model", model, "--output", tmp_path / "out",
                "--epochs", 25, "--batch-size", 8, "--learning-rate", 0.003, "--quiet")  # fmt: skip
    assert done.code == 0, done.err
    assert json.loads(done.out)["spearman"]["mean"] > 0.8
    encoder = Encoder.load(tmp_path / "out/model")
    assert encoder.rerank_method == "cross-encoder"
    for query, wanted in (("the cat", 0), ("a dog", 1)):
        assert encoder.rerank(query, ["the cat sat", "one dog ran"])[0].document == wanted
    found = Predictor.load(tmp_path / "out").predict([PAIRS[0][:2]])[0].scores["relevance"]
    assert found == pytest.approx(float(encoder.score([PAIRS[0][:2]])[0, 0]), abs=1e-5)
    config = json.loads((tmp_path / "out/model/config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    assert config["id2label"] == {"0": "relevance"}


def test_labels_beyond_0_and_1_are_listed(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("a\tb\t0.5\nc\td\t2\ne\tf\tx\ng\th\tnan\n")
    examples = read_examples(path, ["1", "2", "3"])
    assert labels_of(examples, "relevance") == ["relevance"]
    with pytest.raises(
        InputError, match=r"(?s)3 label.*line 2: '2' is not from 0 to 1.*line 3: 'x'"
    ):
        targets(examples, ["relevance"], "relevance")
