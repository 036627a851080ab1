"""``bertfeat train relation``: files of triples, tags and places, pairing, a trained pipeline."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertfeat.errors import InputError, RowErrors
from bertfeat.tasks import Predictor
from bertfeat.tasks.relation_spans import paired, places_of, tags_of, token_row, window_options
from bertfeat.tasks.span_windows import passages
from bertfeat.tokenization import Tokenizer
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.finetuning.triple_examples import read_triple_examples, schema_of
from command_line import call

QUICK = ("--epochs", 20, "--batch-size", 4, "--learning-rate", 0.005, "--quiet")


def part(text, words, label):
    start = text.index(words)
    return {"start": start, "end": start + len(words), "label": label, "text": words}


def row(text, *triples):
    return {"text": text, "triples": [
        {"subject": part(text, s, "Animal"), "relation": name, "object": part(text, o, "Thing")}
        for s, name, o in triples
    ]}  # fmt: skip


ROWS = [
    row("the cat sat on the mat", ("cat", "sits", "mat")),
    row("one big dog ran in the sun", ("big dog", "runs", "sun")),
    row("a red cat is in the sun", ("red cat", "sits", "sun")),
    row("he ran"),
]


@pytest.fixture(scope="module")
def trained(tiny_bert, tmp_path_factory):
    """A trained pipeline's folder, its file of texts and what the command printed."""
    folder = tmp_path_factory.mktemp("relations")
    model = tiny_bert(num_hidden_layers=1, hidden_dropout_prob=0.0,
                      attention_probs_dropout_prob=0.0)  # fmt: skip
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in ROWS * 3))
    done = call(bertfeat, "train", "relation", "--train", file, "--dev", file, "--model", model,
                "--output", folder / "out", *QUICK)  # fmt: skip
    assert done.code == 0, done.err
    return folder / "out", file, json.loads(done.out)


def test_a_trained_pipeline_finds_triples_with_their_places(trained):
    folder, _, scores = trained
    assert scores["f1"]["mean"] == scores["boundaries_f1"]["mean"] == 1.0, scores
    found = Predictor.load(folder).predict([one["text"] for one in ROWS])
    told = [[(t.subject.text, t.relation, t.object.text) for t in one.triples] for one in found]
    assert told == [[("cat", "sits", "mat")], [("big dog", "runs", "sun")],
                    [("red cat", "sits", "sun")], []]  # fmt: skip
    [triple] = found[1].triples
    assert (triple.subject.start, triple.subject.end, triple.subject.label) == (4, 11, "Animal")
    assert 0 < triple.score <= min(triple.subject.score, triple.object.score)
    with pytest.raises(InputError, match="texts is one string"):
        Predictor.load(folder).predict("a text")
    with pytest.raises(RowErrors):
        Predictor.load(folder).predict(["a text", 7])


def test_what_predict_prints_is_what_evaluate_reads(trained, tmp_path):
    folder, file, _ = trained
    texts = "".join(one["text"] + "\n" for one in ROWS * 3)
    done = call(bertfeat, "predict", folder, "--quiet", stdin=texts.encode())
    assert done.code == 0, done.err
    (tmp_path / "found.jsonl").write_bytes(done.out)
    scored = call(bertfeat, "evaluate", "triples", file, tmp_path / "found.jsonl")
    assert scored.code == 0, scored.err
    assert json.loads(scored.out)["f1"] == 1.0


def test_both_models_are_hugging_faces(trained):
    transformers = pytest.importorskip("transformers")
    folder = trained[0] / "model"
    first = transformers.BertForSequenceClassification.from_pretrained(folder / "relations")
    second = transformers.BertForTokenClassification.from_pretrained(folder / "entities")
    assert sorted(first.config.label2id) == ["runs", "sits"]
    assert second.config.id2label[1] == "B-SUBJECT"
    assert json.loads((folder / "relation.json").read_text())["sits"] == ["Animal", "Thing"]


@pytest.fixture(scope="module")
def tokenizer(tiny_bert):
    return Tokenizer.from_folder(tiny_bert())


@given(st.data())
def test_places_come_back_from_tags(tokenizer, data):
    """Whatever parts a text has, if whole words and no two overlap, tags say where they stand."""
    words = data.draw(st.lists(st.sampled_from(["cat", "unlikely", "dog", "zzz"]), min_size=4))
    text = " ".join(words)
    ends = [sum(map(len, words[: n + 1])) + n for n in range(len(words))]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(words) - 1), min_size=2, max_size=6)))
    spans = [(ends[a] - len(words[a]), ends[b - 1]) for a, b in pairwise(cuts)][::2]
    pairs = [(s, o) for s in spans for o in spans if data.draw(st.booleans())]
    [passage] = passages([("sits", text)], tokenizer, window_options(24))
    subjects, objects = places_of(passage, tags_of(passage, pairs))
    assert subjects == sorted({s for s, _ in pairs})
    assert objects == sorted({o for _, o in pairs})
    found = token_row(passage)
    assert (found.pieces >= 0).all() and len(found) == len(passage.ids)


def test_tokens_of_long_texts_are_read_in_one_window_each(tokenizer):
    [passage] = passages([("sits", "cat " * 100)], tokenizer, window_options(24))
    found = token_row(passage)
    assert len(found.windows) > 5
    for token, (window, place) in enumerate(found.pieces[:, 0]):
        assert found.windows[window].input_ids[place] == passage.ids[token]


