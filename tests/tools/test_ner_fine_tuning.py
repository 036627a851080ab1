"""Taggers trained together with their encoder: equal to torch, resumed exactly, used as others."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from bertfeat import Encoder
from bertfeat.errors import CheckpointError, ConfigError
from bertfeat.ner.sentences import Sentence
from bertfeat.ner.settings import TaggerSettings
from bertfeat.ner.token_rows import token_rows
from bertfeat.ner.word_vectors import FeatureOptions, WordVectors
from bertfeat.tasks import Tagger
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.ner.approaches import EncoderRates, FineTuning
from bertfeat_tools.ner.job import Features, data_for, train_one
from bertfeat_tools.ner.token_inputs import token_inputs
from bertfeat_tools.ner.train import Collate, NerTraining, tagged
from bertfeat_tools.training.encoder import make_bert, open_folder, start
from command_line import call

TEXTS = ["the cat sat on the mat .", "one red dog ran in rain .", "he is big and small .",
         "a blue cat is in the sun .", "the dog and the cat ran ."]  # fmt: skip
QUICK = ("--epochs", 12, "--batch-size", 4, "--rnn-units", 8, "--rnn-layers", 1,
         "--learning-rate", 0.02, "--dropout", 0.1, "--encoder-learning-rate", 0.002,
         "--quiet")  # fmt: skip


def sentence(text):
    """Cats and dogs are entities, with the word before them."""
    words = text.split()
    tags = ["O"] * len(words)
    for place, word in enumerate(words):
        if word in ("cat", "dog"):
            tags[place - 1 : place + 1] = ["B-animal", "I-animal"]
    return Sentence(tuple(words), tuple(tags))


SENTENCES = [sentence(text) for text in TEXTS]


@pytest.fixture(scope="module")
def model(tiny_bert):
    """The encoder's folder: two layers, 64 positions, dropout."""
    return tiny_bert()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The sentences as columns."""
    path = tmp_path_factory.mktemp("data") / "train"
    columns = [
        "".join(f"{word}\t{tag}\n" for word, tag in zip(s.words, s.tags, strict=True))
        for s in SENTENCES * 4
    ]
    path.write_text("\n".join(columns))
    return path


@pytest.fixture(scope="module")
def trained(file, model, tmp_path_factory):
    """A tagger's folder, moved away from where it was trained."""
    folder = tmp_path_factory.mktemp("trained")
    done = call(bertfeat, "ner", "train", "--train", file, "--dev", file, "--output",
                folder / "here", "--model", model, "--fine-tune-encoder", *QUICK)  # fmt: skip
    assert done.code == 0, done.err
    assert json.loads(done.out)["f1"]["mean"] > 0.9
    return shutil.move(folder / "here", folder / "moved")


@pytest.mark.parametrize("pooling", ["first", "last", "mean", "max"])
@pytest.mark.parametrize("context", ["none", "document"])
def test_words_in_training_are_those_of_frozen_features(model, pooling, context):
    from bertfeat_tools.ner.training_model import EncoderTagger

    encoder, options = Encoder.load(model), FeatureOptions((0, 2), pooling, context, 64)
    long = Sentence(("catdog", "mat", "x", "\u200b", "sun") * 30)
    sentences = [*SENTENCES, long, Sentence(("\u200b",)), replace(SENTENCES[0], document=1)]
    settings = TaggerSettings(
        labels=("O",), encoder="x", layers=(0, 2), hidden_size=16, rnn="none", pooling=pooling
    )
    start(0)
    approach = FineTuning(*open_folder(model))
    network = approach.network(settings, "float32")
    assert isinstance(network, EncoderTagger)
    rows = token_rows(sentences, options, encoder.tokenizer)
    assert len(rows[5].windows) > 2
    batch = token_inputs(rows, encoder.tokenizer.pad_id)
    found = np.asarray(network.word_vectors(batch))[batch["mask"]]
    wanted = WordVectors(encoder, options, "float32", cached=False)(sentences)
    np.testing.assert_allclose(found, np.concatenate(wanted), atol=1e-5)


def parts(model, **options):
    """Settings, approach and data of the sentences on an encoder."""
    network = {"rnn": "none", "dropout": 0.0} | options
    features = Features(Encoder.load(model), str(model), "-1", encoder_learning_rate=1e-3)
    settings = features.settings(SENTENCES, **network)
    data = tagged(SENTENCES, features.rows(settings, SENTENCES), settings.scheme)
    return settings, features.approach, data


