"""``bertfeat train span``: files, targets, losses as transformers', folders, answers' files."""

import gzip
import json

import numpy as np
import pytest

from bertfeat.errors import InputError
from bertfeat.tasks import Predictor
from bertfeat_tools.cli.evaluate import evaluate
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.finetuning.span_examples import read_spans
from command_line import call

PLACES = ("sun", "rain", "mat", "world")


def squad(rows, **others):
    """A file's content: one paragraph for each (context, question, answer, start)."""
    paragraphs = [
        {
            "context": context,
            "qas": [{"id": f"q{n}", "question": question, **others,
                     "answers": [{"text": text, "answer_start": at}] if text else []}],
        }
        for n, (context, question, text, at) in enumerate(rows)
    ]  # fmt: skip
    return {"version": "1.1", "data": [{"title": "t", "paragraphs": paragraphs}]}


def rows():
    """Who was where: the answer is the word behind 'in the'."""
    found = []
    for who in ("cat", "dog", "he", "she"):
        for place in PLACES:
            context = f"the {who} was in the {place} and not on the red one"
            found.append((context, f"was the {who} in", place, context.index(place)))
    return found


@pytest.fixture(scope="module")
def trained(tiny_bert, tmp_path_factory):
    """The folder of a reader trained on a few questions, with its file of questions."""
    folder = tmp_path_factory.mktemp("spans")
    content = json.dumps(squad(rows())).encode()
    (folder / "train.json.gz").write_bytes(gzip.compress(content))
    (folder / "dev.json").write_bytes(content)
    model = tiny_bert(num_hidden_layers=1, hidden_dropout_prob=0, attention_probs_dropout_prob=0)
    done = call(bertfeat, "train", "span", "--train", folder / "train.json.gz", "--dev",
                folder / "dev.json", "--output", folder / "out", "--model", model, "--epochs", 25,
                "--batch-size", 8, "--learning-rate", 0.01, "--max-seq-len", 20, "--doc-stride", 6,
                "--seeds", 2, "--layer-decay", 0.95, "--quiet")  # fmt: skip
    assert done.code == 0, done.err
    assert json.loads(done.out)["f1"]["mean"] > 40, done.out
    return folder


def test_files_have_googles_names_and_score_as_reported(trained):
    out = trained / "out"
    result = json.loads((out / "result.json").read_text())
    done = call(evaluate, "span", trained / "dev.json", out / "predictions.json")
    best = next(run for run in result["runs"] if run["run"] == result["best"])
    assert json.loads(done.out)["f1"] == pytest.approx(best["f1"])
    assert best["f1"] == max(run["f1"] for run in result["runs"]) > 60
    nbest = json.loads((out / "nbest_predictions.json").read_text())
    answers = json.loads((out / "predictions.json").read_text())
    assert list(answers) == list(nbest) == [f"q{n}" for n in range(16)]
    for name, found in nbest.items():
        assert found[0]["text"] == answers[name]
        assert list(found[0]) == ["text", "probability", "start_logit", "end_logit"]
        assert sum(one["probability"] for one in found) == pytest.approx(1)
    assert not (out / "null_odds.json").exists()


def test_the_folder_answers_here_and_loads_in_transformers(trained):
    transformers = pytest.importorskip("transformers")
    answers = json.loads((trained / "out" / "predictions.json").read_text())
    reader = Predictor.load(trained / "out")
    assert (reader.options.max_seq_len, reader.options.doc_stride) == (20, 6)
    pairs = [(question, context) for context, question, _, _ in rows()]
    found = reader.predict(pairs)
    assert [one.label for one in found] == list(answers.values())
    steps = []
    reader.answers(pairs, lambda done, total: steps.append((done, total)))
    assert steps == [(len(pairs), len(pairs))]
    theirs, told = transformers.BertForQuestionAnswering.from_pretrained(
        trained / "out" / "model", output_loading_info=True
    )
    assert not told["missing_keys"]
    assert theirs.config.architectures == ["BertForQuestionAnswering"]


