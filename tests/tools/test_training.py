"""The training loop: exact resume, what it keeps, when it stops, what it refuses."""

import errno
import json

import numpy as np
import pytest

from bertfeat.errors import CheckpointError, ConfigError
from bertfeat_tools.training.batches import ShuffledBatches, padded
from bertfeat_tools.training.settings import TrainSettings


@pytest.fixture(scope="module")
def make_model(tiny_bert):
    """A factory of classifiers on one tiny encoder with dropout, each with the same weights."""
    from bertfeat_tools.training.encoder import make_bert, open_folder, start

    start(3)
    import keras

    from bertfeat_tools.training.model import TrainingModel

    class Classifier(TrainingModel):
        def __init__(self, bert):
            super().__init__()
            self.bert = bert

        def logits(self, batch):
            return self.bert(batch, outputs=("classifier_logits",))["classifier_logits"]

        def call(self, batch, training=False):
            found = self.bert(batch, outputs=("classifier_logits",), training=training)
            losses = keras.losses.sparse_categorical_crossentropy(
                batch["labels"], found["classifier_logits"], from_logits=True
            )
            return {"loss": keras.ops.mean(losses)}

    model, _ = open_folder(tiny_bert(num_hidden_layers=1))

    def make(**options):
        start(3)
        return Classifier(make_bert(model, heads=("pooler", "classifier"), **options))

    return make


def collate(rows):
    """Texts of 8 to 32 tokens, each batch of its own length."""
    length = 8 * (1 + int(rows[0]) % 4)
    ids = np.random.default_rng(rows).integers(5, 70, (len(rows), length)).astype(np.int32)
    ones = np.ones_like(ids)
    labels = (rows % 2).astype(np.int32)
    return {"input_ids": ids, "attention_mask": ones, "token_type_ids": ones - 1, "labels": labels}


def test_what_is_computed_between_steps_goes_by_the_weights_as_they_are(make_model):
    model = make_model()
    compute, batches = model.computing("logits"), [collate(np.arange(n, 5)) for n in (0, 1)]
    inputs = [{name: b[name] for name in b if name != "labels"} for b in batches]
    for factor in (1.0, 0.5):
        for variable in model.trainable_variables:
            variable.assign(variable.value * factor)
        for batch in inputs:
            wanted = np.asarray(model.logits(batch))
            np.testing.assert_allclose(compute(batch), wanted, rtol=1e-5, atol=1e-6)


BATCHES = ShuffledBatches(30, 8, seed=1, collate=collate)


def weights(model):
    """Every weight, end to end."""
    return np.concatenate([np.asarray(v.value).ravel() for v in model.trainable_variables])


class Killed(Exception):
    """Stands for a kill between two updates."""


def killed_after(step):
    """A progress call that ends the run there."""

    def progress(now, steps, values):
        if now == step:
            raise Killed

    return progress


@pytest.mark.parametrize(
    "options",
    [{}, {"gradient_checkpointing": True},
     pytest.param({"accumulation": 2, "optimizer": "lamb"}, marks=pytest.mark.slow)],
)  # fmt: skip
def test_a_run_that_was_killed_ends_with_the_same_bits(make_model, tmp_path, options):
    from bertfeat_tools.training.loop import train

    settings = TrainSettings(steps=12, learning_rate=1e-3, save_every=3, **options)
    whole = make_model()
    train(whole, BATCHES, settings, tmp_path / "whole")
    with pytest.raises(Killed):
        train(make_model(), BATCHES, settings, tmp_path / "cut", progress=killed_after(8))
    cut = make_model()
    result = train(cut, BATCHES, settings, tmp_path / "cut")
    assert result.step == 12
    assert np.array_equal(weights(whole), weights(cut))


def test_float16_halves_its_scale_and_takes_it_up_after_a_kill(make_model, tmp_path, monkeypatch):
    from safetensors.numpy import load_file

    from bertfeat_tools.training.loop import train

    monkeypatch.setattr("bertfeat_tools.training.optimizers.INITIAL_SCALE", 2.0**24)
    settings = TrainSettings(
        steps=12, warmup=0, learning_rate=1e-3, save_every=2, log_every=1, precision="float16",
    )  # fmt: skip
    whole, before, seen = make_model(precision="float16"), None, []
    before = weights(whole)
    train(whole, BATCHES, settings, tmp_path / "whole",
          progress=lambda *_: seen.append(np.array_equal(weights(whole), before)))  # fmt: skip
    assert seen[0], "gradients that overflow have changed the weights"
    assert not seen[-1], "no update was made"
    with pytest.raises(Killed):
        train(make_model(precision="float16"), BATCHES, settings, tmp_path / "cut",
              progress=killed_after(5))  # fmt: skip
    cut = make_model(precision="float16")
    train(cut, BATCHES, settings, tmp_path / "cut")
    assert np.array_equal(weights(whole), weights(cut))
    last = [tmp_path / name / "checkpoints" / "0000012.safetensors" for name in ("whole", "cut")]
    scales = [
        value for path in last for key, value in load_file(path).items() if "dynamic_scale" in key
    ]
    assert scales[0] == scales[1] < 2.0**24


