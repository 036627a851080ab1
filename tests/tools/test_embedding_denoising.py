"""TSDAE: sentence-transformers' loss and gradients, what is deleted, what is left at the end."""

import json
from collections import Counter

import numpy as np
import pytest
from safetensors.numpy import load_file

from bertfeat.tokenization import Tokenizer
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.embedding.deletion import damaged, left_over
from bertfeat_tools.embedding.rows import read_columns
from bertfeat_tools.embedding.train import EmbedOptions, loss_of, train_embedding
from bertfeat_tools.training.encoder import make_bert, open_folder, start
from bertfeat_tools.training.texts import tokenized
from command_line import call
from torch_bert import canonical

TEXTS = ["the big cat sat on the red mat", "one dog ran in the rain", "hello unbelievable world !",
         "he is not big", "she was two", "the sun and the rain"]  # fmt: skip
PLAIN = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def batch_of(folder, rows):
    tokenizer = Tokenizer.from_folder(folder)
    return damaged(tokenized(TEXTS, tokenizer, 32), tokenizer.pad_id, 5, np.array(rows))


def theirs(folder, batch):
    """sentence-transformers' loss with random weights of its own, and the loss of a batch."""
    torch = pytest.importorskip("torch")
    others = pytest.importorskip("sentence_transformers")
    losses = pytest.importorskip("sentence_transformers.losses")
    loss = losses.DenoisingAutoEncoderLoss(others.SentenceTransformer(str(folder), device="cpu"))
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in loss.decoder.named_parameters():
            if "crossattention" in name:
                mean = 1.0 if "LayerNorm.weight" in name else 0.0
                parameter.copy_(mean + 0.2 * torch.randn(parameter.shape, generator=rng))
    noisy, whole = ({name: torch.tensor(array).long() for name, array in part.items()}
                    for part in ({n: a for n, a in batch.items() if n != "targets"},
                                 {"input_ids": batch["targets"]}))  # fmt: skip
    return loss, loss([noisy, whole], None)


def named(loss):
    """The parameters of the tied decoder and of its cross-attention under our names."""
    found = canonical(loss.decoder)
    for i, layer in enumerate(loss.decoder.bert.encoder.layer):
        reading = layer.crossattention
        parts = {"value/kernel": reading.self.value.weight.T, "value/bias": reading.self.value.bias,
                 "output/kernel": reading.output.dense.weight.T,
                 "output/bias": reading.output.dense.bias,
                 "layer_norm/gamma": reading.output.LayerNorm.weight,
                 "layer_norm/beta": reading.output.LayerNorm.bias}  # fmt: skip
        found |= {f"reading_{i}/{name}": part.detach().numpy() for name, part in parts.items()}
    return {name: value.copy() for name, value in found.items()}


def test_loss_and_gradients_equal_those_of_sentence_transformers(tiny_bert):
    folder = tiny_bert(heads=("pooler", "masked_lm"), **PLAIN)
    batch = batch_of(folder, [0, 1, 2, 3])
    loss, expected = theirs(folder, batch)
    start(0)
    import tensorflow as tf

    from bertfeat_tools.embedding.model import SentenceModel

    source, tokenizer = open_folder(folder)
    bert = make_bert(source)
    compare = loss_of(EmbedOptions(loss="denoising"), bert, 0, source.tensors, tokenizer.pad_id)
    model = SentenceModel(bert, "mean", normalize=False, loss=compare, columns=1)
    weights = bert.named_weights() | {w.path[w.path.index("masked_lm/"):]: w
                                      for w in compare.words.weights}  # fmt: skip
    own = [w for reading in compare.readings for w in reading.weights if "seed" not in w.path]
    weights |= {w.path[w.path.index("reading_"):]: w for w in own}  # fmt: skip
    values = named(loss)
    assert values.keys() == weights.keys()
    for name, value in values.items():
        if name.startswith("reading_"):
            weights[name].assign(value)
        np.testing.assert_array_equal(weights[name], value, err_msg=name)
    with tf.GradientTape() as tape:
        got = model({n: tf.constant(a) for n, a in batch.items()}, training=True)["loss"]
    found = tape.gradient(got, [weights[name].value for name in values])
    assert float(got) == pytest.approx(expected.item(), abs=1e-5)
    slopes = gradients(loss, expected)
    assert all(
        np.abs(slope).max() > 1e-4 for name, slope in slopes.items() if "key/bias" not in name
    )
    for name, slope in zip(values, found, strict=True):
        np.testing.assert_allclose(
            tf.convert_to_tensor(slope), slopes[name], atol=1e-5, err_msg=name
        )