def test_a_file_of_questions_is_answered_into_googles_files(trained, tmp_path):
    done = call(bertfeat, "predict", trained / "out", "--questions", trained / "dev.json",
                "--output", tmp_path / "found")  # fmt: skip
    assert (done.code, done.out) == (0, b""), done.err
    answers, candidates = (
        [
            json.loads((folder / name).read_text())
            for folder in (trained / "out", tmp_path / "found")
        ]
        for name in ("predictions.json", "nbest_predictions.json")
    )
    assert answers[0] == answers[1]
    assert [list(one) for one in candidates] == [list(answers[0])] * 2
    alone = call(bertfeat, "predict", trained / "out", "--questions", trained / "dev.json")
    assert "--questions and --output belong together" in alone.err


def test_several_systems_answer_together(trained, tmp_path):
    runs = [trained / "out" / f"seed-{n}" / "nbest_predictions.json" for n in (0, 1)]
    done = call(evaluate, "span", trained / "dev.json", *runs, "--ensemble", tmp_path / "both.json")
    assert done.code == 0, done.err
    answers = json.loads((tmp_path / "both.json").read_text())
    scored = call(evaluate, "span", trained / "dev.json", tmp_path / "both.json")
    assert json.loads(done.out) == json.loads(scored.out)
    first, second = (json.loads(path.read_text()) for path in runs)
    for name, text in answers.items():
        sums = {}
        for one in first[name] + second[name]:
            sums[one["text"]] = sums.get(one["text"], 0) + one["probability"]
        assert sums[text] == max(sums.values())


def test_the_loss_equals_transformers(tiny_bert):
    transformers = pytest.importorskip("transformers")
    import torch

    from bertfeat_tools.training.encoder import make_bert, open_folder, start

    start(0)
    from bertfeat_tools.finetuning.span_model import SpanModel

    folder = tiny_bert(heads=("span",))
    rng = np.random.default_rng(0)
    ids = rng.integers(5, 80, (8, 16)).astype(np.int32)
    mask = (np.arange(16) < rng.integers(4, 17, 8)[:, None]).astype(np.int32)
    wanted = rng.integers(0, 4, (8, 2)).astype(np.int32)
    batch = {"input_ids": ids, "attention_mask": mask, "token_type_ids": 0 * ids}
    ours = SpanModel(make_bert(open_folder(folder)[0], heads=("span",)))
    loss = float(ours({**batch, "targets": wanted})["loss"])
    theirs = transformers.BertForQuestionAnswering.from_pretrained(folder).eval()
    expected = []
    for row, (first, last) in enumerate(wanted.astype(np.int64)):
        tensors = {n: torch.tensor(v[row : row + 1, : mask[row].sum()]) for n, v in batch.items()}
        places = {"start_positions": torch.tensor([first]), "end_positions": torch.tensor([last])}
        with torch.no_grad():
            expected.append(theirs(**tensors, **places).loss.item())
    assert loss == pytest.approx(np.mean(expected), abs=1e-5)


def test_targets_are_places_of_the_answer_or_cls(tiny_bert, tmp_path):
    from bertfeat.tasks.span_windows import SpanOptions
    from bertfeat.tokenization import Tokenizer
    from bertfeat_tools.finetuning.spans import targets, tokenized

    path = tmp_path / "x.json"
    path.write_text(json.dumps(squad(rows())))
    examples = read_spans(path, answered=True)
    tokenizer = Tokenizer.from_folder(tiny_bert())
    texts = tokenized(examples, tokenizer, SpanOptions(max_seq_len=13, doc_stride=3))
    windows, wanted = targets(examples, texts)
    owner = [n for n, text in enumerate(texts) for _ in text.windows]
    seen = set()
    for number, window, (first, last) in zip(owner, windows, wanted.tolist(), strict=True):
        token = tokenizer.token_to_id(examples.rows[number].answers[0])
        inside = token in window.input_ids[window.first :]
        assert ([token] if inside else [tokenizer.cls_id]) == window.input_ids[first : last + 1]
        seen.add((number, inside))
    assert len(windows) > len(texts)
    assert {(n, True) for n in range(16)} < seen


