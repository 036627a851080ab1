"""Students: the layers they keep, the targets they get, and that they come near their teacher."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bertfeat import Encoder
from bertfeat.errors import InputError, NotTrainedForSimilarity
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.embedding.distillation import check_teacher, narrowed, taught
from bertfeat_tools.embedding.rows import Columns, read_columns
from bertfeat_tools.embedding.students import with_hidden_size, with_layers
from bertfeat_tools.training.encoder import make_bert, open_folder, save_bert, start
from command_line import call

pytestmark = pytest.mark.filterwarnings("ignore::bertfeat.errors.NotTrainedForSimilarity")
RNG = np.random.default_rng(0)
WORDS = ("the", "cat", "dog", "sat", "mat", "ran", "sun", "rain", "big", "red", "blue", "hello")
TEXTS = [" ".join(RNG.choice(WORDS, 4)) for _ in range(30)]
COLUMNS = [TEXTS[:10], TEXTS[10:20], TEXTS[20:]]


@pytest.fixture(scope="module")
def teacher(tiny_bert):
    return tiny_bert(seed=3, num_hidden_layers=3, hidden_dropout_prob=0.0,
                     attention_probs_dropout_prob=0.0)  # fmt: skip


def test_a_student_computes_with_the_layers_that_it_keeps(teacher):
    start(0)
    source, tokenizer = open_folder(teacher)
    ids = np.array([tokenizer.encode("the cat sat").input_ids], np.int32)
    batch = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
    low = make_bert(with_layers(source, [1, 2]))(batch)["hidden_states.-1"]
    whole = make_bert(source)(batch, outputs=("hidden_states.2",))["hidden_states.2"]
    np.testing.assert_allclose(low, whole, atol=1e-6)
    high = make_bert(with_layers(source, [3])).encoder_layers[0].get_weights()
    for got, weight in zip(high, make_bert(source).encoder_layers[2].get_weights(), strict=True):
        np.testing.assert_array_equal(got, weight)
    for wrong in ([0], [4], [2, 2]):
        with pytest.raises(InputError, match="from 1 to 3"):
            with_layers(source, wrong)


def test_targets_are_the_teachers_vectors_and_scores(teacher):
    encoder, rows = Encoder.load(teacher), Columns(COLUMNS, np.zeros(10, np.float32))
    a, b, c = (encoder.encode(column) for column in COLUMNS)
    found = taught(rows, "mse", encoder, 16).scores
    np.testing.assert_allclose(found, np.stack([a, b, c], 1), atol=1e-6)
    margins = taught(rows, "margin-mse", encoder, 16).scores
    np.testing.assert_allclose(margins, (a * b).sum(1) - (a * c).sum(1), rtol=1e-4)
    cosines = taught(rows, "cosine", encoder, 16).scores
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(cosines, (a * b).sum(1) / lengths, rtol=1e-5)


def test_a_cross_encoder_teaches_its_scores(tiny_bert):
    encoder = Encoder.load(tiny_bert(heads=("pooler", "classifier"), num_labels=1))
    rows = Columns(COLUMNS, np.zeros(10, np.float32))
    first, second = (encoder.score(list(zip(COLUMNS[0], other, strict=True)), raw=True)[:, 0]
                     for other in COLUMNS[1:])  # fmt: skip
    np.testing.assert_allclose(taught(rows, "margin-mse", encoder, 16).scores, first - second)
    scores = taught(rows, "cosine", encoder, 16).scores
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-first)), rtol=1e-5)


def test_narrower_vectors_keep_their_products():
    vectors = (RNG.normal(size=(50, 3)) @ RNG.normal(size=(3, 8))).astype(np.float32)
    found = narrowed(vectors[:, None], 3)
    assert found.shape == (50, 1, 3)
    np.testing.assert_allclose(found[:, 0] @ found[:, 0].T, vectors @ vectors.T, atol=1e-3)
    with pytest.raises(InputError, match="at least the student's 9 dimensions, got 8"):
        narrowed(vectors, 9)


def test_losses_of_distillation_equal_torchs():
    torch = pytest.importorskip("torch")
    start(0)
    from bertfeat_tools.embedding.losses import LOSSES

    mse = torch.nn.functional.mse_loss
    a, b, c = (RNG.normal(size=(5, 8)).astype(np.float32) for _ in range(3))
    targets = RNG.normal(size=(5, 2, 8)).astype(np.float32)
    expected = mse(torch.tensor(np.stack([a, b], 1)), torch.tensor(targets)).item()
    assert float(LOSSES["mse"]([a, b], targets)) == pytest.approx(expected, rel=1e-5)
    margin = torch.tensor((a * b).sum(1) - (a * c).sum(1))
    expected = mse(margin, torch.tensor(targets[:, 0, 0])).item()
    found = float(LOSSES["margin-mse"]([a, b, c], targets[:, 0, 0]))
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_narrower_model_keeps_what_weighs_most(teacher):
    source, _ = open_folder(teacher)
    tensors = {name: tensor.copy() for name, tensor in source.tensors.items()}
    hidden, inner = np.array([0, 3, 4, 5, 9, 11, 12, 15]), np.arange(1, 32, 2)
    for layer in range(3):
        for part in ("attention/query", "attention/key", "attention/value", "intermediate"):
            tensors[f"layers/{layer}/{part}/kernel"][hidden] *= 9
        tensors[f"layers/{layer}/attention/output/kernel"][8:] *= 9  # the second head
        tensors[f"layers/{layer}/output/kernel"][inner] *= 9
    found = with_hidden_size(replace(source, tensors=tensors), 8)
    sizes = {"hidden_size": 8, "num_attention_heads": 1, "intermediate_size": 16}
    assert sizes.items() <= found.config.to_dict().items()
    assert sizes.items() <= found.raw_config.items()
    start(0)
    weights = make_bert(found, heads=("pooler",)).named_weights()
    assert weights.keys() == found.tensors.keys()
    head = np.arange(8, 16)
    wanted = {"embeddings/word_embeddings": np.s_[:, hidden], "embeddings/layer_norm/beta": hidden,
              "layers/2/attention/key/kernel": np.ix_(hidden, head),
              "layers/2/attention/value/bias": head,
              "layers/1/attention/output/kernel": np.ix_(head, hidden),
              "layers/1/attention/output/bias": hidden,
              "layers/0/intermediate/kernel": np.ix_(hidden, inner),
              "layers/0/intermediate/bias": inner, "layers/0/output/kernel": np.ix_(inner, hidden),
              "pooler/kernel": np.ix_(hidden, hidden)}  # fmt: skip
    for name, places in wanted.items():
        np.testing.assert_array_equal(weights[name], tensors[name][places], err_msg=name)
    for wrong in (4, 12, 16, 24):
        with pytest.raises(InputError, match=f"multiple of its heads' 8, got {wrong}"):
            with_hidden_size(source, wrong)


def student_of(teacher, folder, loss, *options):
    """A student trained on pairs of texts by the command."""
    rows = folder / "pairs.tsv"
    rows.write_text("".join(f"{a}\t{b}\n" for a, b in zip(TEXTS, TEXTS[::-1], strict=True)))
    with pytest.warns(NotTrainedForSimilarity):  # the teacher
        done = call(bertfeat, "train", "embed", "--train", rows, "--columns", "1,2", "--loss", loss,
                    "--model", teacher, "--teacher", teacher, "--student-layers", "1,3",
                    "--epochs", 30, "--batch-size", 10, "--learning-rate", 0.003, "--output",
                    folder / "out", "--quiet", *options)  # fmt: skip
    assert done.code == 0, done.err
    return Path(json.loads(done.out)["model"])


@pytest.mark.parametrize("loss", ["mse", "cosine"])
def test_a_student_comes_near_its_teacher(teacher, tmp_path, loss):
    student = Encoder.load(student_of(teacher, tmp_path, loss))
    assert student.num_layers == 2
    found, wanted = similarities(student), similarities(Encoder.load(teacher))
    start(0)
    source, tokenizer = open_folder(teacher)
    cut = with_layers(source, [1, 3])
    save_bert(make_bert(cut), cut, tokenizer, tmp_path / "cut", architectures=["BertModel"])
    before = similarities(Encoder.load(tmp_path / "cut"))
    assert np.square(found - wanted).mean() < 0.5 * np.square(before - wanted).mean()


def similarities(encoder):
    """Cosines of the pairs that were trained."""
    vectors = encoder.encode(TEXTS, normalize=True)
    return (vectors * vectors[::-1]).sum(axis=1)


def test_a_narrower_student_meets_its_teachers_vectors(teacher, tmp_path):
    others = pytest.importorskip("sentence_transformers")
    folder = student_of(teacher, tmp_path, "mse", "--student-hidden-size", 8, "--project")
    student, wanted = Encoder.load(folder), Encoder.load(teacher).encode(TEXTS)
    found = student.encode(TEXTS)
    assert (student.dim, json.loads((folder / "config.json").read_text())["hidden_size"]) == (16, 8)
    theirs = others.SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(found, theirs, atol=1e-5)
    spread = np.square(wanted - wanted.mean(axis=0)).mean()  # the error of the best constant
    assert np.square(found - wanted).mean() < 0.5 * spread


def test_a_teacher_must_fit_the_loss(tmp_path):
    with pytest.raises(InputError, match="needs a teacher"):
        check_teacher("mse", None)
    with pytest.raises(InputError, match="the loss is ranking"):
        check_teacher("ranking", "some")
    with pytest.raises(InputError, match="the loss is cosine; choose mse"):
        check_teacher("cosine", "some", project=True)
    rows = tmp_path / "rows.tsv"
    rows.write_text("a\tb\tc\t0.5\n")
    columns = ["1", "2", "3", "4"]
    assert read_columns(rows, columns, "margin-mse", 1.0).scores.tolist() == [0.5]
    assert len(read_columns(rows, columns[:3], "margin-mse", 1.0, taught=True).texts) == 3
    assert read_columns(rows, ["1"], "mse", 1.0, taught=True).texts == [["a"]]
    with pytest.raises(InputError, match=r"margin-mse needs .*got 3 column"):
        read_columns(rows, columns[:3], "margin-mse", 1.0)
