"""``bertfeat ner``: train, tag, eval and repro as their user runs them, on a tiny encoder."""

import json
from dataclasses import replace

import pytest

from bertfeat import Encoder
from bertfeat.errors import CheckpointError, ConfigError, InputError
from bertfeat.ner.sentences import from_text
from bertfeat.tasks import Tagger
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.ner.error_page import errors_of
from command_line import call

ANIMALS = ["the cat sat on the mat .", "one red dog ran in rain .", "he is big and small .",
           "a blue cat is in the sun .", "the dog and the cat ran ."]  # fmt: skip
QUICK = (
    "--epochs",
    8,
    "--batch-size",
    2,
    "--rnn-units",
    16,
    "--learning-rate",
    0.02,
    "--dropout",
    0.1,
    "--quiet",
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Sentences in which cats and dogs are entities, with the word before them."""
    folder = tmp_path_factory.mktemp("ner")
    lines = []
    for text in ANIMALS * 4:
        words = text.split()
        tags = ["O"] * len(words)
        for place, word in enumerate(words):
            if word in ("cat", "dog"):
                tags[place - 1 : place + 1] = ["B-animal", "I-animal"]
        lines += [f"{word}\t{tag}" for word, tag in zip(words, tags, strict=True)] + [""]
    for name, part in (("train", lines), ("dev", lines[: len(lines) // 4])):
        (folder / name).write_text("\n".join(part))
    return folder


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """A cache of these tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BERTFEAT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def model(tiny_bert):
    """The encoder's folder."""
    return tiny_bert()


@pytest.fixture(scope="module")
def tagger(files, model):
    """A trained tagger's folder."""
    data = ("--train", files / "train", "--dev", files / "dev")
    done = call(bertfeat, "ner", "train", *data, "--output", files / "tagger", "--model", model,
                "--combine", "weighted", *QUICK)  # fmt: skip
    assert done.code == 0, done.err
    assert json.loads(done.out)["f1"]["mean"] > 0.9
    assert len(json.loads(done.out)["layer_weights"]) == 3
    return files / "tagger"


def test_a_run_that_is_done_is_not_trained_again(files, model, tagger):
    done = call(bertfeat, "ner", "train", "--train", files / "train", "--dev", files / "dev",
                "--output", tagger, "--model", model, "--combine", "weighted", *QUICK)  # fmt: skip
    assert json.loads(done.out) == json.loads((tagger / "result.json").read_text())


def test_text_in_entities_out(tagger, tmp_path):
    text = b"One red dog ran in rain.\n\nthe cat sat on the mat.\n"
    done = call(bertfeat, "ner", "tag", tagger, "--quiet", stdin=text)
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [line["text"] for line in found] == text.decode().split("\n")[:3]
    assert found[0]["entities"] == [{"start": 4, "end": 11, "label": "animal", "text": "red dog"}]
    assert found[1]["entities"] == []
    call(bertfeat, "ner", "tag", tagger, "--to", "conll", "--output", tmp_path / "o", stdin=text)
    assert "red\tB-animal\ndog\tI-animal\nran\tO\n" in (tmp_path / "o").read_text()


def test_the_tagger_in_python_tags_texts_words_and_long_ones(tagger):
    loaded = Tagger.load(tagger)
    long = "he is big and small . " * 800 + "the dog and the cat ran ."
    texts = ["the cat sat on the mat .", ["the", "cat", "sat"], "", long]
    found = loaded.tag(texts)
    assert [e.text for e in found[0]] == [e.text for e in found[1]] == ["the cat"]
    assert found[2] == []
    assert all(long[e.start : e.end] == e.text for e in found[3])
    [sentence] = loaded.tagged([from_text(long)])
    assert len(sentence.tags) == len(sentence.words) == 4807
    assert all(0 < e.score <= 1 for entities in found for e in entities)
    with pytest.raises(InputError, match=r"texts\[1\] is 3, expected a string or a list"):
        loaded.tag(["a", 3])
    with pytest.raises(InputError, match="texts is one string"):
        loaded.tag("a")


def test_scores_and_the_page_of_errors(files, tagger, tmp_path):
    page = tmp_path / "errors.html"
    done = call(bertfeat, "ner", "eval", tagger, files / "dev", "--html", page, "--quiet")
    assert done.out.startswith(b"processed 35 tokens with 5 phrases; found: ")
    assert "errors in" in page.read_text()
    found = json.loads(call(bertfeat, "ner", "eval", tagger, files / "dev", "--json").out)
    assert found["types"]["animal"]["gold"] == 5


def test_errors_have_kinds():
    gold = [(0, 1, "A"), (2, 4, "B"), (5, 6, "A")]
    predicted = [(0, 1, "B"), (2, 3, "B"), (7, 8, "A")]
    expected = [("A", "wrong type"), ("B", "wrong boundary"), ("A", "missed"), ("A", "spurious")]
    assert errors_of(gold, predicted) == expected


def test_another_encoder_is_refused(tagger, tiny_bert):
    with pytest.raises(ConfigError, match="was trained on the encoder"):
        Tagger.load(tagger, Encoder.load(tiny_bert(seed=5)))
    with pytest.raises(CheckpointError, match="is no tagger"):
        Tagger.load(tagger.parent)
    loaded = Tagger.load(tagger)
    assert replace(loaded.settings, encoder_hash="0") != loaded.settings


def test_wrong_files_and_unknown_types_are_errors(files, model, tmp_path):
    other = tmp_path / "dev"
    other.write_text("Rome\tB-place\n")
    arguments = ("--output", tmp_path / "out", "--model", model, "--quiet")
    done = call(bertfeat, "ner", "train", "--train", files / "train", "--dev", other, *arguments)
    assert done.code == 1
    assert "types that the training file lacks: place (it has animal)" in done.err
    other.write_text("Rome\tO\n")
    done = call(bertfeat, "ner", "train", "--train", other, "--dev", other, *arguments)
    assert "no entity at all" in done.err
    other.write_text("Rome\tB-x\nParis\nOslo\tO\n")
    done = call(bertfeat, "ner", "train", "--train", other, "--dev", other, *arguments)
    assert (done.code, "line 2: 1 column(s)" in done.err) == (1, True)


@pytest.mark.parametrize("network", [
    ("--no-crf", "--rnn", "none"),
    pytest.param((), marks=pytest.mark.slow),
    pytest.param(("--rnn", "gru"), marks=pytest.mark.slow),
])  # fmt: skip
def test_characters_need_no_encoder(files, tmp_path, network):
    done = call(bertfeat, "ner", "train", "--train", files / "train", "--dev", files / "dev",
                "--output", tmp_path / "t", "--characters", "--scheme", "IOBES", "--seeds", 2,
                *network, *QUICK)  # fmt: skip
    assert done.code == 0, done.err
    assert [run["seed"] for run in json.loads(done.out)["runs"]] == [0, 1]
    loaded = Tagger.load(tmp_path / "t")
    assert loaded.encoder is None
    assert [e.text for e in loaded.tag(["the cat sat on the mat ."])[0]] == ["the cat"]


@pytest.mark.slow
def test_the_papers_table(files, model, tmp_path):
    arguments = ("ner", "repro", "--train", files / "train", "--dev", files / "dev", "--output",
                 tmp_path, "--model", model, "--seeds", 1, "--epochs", 1, "--rnn", "none",
                 "--quiet")  # fmt: skip
    done = call(bertfeat, *arguments)
    assert done.code == 0, done.err
    lines = done.out.decode().splitlines()
    assert [line[2:34].strip() for line in lines[2:8]] == [
        "Embeddings", "Second-to-Last Hidden", "Last Hidden", "Weighted Sum Last Four Hidden",
        "Concat Last Four Hidden", "Weighted Sum All 2 Layers",
    ]  # fmt: skip
    again = json.loads(call(bertfeat, *arguments, "--json").out)
    assert again["computed"] == 0 < again["cached"]
    assert [row["paper"] for row in again["rows"]] == [91.0, 95.6, 94.9, 95.9, 96.1, 95.5]