def test_losses_in_float16_are_those_in_float32(make_model, tmp_path):
    from bertfeat_tools.training.loop import train

    losses = {}
    for precision in ("float32", "float16"):
        found = losses[precision] = []
        train(
            make_model(precision=precision, dropout=0.0), BATCHES,
            TrainSettings(steps=8, learning_rate=1e-3, precision=precision), tmp_path / precision,
            progress=lambda step, steps, values, found=found: found.append(values["loss"]),
        )  # fmt: skip
    np.testing.assert_allclose(losses["float16"], losses["float32"], atol=5e-3)
    assert losses["float16"] != losses["float32"]


def test_curves_have_each_step_once_after_a_kill(make_model, tmp_path):
    from bertfeat_tools.training.loop import train

    settings = TrainSettings(steps=6, save_every=2, log_every=1)
    with pytest.raises(Killed):
        train(make_model(), BATCHES, settings, tmp_path, progress=killed_after(5))
    train(make_model(), BATCHES, settings, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["0000006.safetensors"]
    assert list((tmp_path / "tensorboard").iterdir())


def test_the_best_weights_are_taken_and_patience_ends_the_run(make_model, tmp_path):
    from bertfeat_tools.training.loop import train

    scores, seen = iter([0.5, 0.7, 0.6, 0.7, 0.9]), []

    def evaluate(model):
        seen.append(weights(model))
        return {"f1": next(scores)}

    settings = TrainSettings(steps=20, evaluate_every=2, metric="f1", patience=2)
    model = make_model()
    result = train(model, BATCHES, settings, tmp_path, evaluate=evaluate)
    assert (result.step, result.best_step, result.scores) == (8, 4, {"f1": 0.7})
    assert np.array_equal(weights(model), seen[1])


def test_frozen_weights_stay_and_others_follow_their_rate(make_model, tmp_path):
    from bertfeat_tools.training.loop import train

    model = make_model()
    before = {name: np.asarray(v.value).copy() for name, v in model.bert.named_weights().items()}
    settings = TrainSettings(
        steps=1, warmup=0, weight_decay=0, clip=0, optimizer="adamw",
        rates=lambda path: 0.0 if "embeddings" in path else 0.5 if "attention" in path else 1.0,
    )  # fmt: skip
    train(model, BATCHES, settings, tmp_path)
    moved = {
        name: float(np.abs(np.asarray(v.value).copy() - before[name]).max())
        for name, v in model.bert.named_weights().items()
    }
    assert moved["embeddings/word_embeddings"] == 0
    assert moved["layers/0/output/kernel"] == pytest.approx(5e-5, rel=1e-2)
    assert moved["layers/0/attention/output/kernel"] == pytest.approx(2.5e-5, rel=1e-2)


def test_a_folder_of_another_run_is_refused(tmp_path):
    from bertfeat_tools.training.records import write_manifest

    write_manifest(tmp_path, TrainSettings(steps=1).to_dict(), {"data": "a"})
    write_manifest(tmp_path, TrainSettings(steps=1).to_dict(), {"data": "a"})
    with pytest.raises(CheckpointError, match=r"learning_rate: was 5e-05, is 0.1\n.*data: was 'a'"):
        write_manifest(tmp_path, TrainSettings(steps=1, learning_rate=0.1).to_dict(), {"data": "b"})


def test_a_full_disk_leaves_the_checkpoint_before(make_model, tmp_path, monkeypatch):
    from bertfeat_tools.training.checkpoints import Checkpoints, restore

    model = make_model()
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save_step(1, model.variables, {})

    def full(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(CheckpointError, match=r"No space left.*0000001.safetensors.*make room"):
        checkpoints.save_step(2, model.variables, {})
    assert [path.name for path in tmp_path.iterdir()] == ["0000001.safetensors"]
    assert restore(checkpoints.newest(), model.variables) == {"step": 1}


def test_a_loss_that_is_no_number_ends_the_run(make_model, tmp_path):
    from bertfeat_tools.training.loop import train

    model = make_model()
    model.bert.named_weights()["pooler/bias"].assign(np.full(16, np.nan, np.float32))
    with pytest.raises(FloatingPointError, match="loss of step 1 is nan"):
        train(model, BATCHES, TrainSettings(steps=2), tmp_path)


def test_wrong_settings_are_listed_together():
    with pytest.raises(ConfigError, match=r"optimizer='sgd' is none of .*; steps=0 is below 1"):
        TrainSettings(steps=0, optimizer="sgd")


def test_each_epoch_has_each_example_once_in_an_order_of_its_own():
    batches = ShuffledBatches(30, 8, seed=1, collate=lambda rows: rows)
    epochs = [np.concatenate([batches(step) for step in range(s, s + 4)]) for s in (0, 4)]
    assert all(sorted(epoch) == list(range(30)) for epoch in epochs)
    assert not np.array_equal(*epochs)
    assert np.array_equal(batches(5), ShuffledBatches(30, 8, seed=1, collate=lambda r: r)(5))


def test_batches_of_like_lengths_waste_little():
    lengths = np.random.default_rng(0).integers(1, 100, 500)
    batches = ShuffledBatches(500, 10, 0, lambda rows: rows, lengths)
    found = [batches(step) for step in range(batches.steps_per_epoch)]
    assert sorted(np.concatenate(found)) == list(range(500))
    cells = sum(len(rows) * lengths[rows].max() for rows in found)
    assert cells < 1.1 * lengths.sum()


def test_padding_fills_up_to_a_multiple():
    assert padded([[1, 2], [3]], value=9, multiple=4).tolist() == [[1, 2, 9, 9], [3, 9, 9, 9]]