def test_bad_questions_are_listed_together(tmp_path):
    path = tmp_path / "x.json"
    content = squad([
        ("the cat sat", "who", "dog", 4), ("", "who", "cat", 0), ("the cat", " ", "cat", 4),
        ("the cat", "who", "", 0), ("the cat", "who", "cat", -1), ("the cat", "who", "cat", 4),
    ])  # fmt: skip
    content["data"][0]["paragraphs"][4]["qas"].append({"question": "who", "answers": 3})
    again = {**content["data"][0]["paragraphs"][5]["qas"][0], "question": "he"}
    content["data"][0]["paragraphs"][5]["qas"].append(again)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        read_spans(path, answered=True)
    told = str(caught.value)
    assert "7 question(s)" in told
    for part in ("'dog' does not stand at character 4", "context is empty", "question is empty",
                 "qas[0] (id 'q3'): no answer", "no place: 'cat' at -1", "id is None",
                 "answers is no list", "(id 'q5'): its id stands before already"):  # fmt: skip
        assert part in told
    for text in ('{"data": 3}', "[]", '{"data": [{"paragraphs": [{"qas": [{}]}]}]}'):
        path.write_text(text)
        with pytest.raises(InputError, match="expected SQuAD's layout"):
            read_spans(path, answered=False)
    path.write_bytes(b'{"data": "\xff"}')
    with pytest.raises(InputError, match="JSON in UTF-8"):
        read_spans(path, answered=False)


def test_questions_without_answer_are_told_by_the_file(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(squad([("the cat", "who", "", 0)], is_impossible=True)))
    found = read_spans(path, answered=True)
    assert (found.has_null, found.rows[0].answers, found.rows[0].start) == (True, (), None)
    path.write_text(json.dumps(squad([("the cat", "who", "cat", 4)], is_impossible=True)))
    with pytest.raises(InputError, match="an answer though is_impossible"):
        read_spans(path, answered=True)


@pytest.mark.slow
def test_questions_without_answer_get_odds_and_a_threshold(tiny_bert, tmp_path):
    content = squad(rows())
    for paragraph in content["data"][0]["paragraphs"][::2]:
        paragraph["qas"][0] |= {"answers": [], "is_impossible": True}
    for paragraph in content["data"][0]["paragraphs"][1::2]:
        paragraph["qas"][0]["is_impossible"] = False
    (tmp_path / "both.json").write_text(json.dumps(content))
    done = call(bertfeat, "train", "span", "--train", tmp_path / "both.json", "--dev",
                tmp_path / "both.json", "--output", tmp_path / "out", "--model",
                tiny_bert(num_hidden_layers=1), "--epochs", 1, "--batch-size", 8,
                "--max-seq-len", 20, "--doc-stride", 6, "--quiet")  # fmt: skip
    assert done.code == 0, done.err
    found, out = json.loads(done.out)["runs"][0], tmp_path / "out"
    odds = json.loads((out / "null_odds.json").read_text())
    answers = json.loads((out / "predictions.json").read_text())
    assert list(odds) == list(answers) == [f"q{n}" for n in range(16)]
    assert all((answers[name] == "") == (odds[name] > 0) for name in odds)
    assert found["best_f1"] >= max(found["f1"], 50)  # half of the questions have no answer
    assert found["best_f1_thresh"] in {0.0, *odds.values()}


@pytest.mark.data
def test_real_files_are_read(data_dir):
    counts = {"squad-dev-v1.1-open": 5665, "squad-dev-v2.0-open": 5303}
    for name, count in counts.items():
        found = read_spans(data_dir / "mrc" / f"{name}.json.gz", answered=True)
        assert (len(found), found.has_null) == (count, "v2" in name)
    path = data_dir / "mrc" / "cmrc2018-dev-even.json.gz"
    assert len(read_spans(path, answered=False)) == 1608
    with pytest.raises(InputError, match="cannot be used"):
        read_spans(path, answered=True)
