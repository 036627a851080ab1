"""A tagger asks the server for its encoder's vectors while they are those of its own encoder."""

from types import SimpleNamespace

import numpy as np
import pytest
from http_served import REAL, http_server
from random_tagger import write_random_tagger

from bertfeat import Encoder
from bertfeat.tasks import Tagger
from bertfeat_client import Client
from bertfeat_client.errors import NotFound
from bertfeat_server.served_encoder import served_encoder

TEXTS = ["the cat sat on the mat .", "one red dog ran in rain", "he is big and small " * 40]
OPTIONS = {"layers": [1, 2], "long": "window", "stride": 8, "max_seq_len": 64}


class Served:
    """Answers as a server's client does, from an encoder in this process."""

    def __init__(self, encoder):
        self.encoder, self.asked = encoder, []
        self.info = SimpleNamespace(model_hash=encoder.model_hash, precision="float32")
        self.gone = False

    def tokens(self, texts, *, return_info, model, **options):
        if self.gone:
            raise NotFound(f"no model {model!r} here")
        self.asked.append(model)
        return list(self.encoder.extract(texts, return_errors=True, **options)), self.info


@pytest.fixture
def folder(tiny_bert):
    return tiny_bert()


@pytest.fixture
def client(folder):
    return Served(Encoder.load(folder))


def vectors(encoder):
    return [found.vectors for found in encoder.extract(TEXTS, return_errors=True, **OPTIONS)]


def test_it_asks_the_model_of_the_same_weights_and_loads_nothing(folder, client, tiny_bert):
    models = {"elsewhere": "no/such-model", "other": str(tiny_bert(seed=5)), "same": str(folder)}
    encoder = served_encoder(client, models, str(folder))
    for ours, theirs in zip(vectors(encoder), vectors(client.encoder), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert (client.asked, encoder.own) == (["same"], None)
    own = client.encoder
    assert (encoder.model_hash, encoder.config) == (own.model_hash, own.config)
    ids = [one.tokenizer.encode_batch(["the cat"])[0].input_ids for one in (encoder, own)]
    assert ids[0] == ids[1]


def test_without_such_a_model_there_is_none(folder, client, tiny_bert):
    assert served_encoder(client, {"other": str(tiny_bert(seed=5))}, str(folder)) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda client: setattr(client, "gone", True),
        lambda client: setattr(client.info, "model_hash", "0" * 64),
        lambda client: setattr(client.info, "precision", "bfloat16"),
    ],
)
def test_when_the_model_is_another_it_loads_its_own(folder, client, change):
    encoder = served_encoder(client, {"m": str(folder)}, str(folder))
    expected = vectors(encoder)
    change(client)
    for ours, theirs in zip(vectors(encoder), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    asked = len(client.asked)
    vectors(encoder)
    assert len(client.asked) == asked and encoder.own.precision == "float32"


@pytest.fixture(scope="module")
def tagger(tiny_bert, tmp_path_factory):
    """A tagger and its encoder."""
    encoder = tiny_bert()
    return write_random_tagger(encoder, tmp_path_factory.mktemp("tagger") / "ner"), encoder


@pytest.mark.parametrize(("precision", "batches"), [("float32", 2), ("bfloat16", 1)])
def test_a_server_computes_a_taggers_features_with_the_model_that_it_serves(
    tagger, tmp_path, precision, batches
):
    folder, encoder = tagger
    models = ("--model", f"tiny={encoder}", "--task", f"ner={folder}")
    with http_server(tmp_path, *models, "--precision", precision, **REAL) as (server, _), Client(
        server.endpoint, timeout_s=60
    ) as client:  # fmt: skip
        client.tag(TEXTS)
        before = server.status()["batches"]["done"]
        found = client.tag(TEXTS)
        assert server.status()["batches"]["done"] - before == batches
        assert server.status()["batches"]["lost"] == 0
    expected = Tagger.load(folder).tag(TEXTS)
    assert sum(map(len, expected)) >= 3
    for ours, theirs in zip(found, expected, strict=True):
        assert [e[:4] for e in ours] == [(e.start, e.end, e.label, e.text) for e in theirs]


def test_tagging_goes_on_when_the_model_is_exchanged(tagger, tiny_bert, tmp_path):
    folder, encoder = tagger
    models = ("--model", f"tiny={encoder}", "--task", f"ner={folder}")
    with http_server(tmp_path, *models, "--precision", "float32", **REAL) as (server, _), Client(
        server.endpoint, timeout_s=60
    ) as client:  # fmt: skip
        before = client.tag(TEXTS)
        swapped = server.command("models", "swap", f"tiny={tiny_bert(seed=5)}")
        assert swapped.returncode == 0, swapped.stderr
        after = client.tag(TEXTS)
    assert [[e[:4] for e in row] for row in after] == [[e[:4] for e in row] for row in before]