def test_subjects_go_with_the_nearest_objects():
    a, b, c, d = (0, 3), (4, 8), (20, 24), (26, 30)
    assert paired([a], [b, c]) == [(a, b), (a, c)]
    assert paired([a, c], [b, d]) == [(a, b), (c, d)]
    assert paired([a], [a]) == [] == paired([], [a])
    assert paired([a, b], [a, b]) == [(a, b), (b, a)]


def test_ske_parts_are_looked_up_where_they_stand_together(tmp_path):
    text = "《红楼梦》与曹雪芹:红楼梦的作者是曹雪芹"
    line = {"text": text, "spo_list": [
        {"subject": "红楼梦", "predicate": "作者", "object": "曹雪芹", "subject_type": "图书",
         "object_type": "人物"}]}  # fmt: skip
    (tmp_path / "x.json").write_text(json.dumps(line, ensure_ascii=False), "utf-8")
    [example] = read_triple_examples(tmp_path / "x.json")
    [(subject, relation, target)] = example.triples
    assert (text[slice(*subject[:2])], relation) == ("红楼梦", "作者")
    assert (subject.start, target.start) == (10, 6) and target.label == "人物"
    assert schema_of([example]) == {"作者": ["图书", "人物"]}


TABLE = """#doc 1
0\tAnn\tB-Peop\t['N']\t[0]
1\tLee\tI-Peop\t['Live_In', 'Work_For']\t[3, 5]
2\tof\tO\t['N']\t[2]
3\tRome\tB-Loc\t['N']\t[3]
4\t's\tO\t['N']\t[4]
5\tSenate\tB-Org\t['N']\t[5]
#doc 2
0\tRain\tO\t['N']\t[0]
"""


def test_conll04s_tables_become_texts_with_offsets(tmp_path):
    (tmp_path / "x.txt").write_text(TABLE)
    first, second = read_triple_examples(tmp_path / "x.txt")
    assert (first.text, second.text, second.triples) == ("Ann Lee of Rome 's Senate", "Rain", ())
    told = [(first.text[s.start : s.end], name, first.text[o.start : o.end], o.label)
            for s, name, o in first.triples]  # fmt: skip
    assert told == [("Ann Lee", "Live_In", "Rome", "Loc"), ("Ann Lee", "Work_For", "Senate", "Org")]
    (tmp_path / "x.txt").write_text(
        TABLE.replace("[3, 5]", "[2, 5]").replace("2\tof\tO", "2\tof O")
    )
    with pytest.raises(InputError, match=r"(?s)2 line\(s\) differ.*4 columns"):
        read_triple_examples(tmp_path / "x.txt")


@pytest.mark.parametrize(
    "wrong",
    ['{"text": "a cat"}', "[1]", '{"text": "a cat", "triples": [{"relation": "x"}]}',
     '{"text": "a", "triples": [{"subject": {"start": 0, "end": 2, "label": "X"}, "relation": "r", '
     '"object": {"start": 0, "end": 1, "label": "X"}}]}',
     '{"text": "a", "triples": [{"subject": {"start": 0, "end": 1, "label": "X"}, "relation": "-", '
     '"object": {"start": 0, "end": 1, "label": "X"}}]}',
     '{"text": "a", "spo_list": [{"subject": "b", "predicate": "r", "object": "a", '
     '"subject_type": "X", "object_type": "Y"}]}'],
)  # fmt: skip
def test_bad_lines_are_listed_together(tmp_path, wrong):
    (tmp_path / "x.jsonl").write_text(f"{json.dumps(ROWS[0])}\n{wrong}\n{wrong}\n")
    with pytest.raises(InputError, match=r"(?s)2 line\(s\) differ.*line 2: .*line 3: "):
        read_triple_examples(tmp_path / "x.jsonl")


def test_held_out_relations_that_training_lacks_are_named(trained, tmp_path):
    _, file, _ = trained
    odd = row("the cat sat", ("cat", "eats", "sat"))
    (tmp_path / "dev.jsonl").write_text(json.dumps(odd))
    done = call(bertfeat, "train", "relation", "--train", file, "--dev", tmp_path / "dev.jsonl",
                "--model", "x", "--output", tmp_path / "out")  # fmt: skip
    assert done.code == 1 and "eats" in done.err


@pytest.mark.data
def test_conll04_is_read_whole(data_dir):
    train, dev = (
        read_triple_examples(data_dir / "relation" / f"conll04-{name}.txt.gz")
        for name in ("train", "dev")
    )
    assert (len(train), sum(len(e.triples) for e in train)) == (910, 1273)
    assert (len(dev), sum(len(e.triples) for e in dev)) == (243, 353)
    assert schema_of(train)["Work_For"] == ["Peop", "Org"]
    # what pairing the nearest could find at most
    asked = [(e, name) for e in dev for name in e.relations]
    right = sum(
        len(set(paired(*(sorted({p[side] for p in e.pairs(name)}) for side in (0, 1))))
            & set(e.pairs(name)))
        for e, name in asked
    )  # fmt: skip
    assert right >= 0.98 * 353
