"""``bertfeat train choice``: layouts of questions, losses as transformers', folders that choose."""

import json

import numpy as np
import pytest

from bertfeat.errors import InputError, RowErrors
from bertfeat.tasks import Predictor
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.finetuning.questions import Questions, read_questions
from command_line import call

ROWS = [
    {"text": "the sun", "choices": ["the cat sat", "one dog ran"], "label": 0},
    {"text": "the rain", "choices": ["a big dog", "a red cat"], "label": 1},
    {"text": "he is", "choices": ["the dog", "cat and mat", "one dog ran"], "label": 1},
    {"text": "she was", "choices": ["a cat sat", "a dog sat", "two dog and dog"], "label": 0},
]


@pytest.fixture(scope="module")
def trained(tiny_bert, tmp_path_factory):
    """A trained chooser's folder."""
    folder = tmp_path_factory.mktemp("choice")
    model = tiny_bert(num_hidden_layers=1, hidden_dropout_prob=0.0,
                      attention_probs_dropout_prob=0.0)  # fmt: skip
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS * 4))
    done = call(bertfeat, "train", "choice", "--train", folder / "rows.jsonl", "--dev",
                folder / "rows.jsonl", "--model", model, "--output", folder / "out", "--epochs", 20,
                "--batch-size", 4, "--learning-rate", 0.003, "--quiet")  # fmt: skip
    assert done.code == 0, done.err
    assert json.loads(done.out)["accuracy"]["mean"] == 1.0, done.out
    return folder / "out"


def test_a_trained_folder_chooses_here_and_in_transformers(trained):
    transformers = pytest.importorskip("transformers")
    import torch

    found = Predictor.load(trained).predict([(row["text"], row["choices"]) for row in ROWS])
    assert [int(p.label) for p in found] == [row["label"] for row in ROWS]
    theirs = transformers.BertForMultipleChoice.from_pretrained(trained / "model").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(trained / "model")
    for row, ours in zip(ROWS, found, strict=True):
        choices = row["choices"]
        tokens = tokenizer([row["text"]] * len(choices), choices, padding=True, return_tensors="pt")
        with torch.no_grad():
            logits = theirs(**{key: value[None] for key, value in tokens.items()}).logits[0]
        np.testing.assert_allclose(list(ours.scores.values()), logits.softmax(-1), atol=1e-5)


def test_losses_equal_transformers(trained):
    transformers = pytest.importorskip("transformers")
    import torch

    from bertfeat_tools.finetuning.choice import HEADS, collated_choices, tokenized_choices
    from bertfeat_tools.training.encoder import make_bert, open_folder, start

    start(0)
    from bertfeat_tools.finetuning.chooser import Chooser

    source, tokenizer = open_folder(trained / "model")
    model = Chooser(make_bert(source, heads=HEADS, num_labels=1), "single_label_classification")
    theirs = transformers.BertForMultipleChoice.from_pretrained(trained / "model").eval()
    questions = Questions([(row["text"], tuple(row["choices"])) for row in ROWS], [1, 0, 2, 2])
    encodings = tokenized_choices(questions, tokenizer, 32)
    losses = []
    for pair in ([0, 1], [2, 3]):  # transformers wants as many choices for each question
        rows = np.array(pair)
        batch = collated_choices(encodings, np.array(questions.answers, np.int32), 0, rows)
        inputs = {key: torch.tensor(batch[key]).reshape(2, -1, batch[key].shape[-1]).long()
                  for key in ("input_ids", "attention_mask", "token_type_ids")}  # fmt: skip
        wanted = theirs(**inputs, labels=torch.tensor(batch["targets"]).long()).loss.item()
        assert float(model(batch)["loss"]) == pytest.approx(wanted, abs=1e-5)
        losses.append(wanted)
    mixed = collated_choices(
        encodings, np.array(questions.answers, np.int32), 0, np.array([0, 2, 1, 3])
    )
    assert mixed["choices"].tolist() == [[0, 1, -1], [2, 3, 4], [5, 6, -1], [7, 8, 9]]
    assert float(model(mixed)["loss"]) == pytest.approx(np.mean(losses), abs=1e-5)


def test_predictions_of_lines_and_items_that_are_no_questions(trained):
    stdin = "".join(json.dumps(row) + "\n" for row in ROWS[:2]).encode()
    done = call(bertfeat, "predict", trained, "--quiet", stdin=stdin)
    assert done.code == 0, done.err
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [line["label"] for line in found] == ["0", "1"]
    assert found[0]["text"] == ["the sun", ROWS[0]["choices"]]
    predictor = Predictor.load(trained)
    assert predictor.predict([]) == []
    items = ["a cat", ("a", ["b"]), ("a", ["b", "c"]), ("a", ["b", 3])]
    with pytest.raises(RowErrors) as failed:
        predictor.predict(items)
    assert sorted(failed.value.errors) == [0, 1, 3]


SWAG = """\
,video-id,fold-ind,startphrase,sent1,sent2,gold-source,ending0,ending1,ending2,ending3,label
0,v,1,A. She,"A, b.",She,gold,sat.,ran.,"x, y.",is.,2
"""
STEM = {"stem": "Gas fills", "choices": [{"text": "a", "label": "A"}, {"text": "b", "label": "B"}]}


@pytest.mark.parametrize(
    ("name", "text", "items", "answer"),
    [
        ("x.csv", SWAG, ("A, b.", ("She sat.", "She ran.", "She x, y.", "She is.")), 2),
        ("x.tsv", "n\tA cat\tsat\tran\tis\twas\t3\n", ("A cat", ("sat", "ran", "is", "was")), 3),
        (
            "y.tsv",
            "ID\tQuestion Stem\tChoices\tComplete Question\tAnswer Key\n"
            "1\tGas is\t(A) a b (B) c (C) d (D) e\tx\tC\n",
            ("Gas is", ("a b", "c", "d", "e")), 2,
        ),
        ("x.jsonl", json.dumps({"question": STEM, "answerKey": "B"}), ("Gas fills", ("a", "b")), 1),
    ],
)  # fmt: skip
def test_each_layout_is_read(tmp_path, name, text, items, answer):
    (tmp_path / name).write_text(text)
    assert read_questions(tmp_path / name) == Questions([items], [answer])


def test_bad_rows_are_listed_together(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(
        '{"text": "a", "choices": ["b", "c"], "label": 2}\n'
        '{"text": "a", "choices": ["b"], "label": 0}\n{"text": "a"}\n[]\n'
        '{"text": "a", "choices": ["b", 3], "label": 0}\n'
    )
    with pytest.raises(
        InputError, match=r"(?s)5 line\(s\) differ.*answer 2 is none of 0 to 1"
    ) as e:
        read_questions(path)
    assert all(f"line {n}:" in str(e.value) for n in range(1, 6))
    path = tmp_path / "x.tsv"
    path.write_text("n\ta\tb\tc\td\te\tx\nn\ta\tb\tc\td\te\t4\n")
    with pytest.raises(InputError, match=r"(?s)line 1: ValueError.*line 2: the answer 4"):
        read_questions(path)


@pytest.mark.data
def test_real_files_are_read(data_dir):
    codah = read_questions(data_dir / "mc" / "codah-fold0-train.tsv.gz")
    openbookqa = read_questions(data_dir / "mc" / "openbookqa-dev.tsv.gz")
    assert (len(codah), len(openbookqa), len(codah.drawn(50, 0))) == (1665, 500, 50)
    assert {len(choices) for _, choices in codah.items + openbookqa.items} == {4}
