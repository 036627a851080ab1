"""``bertfeat train classify`` and ``predict``: losses as transformers', files, folders, errors."""

import json

import numpy as np
import pytest

from bertfeat import Encoder
from bertfeat.errors import InputError, MissingHead
from bertfeat.tasks import Predictor
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.finetuning.classify import balanced
from bertfeat_tools.finetuning.examples import labels_of, read_examples, targets
from bertfeat_tools.finetuning.fine_tune import Rates
from bertfeat_tools.finetuning.known_sets import TASKS
from bertfeat_tools.training.settings import TrainSettings
from command_line import call

QUICK = ("--epochs", 20, "--batch-size", 4, "--learning-rate", 0.003, "--quiet")
ROWS = [
    ("the cat sat on the mat", "cat"), ("one dog ran", "dog"), ("a red cat is in the sun", "cat"),
    ("the big dog and he", "dog"), ("cat and mat", "cat"), ("they is a dog", "dog"),
] * 4  # fmt: skip


@pytest.fixture(scope="module")
def model(tiny_bert):
    """A tiny encoder of one layer without dropout."""
    return tiny_bert(num_hidden_layers=1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Training and held-out rows as TSV with names."""
    folder = tmp_path_factory.mktemp("rows")
    for name, rows in (("train", ROWS), ("dev", ROWS[:6])):
        lines = ["sentence\tlabel", *("\t".join(row) for row in rows)]
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def trained(files, model):
    """A trained classifier's folder."""
    done = call(bertfeat, "train", "classify", "--task", "sst-2", "--data", files, "--model", model,
                "--output", files / "out", *QUICK)  # fmt: skip
    assert done.code == 0, done.err
    assert json.loads(done.out)["accuracy"]["mean"] == 1.0, done.out
    return files / "out"


def test_a_trained_folder_predicts_here_and_in_transformers(trained):
    transformers = pytest.importorskip("transformers")
    import torch

    texts = [text for text, _ in ROWS[:6]]
    found = Predictor.load(trained).predict(texts)
    assert [p.label for p in found] == [label for _, label in ROWS[:6]]
    theirs = transformers.BertForSequenceClassification.from_pretrained(trained / "model").eval()
    tokens = transformers.AutoTokenizer.from_pretrained(trained / "model")(
        texts, padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        chances = theirs(**tokens).logits.softmax(-1).numpy()
    ours = [[p.scores[theirs.config.id2label[n]] for n in range(2)] for p in found]
    np.testing.assert_allclose(ours, chances, atol=1e-5)


def test_predictions_of_lines(trained):
    stdin = b'the cat sat\n{"text": "one dog", "pair": "ran"}\n'
    done = call(bertfeat, "predict", trained, "--quiet", stdin=stdin)
    found = [json.loads(line) for line in done.out.splitlines()]
    assert found[0]["text"] == "the cat sat"
    assert found[1]["text"] == ["one dog", "ran"]
    assert sum(found[0]["scores"].values()) == pytest.approx(1)
    assert call(bertfeat, "predict", trained, "--quiet", stdin=b"b\xffd").code == 1


def test_a_folder_without_a_classifier_is_refused(model, trained):
    with pytest.raises(MissingHead, match="has no classifier"):
        Predictor.load(model)
    with pytest.raises(InputError, match="texts is one string"):
        Predictor.load(trained).predict("a")
    assert Predictor.load(trained).predict([]) == []


def torch_losses(folder, batch, problem):
    """The losses of twenty steps of transformers' own model under torch's AdamW."""
    import torch
    import transformers

    twin = transformers.BertForSequenceClassification.from_pretrained(folder).train()
    kept = [p for n, p in twin.named_parameters() if not n.endswith(("bias", "LayerNorm.weight"))]
    rest = [p for n, p in twin.named_parameters() if n.endswith(("bias", "LayerNorm.weight"))]
    groups = [{"params": kept, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, 2, 20)
    expected = []
    for step in range(20):
        tensors = {key: torch.tensor(value) for key, value in batch(step).items()}
        wanted = tensors.pop("targets")
        wanted = wanted.long() if problem == "single" else wanted
        loss = twin(**tensors, labels=wanted).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        expected.append(loss.item())
    return expected


@pytest.mark.parametrize(
    "problem",
    ["single", *(pytest.param(x, marks=pytest.mark.slow) for x in ("regression", "multi"))],
)
def test_twenty_losses_equal_transformers(tiny_bert, tmp_path, problem):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from bertfeat_tools.training.encoder import make_bert, open_folder, start

    start(0)
    from bertfeat_tools.finetuning.classifier import Classifier
    from bertfeat_tools.training.loop import train

    labels = 1 if problem == "regression" else 3
    name = {"single": "single_label_classification", "multi": "multi_label_classification"}.get(
        problem, problem
    )
    folder = tiny_bert(
        heads=("pooler", "classifier"), num_labels=labels, num_hidden_layers=1, problem_type=name,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip

    def batch(step):
        rng = np.random.default_rng(step)
        ids = rng.integers(5, 80, (8, 16)).astype(np.int32)
        mask = (np.arange(16) < rng.integers(4, 17, 8)[:, None]).astype(np.int32)
        wanted = {
            "single": lambda: rng.integers(0, 3, 8).astype(np.int32),
            "regression": lambda: rng.normal(size=8).astype(np.float32),
            "multi": lambda: rng.integers(0, 2, (8, 3)).astype(np.float32),
        }[problem]()
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": 0 * ids,
                "targets": wanted}  # fmt: skip

    expected = torch_losses(folder, batch, problem)
    bert = make_bert(open_folder(folder)[0], heads=("pooler", "classifier"), num_labels=labels)
    losses = []
    settings = TrainSettings(steps=20, learning_rate=1e-3, warmup=2, optimizer="adamw")
    train(
        Classifier(bert, name), batch, settings, tmp_path,
        progress=lambda step, steps, values: losses.append(values["loss"]),
    )  # fmt: skip
    np.testing.assert_allclose(losses, expected, atol=1e-4)


@pytest.mark.slow
def test_pairs_values_and_seeds(model, tmp_path):
    rows = [("cat", "cat", 5), ("cat", "dog", 1), ("the sun", "the sun", 4.5), ("one", "two", 0.5)]
    lines = [json.dumps({"a": a, "b": b, "score": s}) for a, b, s in rows * 3]
    for name in ("train.jsonl", "dev.jsonl"):
        (tmp_path / name).write_text("\n".join(lines))
    done = call(bertfeat, "train", "classify", "--train", tmp_path / "train.jsonl", "--dev",
                tmp_path / "dev.jsonl", "--columns", "a,b,score", "--problem", "regression",
                "--model", model, "--output", tmp_path / "out", "--seeds", 2, "--frozen", 0,
                "--layer-decay", 0.9, *QUICK)  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert [run["run"] for run in found["runs"]] == ["seed-0", "seed-1"]
    assert found["spearman"]["mean"] > 0.5
    value = Predictor.load(tmp_path / "out").predict([("cat", "cat")])[0]
    assert (value.label, value.scores) == (None, {})
    before, after = (Encoder.load(f).encode("cat", layers=0, pooling="mean")
                     for f in (model, tmp_path / "out" / "model"))  # fmt: skip
    np.testing.assert_array_equal(before, after)


def test_bad_labels_are_listed_with_their_lines(files, tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text("sentence\tlabel\ncat\t1\ndog\tx\nmat\tnan\n")
    examples = read_examples(path, ["sentence", "label"])
    with pytest.raises(InputError, match=r"(?s)2 label\(s\).*line 3: 'x' is no number.*line 4"):
        targets(examples, ["score"], "regression")
    with pytest.raises(InputError, match=r"line 4: unknown label\(s\) nan"):
        targets(examples, ["1", "x"], "single_label_classification")
    path.write_text("sentence\tlabel\ncat\t\ndog\n")
    with pytest.raises(InputError, match=r"(?s)line 3: 1 columns.*line 2: no value for label"):
        read_examples(path, ["sentence", "label"])
    done = call(bertfeat, "train", "classify", "--output", tmp_path / "o")
    assert (done.code, "give --train, --dev and --columns" in done.err) == (2, True)


def test_labels_are_sorted_and_several_are_split(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text("a\t10\nb\t9\nc\t-1\n")
    examples = read_examples(path, ["1", "2"])
    assert labels_of(examples, "single_label_classification") == ["-1", "9", "10"]
    path.write_text("a\tx|y\nb\t-\nc\ty\n")
    several = read_examples(path, ["1", "2"])
    assert labels_of(several, "multi_label_classification") == ["x", "y"]
    found = targets(several, ["x", "y"], "multi_label_classification")
    assert found.tolist() == [[1, 1], [0, 0], [0, 1]]


def test_rates_fall_with_depth_and_rare_classes_weigh_more():
    rates = Rates(num_layers=2, decay=0.5, frozen=0)
    names = ("embeddings/word_embeddings", "layers_0/output/bias", "layers_1/output/bias",
             "pooler/kernel", "classifier/kernel")  # fmt: skip
    paths = [f"bert/{name}" for name in names]
    assert [rates(path) for path in paths] == [0, 0.25, 0.5, 1, 1]
    assert Rates(2, 1.0, -1)(paths[0]) == 1
    assert balanced(np.array([0, 0, 0, 1]), 2) == [pytest.approx(2 / 3), 2.0]


@pytest.mark.data
def test_known_tasks_have_columns_that_real_files_have(data_dir):
    found = read_examples(data_dir / "pair" / "mrpc-val.tsv.gz", TASKS["mrpc"].columns)
    assert len(found) == 500
    cola = read_examples(data_dir / "cls" / "cola-in_domain_dev.tsv", TASKS["cola"].columns)
    assert len(cola) == 527
    assert len(found.drawn(50, 0)) == 50