@pytest.mark.slow
def test_ten_losses_equal_torchs(tiny_bert, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torchcrf = pytest.importorskip("torchcrf")
    from bertfeat_tools.ner.training_model import TaggerTraining
    from bertfeat_tools.training.loop import train

    model = tiny_bert(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    settings, approach, data = parts(model)
    start(0)
    network = approach.network(settings, "float32")
    collate, numbers = Collate(settings, data, approach), np.arange(len(SENTENCES))

    twin = transformers.BertModel.from_pretrained(model, add_pooling_layer=False).train()
    size = len(settings.labels)
    linear, crf = torch.nn.Linear(16, size), torchcrf.CRF(size, batch_first=True)
    ours = network.tagger
    with torch.no_grad():
        for theirs, value in (
            (linear.weight.T, ours.scores.kernel), (linear.bias, ours.scores.bias),
            (crf.start_transitions, ours.crf.start), (crf.end_transitions, ours.crf.end),
            (crf.transitions, ours.crf.follow),
        ):  # fmt: skip
            theirs.copy_(torch.tensor(np.asarray(value.value)))
    groups = [
        {"params": twin.parameters(), "lr": 1e-3},
        {"params": [*linear.parameters(), *crf.parameters()], "lr": 1e-2},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
    batch = {name: torch.tensor(value) for name, value in collate(numbers).items()}
    expected = []
    for _ in range(10):
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
        hidden = twin(**inputs).last_hidden_state.reshape(-1, 16)
        scores = linear(hidden[batch["pieces"][..., 0].clamp(min=0)])
        loss = -crf(scores, batch["tags"].long(), batch["mask"], reduction="mean")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())

    losses = []
    told = NerTraining(epochs=10, learning_rate=1e-2, clip=0.0).settings(1, approach.rates(1e-2))
    train(
        TaggerTraining(network), lambda step: collate(numbers), constant(told), tmp_path,
        progress=lambda step, steps, values: losses.append(values["loss"]),
    )  # fmt: skip
    np.testing.assert_allclose(losses, expected, rtol=2e-4)
    assert losses[-1] < losses[0] - 1


def constant(settings):
    """The same settings with a learning rate that stays."""
    return replace(settings, schedule="constant", evaluate_every=0)


def test_layers_that_are_not_read_and_their_rates_stay(tiny_bert):
    model = tiny_bert(num_hidden_layers=3)
    settings, approach, _ = parts(model)
    start(0)
    network = approach.network(replace(settings, layers=(0, 1), combine="sum"), "float32")
    learned = {variable.path for variable in network.trainable_variables}
    assert not [path for path in learned if "layers_1/" in path or "layers_2/" in path]
    rates = approach.rates(1e-2)
    above = {variable.path for variable in network.tagger.trainable_variables}
    assert {rates(path) for path in learned - above} == {0.1}
    assert {rates(path) for path in above} == {1.0}
    assert repr(rates) == repr(EncoderRates(0.1))


class Killed(Exception):
    """Stands for a kill between two updates."""


@pytest.mark.slow
def test_a_run_that_was_killed_ends_with_the_same_tagger(tiny_bert, tmp_path):
    model = tiny_bert(num_hidden_layers=1)
    features = Features(Encoder.load(model), str(model), "-1", encoder_learning_rate=1e-3)
    settings = features.settings(SENTENCES, rnn="none")
    data = data_for(features, settings, [SENTENCES * 2, SENTENCES])
    training = NerTraining(epochs=4, batch_size=4, warmup=0.1, learning_rate=1e-2, clip=1.0)

    def kill(step, steps, values):
        if step == 7:
            raise Killed

    train_one(settings, data, training, tmp_path / "whole", approach=features.approach)
    with pytest.raises(Killed):
        train_one(settings, data, training, tmp_path / "cut", kill, approach=features.approach)
    train_one(settings, data, training, tmp_path / "cut", approach=features.approach)
    for name in ("tagger.safetensors", "tagger.json", "encoder/model.safetensors"):
        whole, cut = (tmp_path / run / "tagger" / name for run in ("whole", "cut"))
        assert whole.read_bytes() == cut.read_bytes(), name
    slower = Features(features.encoder, str(model), "-1", encoder_learning_rate=1e-4)
    with pytest.raises(CheckpointError, match="rates: was"):
        train_one(settings, data, training, tmp_path / "cut", approach=slower.approach)


def test_the_folder_holds_its_encoder_and_is_used_as_others(trained, file, model):
    loaded = Tagger.load(trained)
    assert loaded.encoder.folder == trained / "encoder"
    assert [e.text for e in loaded.tag(["the cat sat on the mat ."])[0]] == ["the cat"]
    before = open_folder(model)[0].tensors
    moved = {
        name: np.abs(weight.value - before[name]).max()
        for name, weight in make_bert(open_folder(trained / "encoder")[0]).named_weights().items()
    }
    assert min(moved["layers/0/attention/query/kernel"], moved["embeddings/word_embeddings"]) > 1e-3
    with pytest.raises(ConfigError, match="was trained on the encoder"):
        Tagger.load(trained, Encoder.load(model))
    done = call(bertfeat, "ner", "eval", trained, file, "--json", "--quiet")
    assert json.loads(done.out)["types"]["animal"]["f1"] > 0.9
    done = call(bertfeat, "ner", "tag", trained, "--quiet", stdin=b"One red dog ran in rain.\n")
    assert [e["text"] for e in json.loads(done.out)["entities"]] == ["red dog"]


def test_a_server_loads_it(trained):
    from bertfeat_server.tasks import TaskHandler, kind_of, load_task

    handler = TaskHandler(load_task(str(trained)), "ner", kind_of(str(trained)))
    assert handler.describe()["model_hash"] == Encoder.load(trained / "encoder").model_hash
    assert [e["text"] for e in handler._tag(["the dog ran ."])[0]["entities"]] == ["the dog"]


def test_what_cannot_be_trained_is_refused(file, model, tmp_path):
    arguments = ("ner", "train", "--train", file, "--dev", file, "--output", tmp_path / "out",
                 "--fine-tune-encoder", "--quiet")  # fmt: skip
    done = call(bertfeat, *arguments, "--characters")
    assert (done.code, "--characters has no encoder" in done.err) == (2, True)
    done = call(bertfeat, *arguments, "--model", model, "--precision", "int8")
    assert (done.code, "precision='int8' is none of" in done.err) == (1, True)
    assert not list(tmp_path.glob("out/*/tagger"))
