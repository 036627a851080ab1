"""Updates in chunks: the gradients of the whole batch, also under dropout; the softmax loss."""

import json

import numpy as np
import pytest

from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.embedding.batches import collated
from bertfeat_tools.embedding.deletion import damaged
from bertfeat_tools.embedding.rows import Columns, read_columns
from bertfeat_tools.embedding.train import EmbedOptions, loss_of, train_embedding
from bertfeat_tools.training.encoder import make_bert, open_folder, start
from bertfeat_tools.training.texts import tokenized
from command_line import call

ANCHORS = ["the cat sat", "one dog ran", "red rain on a mat", "he is big", "hello world"]
POSITIVES = ["a cat sat", "the dog", "rain", "big", "hello"]
LABELS = [0, 1, 2, 1, 0]


def prepared(folder, loss, dropout):
    """A model and a batch."""
    from bertfeat_tools.embedding.model import SentenceModel

    start(3)
    source, tokenizer = open_folder(folder)
    bert = make_bert(source, dropout=dropout)
    compare = loss_of(EmbedOptions(loss=loss), bert, 3, source.tensors, tokenizer.pad_id)
    alone = loss == "denoising"
    model = SentenceModel(bert, "mean", normalize=False, loss=compare, columns=2 - alone, chunk=3)
    columns = [tokenized(texts, tokenizer, 32) for texts in (ANCHORS, POSITIVES)]
    if alone:
        return model, damaged(columns[0] + columns[1], tokenizer.pad_id, 0, np.arange(10))
    return model, collated(columns, np.array(LABELS, np.float32), tokenizer.pad_id, np.arange(5))


def at_once(model, batch, chunk):
    """Loss and gradients with one tape over all chunks; the dropout's states are put back."""
    import tensorflow as tf

    seeds = [v for v in model.variables if "seed" in v.path]
    before = [v.numpy() for v in seeds]
    with tf.GradientTape() as tape:
        parts = [{n: a[i : i + chunk] for n, a in batch.items() if n != "targets"}
                 for i in range(0, 10, chunk)]  # fmt: skip
        vectors = tf.concat([model.vectors(part, training=True) for part in parts], 0)
        loss = model.loss_of(vectors, batch["targets"])
    found = tape.gradient(loss, [v.value for v in model.trainable_variables],
                          unconnected_gradients=tf.UnconnectedGradients.ZERO)  # fmt: skip
    after = [v.numpy() for v in seeds]
    for seed, state in zip(seeds, before, strict=True):
        seed.assign(state)
    return float(loss), [tf.convert_to_tensor(f).numpy() for f in found], after


@pytest.mark.parametrize(
    ("loss", "dropout", "chunk"),
    [("ranking", 0.0, 10), ("ranking", 0.3, 3), ("softmax", 0.3, 3), ("denoising", 0.3, 3)],
)
def test_gradients_in_chunks_equal_those_of_one_reading(tiny_bert, loss, dropout, chunk):
    model, batch = prepared(tiny_bert(num_hidden_layers=1), loss, dropout)
    expected, slopes, states = at_once(model, batch, chunk)
    step = model.own_step(batch)
    value, gradients = step.gradients(batch)
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert any(np.abs(slope).max() > 1e-3 for slope in slopes)
    for got, slope in zip(gradients, slopes, strict=True):
        np.testing.assert_allclose(got, slope, atol=1e-5)
    for seed, state in zip(step.seeds, states, strict=True):
        np.testing.assert_array_equal(seed.numpy(), state)
    assert bool(step.seeds) == (dropout > 0)


def test_softmax_is_cross_entropy_of_u_v_and_their_difference():
    torch = pytest.importorskip("torch")
    start(0)
    from bertfeat_tools.embedding.losses import Softmax

    rng = np.random.default_rng(0)
    u, v = (rng.normal(size=(5, 8)).astype(np.float32) for _ in range(2))
    loss = Softmax(3, 8)
    kernel, bias = (torch.tensor(np.asarray(w.value)) for w in loss.trainable_variables)
    left, right = torch.tensor(u), torch.tensor(v)
    scores = torch.cat([left, right, (left - right).abs()], 1) @ kernel + bias
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor(LABELS))
    found = float(loss([u, v], np.array(LABELS, np.float32)))
    assert found == pytest.approx(expected.item(), rel=1e-5)


def test_classes_become_numbers_and_train(tiny_bert, tmp_path):
    rows = tmp_path / "nli.tsv"
    names = ["no", "yes", "maybe", "yes", "no"]
    rows.write_text("".join(f"{a}\t{b}\t{n}\n" for a, b, n in zip(
        ANCHORS, POSITIVES, names, strict=True)))  # fmt: skip
    read = read_columns(rows, ["1", "2", "3"], "softmax", 1.0)
    assert read == Columns([ANCHORS, POSITIVES], read.scores, ("maybe", "no", "yes"))
    assert read.scores.tolist() == [1, 2, 0, 2, 1]
    done = call(bertfeat, "train", "embed", "--train", rows, "--columns", "1,2,3", "--loss",
                "softmax", "--chunk", 4, "--epochs", 30, "--batch-size", 5, "--learning-rate",
                0.01, "--model", tiny_bert(num_hidden_layers=1), "--output", tmp_path / "out",
                "--quiet")  # fmt: skip
    assert done.code == 0, done.err
    assert json.loads(done.out)["steps"] == 30
    lines = (tmp_path / "out/training/metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines if '"loss"' in line]
    assert losses[-1] < 0.5  # a guess has log 3


def test_an_interrupted_run_in_chunks_ends_with_the_same_bits(tiny_bert, tmp_path):
    texts = [[f"{text} {word}" for text in ANCHORS for word in ("one", "two and three")],
             [f"{text} {word}" for text in POSITIVES for word in ("red", "in rain")]]  # fmt: skip
    rows = Columns(texts, np.zeros(10, np.float32))
    options = EmbedOptions(model=str(tiny_bert(num_hidden_layers=1)), chunk=3, batch_size=4,
                           epochs=3, learning_rate=0.01)  # fmt: skip
    steps = train_embedding(options, rows, None, tmp_path / "whole")["steps"]

    def stop(step, total, values):
        if step == total // 2 + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_embedding(options, rows, None, tmp_path / "stopped", stop)
    assert train_embedding(options, rows, None, tmp_path / "stopped")["steps"] == steps
    whole, stopped = ((tmp_path / name / "model/model.safetensors").read_bytes()
                      for name in ("whole", "stopped"))  # fmt: skip
    assert whole == stopped