def gradients(loss, value):
    """Those of a loss by name; queries and keys of the cross-attention have none."""
    import torch

    value.backward()
    for name, parameter in loss.decoder.named_parameters():
        if "crossattention.self.query" in name or "crossattention.self.key" in name:
            assert parameter.grad.abs().max() < 1e-7
    with torch.no_grad():
        for parameter in loss.decoder.parameters():
            parameter.copy_(parameter.grad)
    return named(loss)


def test_about_six_of_ten_words_are_deleted_with_all_their_tokens(tiny_bert):
    tokenizer = Tokenizer.from_folder(tiny_bert())
    encoding = tokenizer.encode("unbelievable cat , " * 5)
    of_word = Counter(encoding.word_ids)
    rng, shares = np.random.default_rng(0), []
    for _ in range(100):
        left = left_over(encoding, rng)
        assert (left[0], left[-1]) == (tokenizer.cls_id, tokenizer.sep_id)
        cats = left.count(tokenizer.token_to_id("cat"))
        commas = left.count(tokenizer.token_to_id(","))
        long, rest = divmod(len(left) - 2 - cats - commas, of_word[0])
        assert rest == 0
        shares.append((cats + commas + long) / 15)
    assert np.mean(shares) == pytest.approx(0.4, abs=0.03)
    one, none = tokenizer.encode("cat"), tokenizer.encode("")
    assert all(left_over(one, rng) == one.input_ids for _ in range(10))
    assert left_over(none, rng) == none.input_ids


def test_damage_follows_from_seed_and_rows_alone(tiny_bert):
    folder = tiny_bert()
    first, again, other = (batch_of(folder, rows) for rows in ([2, 0, 1], [2, 0, 1], [0, 1, 2]))
    for name, array in first.items():
        assert array.dtype == np.int32
        np.testing.assert_array_equal(array, again[name])
    whole = tokenized(TEXTS[2:3], Tokenizer.from_folder(folder), 32)[0].input_ids
    assert first["targets"][0, : len(whole)].tolist() == whole
    assert [row.tolist() for row in first["input_ids"]] != [
        row.tolist() for row in other["input_ids"][[2, 0, 1]]
    ]


def test_a_run_ends_with_the_encoder_alone_and_the_same_bits_after_a_stop(tiny_bert, tmp_path):
    folder, texts = tiny_bert(num_hidden_layers=1), tmp_path / "texts.tsv"
    texts.write_text("".join(f"{a}\t{b}\n" for a, b in zip(TEXTS[::2], TEXTS[1::2], strict=True)))
    done = call(bertfeat, "train", "embed", "--train", texts, "--columns", "1,2", "--loss",
                "denoising", "--pooling", "cls", "--model", folder, "--epochs", 20, "--batch-size",
                4, "--learning-rate", 0.01, "--output", tmp_path / "whole", "--quiet")  # fmt: skip
    assert done.code == 0, done.err
    assert json.loads(done.out)["steps"] == 40
    lines = (tmp_path / "whole/training/metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert losses[-1] < 0.7 * losses[0]

    def stop(step, total, values):
        if step == 23:
            raise KeyboardInterrupt

    rows = read_columns(texts, ["1", "2"], "denoising", 1.0)
    assert rows.texts == [TEXTS[::2] + TEXTS[1::2]]
    options = EmbedOptions(model=str(folder), loss="denoising", pooling="cls", epochs=20,
                           batch_size=4, learning_rate=0.01)  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        train_embedding(options, rows, None, tmp_path / "stopped", stop)
    train_embedding(options, rows, None, tmp_path / "stopped")
    whole, stopped = (load_file(tmp_path / name / "model/model.safetensors")
                      for name in ("whole", "stopped"))  # fmt: skip
    assert whole.keys() == stopped.keys() == load_file(folder / "model.safetensors").keys()
    for name, tensor in whole.items():
        np.testing.assert_array_equal(tensor, stopped[name], err_msg=name)
