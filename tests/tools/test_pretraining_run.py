"""Pre-training: step for step as transformers does it, and from text to a model that loads."""

import json

import numpy as np
import pytest

from bertfeat import Encoder
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.training.settings import TrainSettings
from command_line import call
from tiny_bert import VOCABULARY, write_tokenizer
from torch_pretraining import PlainOptimizer, batch, plain_rate, torch_loss

STEPS = 50


@pytest.mark.parametrize(
    "kind",
    ["google", pytest.param("adamw", marks=pytest.mark.slow),
     pytest.param("lamb", marks=pytest.mark.slow)],
)  # fmt: skip
def test_fifty_steps_equal_transformers_and_a_plain_optimizer(tiny_bert, tmp_path, kind):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from bertfeat_tools.training.encoder import make_bert, open_folder, start

    start(0)
    from bertfeat_tools.pretraining.model import HEADS, Pretraining
    from bertfeat_tools.training.loop import train

    folder = tiny_bert(
        heads=HEADS, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        num_hidden_layers=1,
    )  # fmt: skip
    twin = transformers.BertForPreTraining.from_pretrained(folder).train()
    optimizer = PlainOptimizer(kind, list(twin.named_parameters()))
    expected = []
    for step in range(STEPS):
        loss = torch_loss(twin, batch(step))
        loss.backward()
        expected.append(loss.item())
        optimizer.step(plain_rate(kind, step, STEPS))
    bert = make_bert(open_folder(folder)[0], heads=HEADS)
    losses = []
    settings = TrainSettings(
        steps=STEPS, optimizer=kind, learning_rate=1e-3, warmup=5, log_every=100,
    )  # fmt: skip
    train(
        Pretraining(bert), batch, settings, tmp_path,
        progress=lambda step, steps, values: losses.append(values["loss"]),
    )  # fmt: skip
    np.testing.assert_allclose(losses, expected, atol=1e-4)
    assert expected[-1] < expected[0]


@pytest.mark.slow
def test_the_first_gradient_equals_torchs(tiny_bert):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    import tensorflow as tf

    from bertfeat_tools.pretraining.model import HEADS, Pretraining
    from bertfeat_tools.training.encoder import make_bert, open_folder

    folder = tiny_bert(heads=HEADS, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    twin = transformers.BertForPreTraining.from_pretrained(folder)
    torch_loss(twin, batch(0)).backward()
    bert = make_bert(open_folder(folder)[0], heads=HEADS)
    names = {"pooler/kernel": "bert.pooler.dense.weight",
             "layers/0/attention/query/kernel": "bert.encoder.layer.0.attention.self.query.weight",
             "layers/1/output/kernel": "bert.encoder.layer.1.output.dense.weight",
             "embeddings/word_embeddings": "bert.embeddings.word_embeddings.weight",
             "masked_lm/output_bias": "cls.predictions.bias"}  # fmt: skip
    weights = bert.named_weights()
    with tf.GradientTape() as tape:
        loss = Pretraining(bert)(batch(0), training=True)["loss"]
    found = tape.gradient(loss, [weights[name].value for name in names])
    theirs = dict(twin.named_parameters())
    for (name, other), gradient in zip(names.items(), found, strict=True):
        expected = theirs[other].grad.numpy()
        expected = expected.T if name.endswith("kernel") else expected
        scale = np.abs(expected).max()
        np.testing.assert_allclose(tf.convert_to_tensor(gradient), expected, atol=1e-5 * scale)


@pytest.mark.slow
@pytest.mark.parametrize("masking", ["static", "dynamic"])
def test_from_text_to_a_model_that_everyone_loads(tmp_path, masking):
    transformers = pytest.importorskip("transformers")
    rng = np.random.default_rng(0)
    words = [word for word in VOCABULARY if word.isalpha() and len(word) > 1]
    text = "\n\n".join(
        "\n".join(" ".join(rng.choice(words, 8)) for _ in range(6)) for _ in range(40)
    )
    (tmp_path / "corpus.txt").write_text(text)
    (tmp_path / "v").mkdir()
    write_tokenizer(tmp_path / "v", VOCABULARY, True, 64)
    for length in (32, 64):
        done = call(bertfeat, "pretrain", "data", tmp_path / "corpus.txt", "--tokenizer",
                    tmp_path / "v", "--output", tmp_path / f"d{length}", "--max-seq-len", length,
                    "--masking", masking, "--quiet")  # fmt: skip
        assert done.code == 0, done.err
    config = tmp_path / "run.toml"
    config.write_text(
        f'data = ["{tmp_path}/d32", "{tmp_path}/d64"]\nsteps = [20, 5]\nbatch-size = [8, 4]\n'
        "num-layers = 1\nhidden-size = 16\nnum-heads = 2\nmax-positions = 64\nsave-every = 10\n"
        "evaluate-every = 10\nlearning-rate = 0.005\n"
    )
    done = call(bertfeat, "pretrain", "run", "--config", config, "--output", tmp_path / "out",
                "--quiet")  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert {"perplexity", "accuracy_mask", "next_sentence_accuracy"} <= found.keys()
    model = tmp_path / "out" / "model"
    assert Encoder.load(model).encode(["the cat sat"], pooling="cls").shape == (1, 16)
    assert Encoder.load(model).fill_mask("the [MASK] sat", k=2)
    loaded, report = transformers.BertForPreTraining.from_pretrained(
        model, output_loading_info=True
    )
    assert not report["missing_keys"]
    assert loaded.config.num_hidden_layers == 1
    assert "| step | part |" in (model / "README.md").read_text()
    again = call(bertfeat, "pretrain", "run", "--config", config, "--output", tmp_path / "out",
                 "--steps", 21, "--quiet")  # fmt: skip
    assert (again.code, "other settings or data" in again.err) == (1, True)
