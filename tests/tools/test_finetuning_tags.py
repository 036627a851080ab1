"""``bertfeat train tag``: losses as transformers', entities and words, folders that tag."""

import json
import shutil

import numpy as np
import pytest

from bertfeat.checkpoints import model_hash
from bertfeat.errors import InputError
from bertfeat.ner.sentences import Sentence
from bertfeat.tasks import Predictor
from bertfeat_server.tasks import TaskHandler, kind_of, load_task
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.finetuning.segmented import as_sentence, read_segmented, words_of
from bertfeat_tools.finetuning.tags import (
    collated_tags,
    entity_task,
    segmentation_task,
)
from command_line import call, run_program
from killed_run import kill_after

QUICK = ("--epochs", 15, "--batch-size", 4, "--learning-rate", 0.003, "--quiet")
SENTENCES = [
    ("the cat sat on the mat", "O B-ANIMAL O O O B-THING"),
    ("one big dog ran", "O B-ANIMAL I-ANIMAL O"),
    ("a red cat is in the sun", "O B-ANIMAL I-ANIMAL O O O B-THING"),
    ("he ran", "O O"),
]


@pytest.fixture(scope="module")
def model(tiny_bert):
    """A tiny encoder of one layer without dropout."""
    return tiny_bert(num_hidden_layers=1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


@pytest.fixture(scope="module")
def trained(model, tmp_path_factory):
    """A trained tagger's folder."""
    folder = tmp_path_factory.mktemp("tags")
    rows = ["\n".join(map(" ".join, zip(text.split(), tags.split(), strict=True))) + "\n"
            for text, tags in SENTENCES]  # fmt: skip
    (folder / "rows.conll").write_text("\n".join(rows * 3))
    done = call(bertfeat, "train", "tag", "--train", folder / "rows.conll",
                "--dev", folder / "rows.conll", "--model", model,
                "--output", folder / "out", *QUICK)  # fmt: skip
    assert done.code == 0, done.err
    assert json.loads(done.out)["f1"]["mean"] == 1.0, done.out
    return folder / "out"


def test_a_trained_folder_tags_here_and_in_transformers(trained):
    transformers = pytest.importorskip("transformers")
    import torch

    texts = [text for text, _ in SENTENCES]
    predictor = Predictor.load(trained)
    found = predictor.predict(texts)
    assert [" ".join(one.tags) for one in found] == [tags for _, tags in SENTENCES]
    [entity] = found[1].entities
    assert (entity.start, entity.end, entity.text, entity.label) == (4, 11, "big dog", "ANIMAL")
    theirs = transformers.BertForTokenClassification.from_pretrained(trained / "model").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(trained / "model")
    ours = predictor.logits([Sentence(tuple(text.split())) for text in texts])
    for text, logits in zip(texts, ours, strict=True):
        tokens = tokenizer(text.split(), is_split_into_words=True, return_tensors="pt")
        words = tokens.word_ids()
        first = [words.index(word) for word in range(len(text.split()))]
        with torch.no_grad():
            wanted = theirs(**tokens).logits[0, first]
        np.testing.assert_allclose(logits, wanted, atol=1e-5)
    assert theirs.config.id2label[0] == "O"


def test_losses_of_twenty_steps_equal_transformers(tiny_bert):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    from bertfeat_tools.training.encoder import make_bert, open_folder, start

    start(0)
    import keras

    from bertfeat_tools.finetuning.token_classifier import TokenClassifier

    sentences = [Sentence(tuple(t.split()), tuple(tags.split())) for t, tags in SENTENCES]
    task = entity_task(sentences, sentences)
    folder = tiny_bert(
        heads=("classifier",), num_labels=len(task.labels), num_hidden_layers=1,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    source, tokenizer = open_folder(folder)
    bert = make_bert(source, heads=("classifier",), num_labels=len(task.labels))
    model = TokenClassifier(bert)
    rows, tags, _, _ = task.prepare(tokenizer, 32)
    optimizer = keras.optimizers.SGD(0.1)
    model.compile(optimizer=optimizer, jit_compile=False)
    twin = transformers.BertForTokenClassification.from_pretrained(
        folder, num_labels=len(task.labels)
    ).train()
    theirs = torch.optim.SGD(twin.parameters(), lr=0.1)
    for step in range(20):
        numbers = np.random.default_rng(step).permutation(4)[:3]
        batch = collated_tags(rows, tags, tokenizer.pad_id, numbers)
        labels = np.full(batch["input_ids"].shape, -100, np.int64)
        for place, number in enumerate(numbers):
            labels[place, rows[number].pieces[:, 0, 1]] = tags[number]
        inputs = {name: torch.tensor(batch[name]).long()
                  for name in ("input_ids", "attention_mask", "token_type_ids")}  # fmt: skip
        loss = twin(**inputs, labels=torch.tensor(labels)).loss
        theirs.zero_grad()
        loss.backward()
        theirs.step()
        ours = model.train_on_batch(batch, return_dict=True)["loss"]
        assert float(ours) == pytest.approx(loss.item(), abs=1e-4)


def test_a_long_sentence_loses_no_word(trained):
    words = [word for text, _ in SENTENCES for word in text.split()] * 8
    predictor = Predictor.load(trained, max_seq_len=16)
    [found] = predictor.predict([words])
    assert list(found.words) == words and len(found.tags) == len(words)
    [logits] = predictor.logits([Sentence(tuple(words))])
    assert len(logits) == len(words) and logits.any(axis=1).all()
    with pytest.raises(InputError, match=r"texts\[1\] is 7"):
        Predictor.load(trained).predict(["a", 7])
    assert Predictor.load(trained).predict([" "])[0].entities == ()


def test_a_word_without_tokens_has_no_logits_in_training_either(trained):
    from bertfeat_tools.ner.token_inputs import token_inputs
    from bertfeat_tools.training.encoder import make_bert, open_folder, start

    start(0)
    from bertfeat_tools.finetuning.token_classifier import TokenClassifier

    sentences = [Sentence(("the", "\u200b", "cat")), Sentence(("he", "\u200b"))]
    task = entity_task([Sentence(s.words, ("O",) * len(s.words)) for s in sentences], [])
    source, tokenizer = open_folder(trained / "model")
    labels = len(source.raw_config["id2label"])
    model = TokenClassifier(make_bert(source, heads=("classifier",), num_labels=labels))
    found = np.asarray(model.logits(token_inputs(task.prepare(tokenizer, 16).rows, 0)))
    ours = Predictor.load(trained).logits(sentences)
    for row, (sentence, logits) in enumerate(zip(sentences, ours, strict=True)):
        np.testing.assert_allclose(found[row, : len(sentence.words)], logits, atol=1e-5)
        assert not logits[1].any() and logits[0].any()


def test_a_trained_folder_is_served_as_a_tagger(trained):
    from bertfeat_client.protocol import Message

    assert kind_of(str(trained)) == kind_of(str(trained / "model")) == "tag"
    handler = TaskHandler(load_task(str(trained)), "animals", "tag")
    assert "B-ANIMAL" in handler.describe()["labels"]
    answer = handler(Message({"request_op": "tag"}, ["the cat sat", {"ids": [1, 2]}]))
    assert answer.items[0]["entities"][0]["text"] == "cat"
    assert list(answer.header["row_errors"]) == ["1"]
    done = call(bertfeat, "predict", trained, "--quiet", stdin=b"the cat sat\n")
    told = json.loads(done.out)
    assert told["tags"] == ["O", "B-ANIMAL", "O"] and told["entities"][0]["start"] == 4


def test_the_same_command_again_ends_with_the_same_weights(trained, model, tmp_path):
    shutil.copytree(trained.parent, tmp_path / "again")
    folder = tmp_path / "again"
    shutil.rmtree(folder / "out" / "seed-0" / "model")
    shutil.rmtree(folder / "out" / "model")
    done = call(bertfeat, "train", "tag", "--train", folder / "rows.conll",
                "--dev", folder / "rows.conll", "--model", model,
                "--output", folder / "out", *QUICK)  # fmt: skip
    assert done.code == 0, done.err
    assert model_hash(folder / "out" / "model") == model_hash(trained / "model")


@pytest.fixture(scope="module")
def trained_words(model, tmp_path_factory):
    """The folder of a trained segmenter."""
    folder = tmp_path_factory.mktemp("words")
    lines = ["ab c ab", "c ab", "ab ab c", "c c ab"]
    (folder / "train.txt").write_text("\n".join(lines * 4))
    (folder / "dev.txt").write_text("c ab c\nab　c\n\nabc")
    done = call(bertfeat, "train", "tag", "--task", "segmentation", "--train",
                folder / "train.txt", "--dev", folder / "dev.txt", "--model", model,
                "--output", folder / "out", *QUICK)  # fmt: skip
    assert done.code == 0, done.err
    return folder / "out"


def test_segmentation_learns_words_of_characters(trained_words):
    scores = json.loads((trained_words / "result.json").read_text())
    assert scores["oov_rate"]["mean"] == pytest.approx(1 / 6)
    assert scores["f1"]["mean"] > 0.6 and "oov_recall" in scores
    [found] = Predictor.load(trained_words).predict(["c ab"])
    assert found.words == ("c", "a", "b")
    assert [(entity.start, entity.end) for entity in found.entities] == [(0, 1), (2, 4)]


def test_segmented_files_and_their_mistakes(tmp_path):
    path = tmp_path / "x.conllu"
    row = "\t_" * 8
    path.write_text(f"# text = 他来了\n1\t他{row}\n2-3\t来了{row}\n2\t来{row}\n3\t了{row}\n"
                    f"3.1\t空{row}\n\n1\tNew York{row}\n\n")  # fmt: skip
    assert read_segmented(path) == [["他", "来", "了"], ["New York"]]
    sentence = as_sentence(["New York", "他来"])
    assert "".join(sentence.words) == "NewYork他来"
    assert words_of(sentence.words, sentence.tags) == ["NewYork", "他来"]
    path.write_text(f"1\t他\n2\t{row}\n")
    with pytest.raises(InputError, match=r"(?s)2 line\(s\) differ.*line 1: .*line 2: "):
        read_segmented(path)
    path.write_text("\n")
    with pytest.raises(InputError, match="has none"):
        read_segmented(path)


def test_schemes_become_iob2_and_types_of_training_are_the_labels():
    train = [Sentence(("a", "b", "c"), ("B-X", "E-X", "S-Y"))]
    dev = [Sentence(("a", "b"), ("S-Z", "S-X"))]
    task = entity_task(train, dev)
    assert list(task.labels) == ["O", "B-X", "I-X", "B-Y", "I-Y"]
    assert task.train[0].tags == ("B-X", "I-X", "B-Y")
    assert task.score([["O", "B-X"]])["recall"] == pytest.approx(0.5)
    halves = segmentation_task([as_sentence(["ab"])], [as_sentence(["ab", "c"])])
    assert halves.score([["B-W", "I-W", "I-W"]])["recall"] == 0
    assert halves.score([["B-W", "I-W", "B-W"]])["oov_recall"] == 1.0


def test_a_character_without_tokens_goes_on_with_the_word_before(trained_words):
    from bertfeat_tools.finetuning.tags import TagJudge
    from bertfeat_tools.training.encoder import make_bert, open_folder, start

    start(0)
    from bertfeat_tools.finetuning.token_classifier import TokenClassifier

    text = "c\u200bab\u200b\u200bc"
    reader = Predictor.load(trained_words)
    [found] = reader.predict([text])
    assert [(one.start, one.end) for one in found.entities] == [(0, 2), (2, 6), (6, 7)]
    task = segmentation_task([as_sentence(["c"])], [as_sentence([text])])
    source, tokenizer = open_folder(trained_words / "model")
    model = TokenClassifier(make_bert(source, heads=("classifier",)))
    judge = TagJudge(task.prepare(tokenizer, 16), task.labels, tokenizer.pad_id)
    assert words_of(list(text), judge.tags(model)[0]) == ["c\u200b", "ab\u200b\u200b", "c"]
    [alone] = reader.predict(["\u200bc"])
    assert [one.text for one in alone.entities] == ["\u200b", "c"]


def test_bad_sentences_are_listed_and_nothing_is_trained(model, tmp_path):
    (tmp_path / "x.conll").write_text(
        "the O\ncat\ndog B-X\nran O\n\nhe O\nit B-X I-X Q\nis\n\nsun O\n"
    )
    done = call(bertfeat, "train", "tag", "--train", tmp_path / "x.conll", "--dev",
                tmp_path / "x.conll", "--model", model, "--output", tmp_path / "out")  # fmt: skip
    assert done.code == 1 and not (tmp_path / "out").exists()
    assert "3 line(s)" in done.err
    assert [f"line {n}:" in done.err for n in range(1, 11)] == [
        n in (2, 7, 8) for n in range(1, 11)
    ]


@pytest.mark.slow
def test_three_kills_leave_the_weights_of_a_run_without_any(tiny_bert, tmp_path):
    rows = ["\n".join(map(" ".join, zip(text.split(), tags.split(), strict=True))) + "\n"
            for text, tags in SENTENCES]  # fmt: skip
    (tmp_path / "rows.conll").write_text("\n".join(rows * 3))
    model = tiny_bert()

    def arguments(output):
        return ("main", "train", "tag", "--train", tmp_path / "rows.conll", "--dev",
                tmp_path / "rows.conll", "--model", model, "--output", output,
                "--epochs", 200, "--batch-size", 4, "--quiet")  # fmt: skip

    whole = run_program(*arguments(tmp_path / "whole"))
    assert whole.code == 0, whole.err
    metrics = tmp_path / "cut" / "seed-0" / "training" / "metrics.jsonl"
    moments = np.random.default_rng().integers(1, 20, 3)
    killed = [kill_after(arguments(tmp_path / "cut"), metrics, lines) for lines in moments]
    assert killed == [True] * 3, moments
    assert not (tmp_path / "cut" / "model").exists()
    last = run_program(*arguments(tmp_path / "cut"))
    assert last.code == 0, last.err
    assert model_hash(tmp_path / "cut" / "model") == model_hash(tmp_path / "whole" / "model")
