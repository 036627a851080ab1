"""Pre-training data: vocabulary, documents, pairs, masks, records."""

import gzip
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertfeat.errors import InputError
from bertfeat.tokenization import Tokenizer
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.pretraining.build import BuildOptions, blocks, build
from bertfeat_tools.pretraining.documents import read_documents
from bertfeat_tools.pretraining.masking import Masking, Tokens, mask_tokens
from bertfeat_tools.pretraining.pairs import PairOptions, rows_of
from bertfeat_tools.pretraining.vocabulary import VocabularyOptions, train_vocabulary
from command_line import call
from tiny_bert import VOCABULARY, write_tokenizer

TOKENS = Tokens(4, np.arange(5, 1000, dtype=np.int32))
DOCUMENTS = [["the cat sat on the mat.", "it is big and red."], ["one dog ran.", "he ran in rain."],
             ["hello world!", "they ran in the sun.", "she is small."]] * 4  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A folder with the tiny vocabulary."""
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder, VOCABULARY, True, 64)
    return folder


def test_the_same_text_gives_the_same_vocabulary(tmp_path):
    texts = [f"word{n % 7} 北京 Überall ab{n % 3}c" for n in range(200)]
    options = VocabularyOptions(size=100, reserved=3)
    for name in ("a", "b"):
        assert train_vocabulary(iter(texts), options, tmp_path / name) <= 100
    files = [(tmp_path / name / "vocab.txt").read_bytes() for name in ("a", "b")]
    assert files[0] == files[1]
    assert files[0].startswith(b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n[unused0]\n[unused1]\n")
    made = Tokenizer.from_folder(tmp_path / "a")
    assert "[UNK]" not in made.encode("Word3 北京 uberall").tokens
    assert made.encode("北京").tokens == ["[CLS]", "北", "京", "[SEP]"]
    cased = replace(options, lowercase=False)
    train_vocabulary(iter(texts), cased, tmp_path / "cased")
    assert "[UNK]" not in Tokenizer.from_folder(tmp_path / "cased").encode("Überall").tokens


def test_documents_of_every_kind_of_file(tmp_path):
    expected = [["a b.", "c."], ["d."]]
    (tmp_path / "x.txt").write_text("\na b.\n c. \n\n\nd.\n")
    (tmp_path / "x.txt.gz").write_bytes(gzip.compress(b"a b.\nc.\n\nd."))
    lines = [json.dumps({"body": "\n".join(document)}) for document in expected]
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    table = pa.table({"body": ["\n".join(document) for document in expected]})
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    for path in tmp_path.iterdir():
        assert list(read_documents([path], "body")) == expected, path
    with pytest.raises(InputError, match="x.jsonl, line 1: expected an object with the text"):
        list(read_documents([tmp_path / "x.jsonl"], "text"))
    (tmp_path / "bad.txt").write_bytes(b"good\nb\xffad\n")
    with pytest.raises(InputError, match="line 2: byte 2"):
        list(read_documents([tmp_path / "bad.txt"]))


@settings(max_examples=200, deadline=None)
@given(
    words=st.lists(st.integers(1, 4), min_size=1, max_size=30), whole=st.booleans(),
    ngram=st.integers(1, 3), seed=st.integers(0, 9),
)  # fmt: skip
def test_masks_keep_to_the_count_the_words_and_the_specials(words, whole, ngram, seed):
    numbers = [None, *(n for n, size in enumerate(words) for _ in range(size)), None]
    ids = [2, *range(100, 100 + sum(words)), 3]
    masking = Masking(whole_words=whole, ngram=ngram, most=10)
    seen, chosen, labels = mask_tokens(ids, numbers, masking, TOKENS, np.random.default_rng(seed))
    assert len(chosen) <= masking.count(len(ids)) <= 10
    assert not whole and ngram == 1 and len(chosen) == masking.count(len(ids)) or whole or ngram > 1
    assert (np.diff(chosen) > 0).all()
    assert not set(chosen) & {0, len(ids) - 1}
    assert [ids[place] for place in chosen] == list(labels)
    untouched = np.setdiff1d(np.arange(len(ids)), chosen)
    assert (seen[untouched] == np.array(ids)[untouched]).all()
    if whole:
        masked = {numbers[place] for place in chosen}
        assert len(chosen) == sum(words[word] for word in masked)


def test_shares_of_a_hundred_thousand_tokens_are_what_was_asked_for():
    rng, masking = np.random.default_rng(0), Masking()
    ids, words = list(range(200, 326)), [None, *range(124), None]
    kinds: Counter[str] = Counter()
    for _ in range(1000):
        seen, chosen, labels = mask_tokens(ids, words, masking, TOKENS, rng)
        kinds["mask"] += int((seen[chosen] == 4).sum())
        kinds["same"] += int((seen[chosen] == labels).sum())
        kinds["all"] += len(chosen)
    assert kinds["all"] == 1000 * round(126 * 0.15)
    for kind, share in (("mask", 0.8), ("same", 0.1)):
        spread = 3.3 * (share * (1 - share) / kinds["all"]) ** 0.5  # 99.9 % of all seeds
        assert abs(kinds[kind] / kinds["all"] - share) < spread + 1e-3


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=8), min_size=2, max_size=5),
    objective=st.sampled_from(["nsp", "sop", "none"]), seed=st.integers(0, 9),
)  # fmt: skip
def test_pairs_fit_and_their_labels_are_true(sizes, objective, seed):
    # the id of a token tells its document (thousands) and its place in it
    documents = []
    for number, pieces in enumerate(sizes):
        edges = np.cumsum([0, *pieces])
        documents.append(
            [([1000 * number + t for t in range(a, b)], list(range(b - a)))
             for a, b in zip(edges, edges[1:], strict=False)]
        )  # fmt: skip
    options = PairOptions(max_seq_len=24, objective=objective)
    rng = np.random.default_rng(seed)
    for number in range(len(documents)):
        for row in rows_of(documents, number, options, rng):
            first, second = row.first[0], row.second[0]
            assert len(first) + len(second) <= options.room
            assert first
            assert (np.diff(first) == 1).all()
            assert len(row.first[1]) == len(first)
            if objective == "none":
                assert not second
                continue
            assert second
            same = {i // 1000 for i in first} == {i // 1000 for i in second}
            if objective == "nsp":
                assert same == (row.label == 0)
            if same:
                in_order = first[-1] < second[0]
                assert in_order == (row.label == 0)


def test_labels_are_balanced_where_documents_are_long():
    documents = [[([d * 1000 + p] * 10, list(range(10))) for p in range(200)] for d in range(20)]
    rng = np.random.default_rng(0)
    for objective in ("nsp", "sop"):
        options = PairOptions(objective=objective, max_seq_len=64)
        labels = [r.label for n in range(20) for r in rows_of(documents, n, options, rng)]
        assert len(labels) > 500
        assert abs(np.mean(labels) - 0.5) < 3.3 * 0.5 / len(labels) ** 0.5


def test_a_single_document_has_no_random_pairs(tokenizer, tmp_path):
    with pytest.raises(InputError, match="has a single document"):
        build([DOCUMENTS[0]], tokenizer, BuildOptions(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    options = BuildOptions(pairs=PairOptions(objective="sop"))
    assert build([DOCUMENTS[0]], tokenizer, options, tmp_path / "out")["statistics"]["train"]
    with pytest.raises(InputError, match="no document"):
        list(blocks([], BuildOptions()))


@pytest.mark.parametrize("compress", [False, True])
def test_records_have_googles_keys_and_are_read_by_tensorflow(tokenizer, tmp_path, compress):
    import tensorflow as tf

    options = BuildOptions(
        pairs=PairOptions(max_seq_len=32), shards=2, compress=compress, held_out_every=4
    )
    found = build(DOCUMENTS, tokenizer, options, tmp_path / "out")
    files = sorted((tmp_path / "out").glob("*.tfrecord*"))
    assert [file.name.split(".")[0] for file in files] == [
        "held-out-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002",
    ]  # fmt: skip
    # google-research/bert run_pretraining.py, input_fn_builder
    sizes = {name: 32 for name in ("input_ids", "input_mask", "segment_ids")}
    sizes |= {name: 20 for name in ("masked_lm_positions", "masked_lm_ids")}
    features = {n: tf.io.FixedLenFeature([s], tf.int64) for n, s in sizes.items()}
    features["masked_lm_weights"] = tf.io.FixedLenFeature([20], tf.float32)
    features["next_sentence_labels"] = tf.io.FixedLenFeature([1], tf.int64)
    kind = "GZIP" if compress else ""
    records = list(tf.data.TFRecordDataset([str(f) for f in files[1:]], kind))
    assert len(records) == found["statistics"]["train"]["rows"]
    from bertfeat_tools.pretraining.examples import RecordFiles

    ours = RecordFiles(files[1:])
    assert len(ours) == len(records)
    for number, record in enumerate(records):
        theirs = tf.io.parse_single_example(record, features)
        assert all(np.array_equal(theirs[name], ours[number][name]) for name in features)


def test_files_that_are_cut_off_are_told(tmp_path):
    from bertfeat_tools.pretraining.examples import RecordFiles

    (tmp_path / "x.tfrecord").write_bytes(b"\x05\x00\x00")
    with pytest.raises(InputError, match="x.tfrecord is cut off after 0 bytes"):
        len(RecordFiles([tmp_path / "x.tfrecord"]))


@pytest.mark.slow
def test_any_number_of_processes_gives_the_same_bytes(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr("bertfeat_tools.pretraining.build.BLOCK_CHARACTERS", 100)
    for processes in (1, 3):
        options = BuildOptions(shards=2, copies=2, held_out_every=5)
        build(DOCUMENTS, tokenizer, options, tmp_path / str(processes), processes)
    names = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "3").iterdir())
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes()


@pytest.mark.data
def test_googles_sample_text(data_dir, tokenizer, tmp_path):
    documents = read_documents([data_dir / "corpus" / "google_bert_sample_text.txt"])
    found = build(documents, tokenizer, BuildOptions(copies=3), tmp_path / "out")
    assert found["statistics"]["train"]["documents"] == 3
    assert found["statistics"]["train"]["masked_share"] == pytest.approx(0.15, abs=0.01)


@pytest.mark.parametrize(("lines", "warned"), [(1, True), (20, False)])
def test_documents_without_next_sentences_are_told(tokenizer, tmp_path, lines, warned):
    sentence = "the cat sat on the mat .\n"
    (tmp_path / "corpus.txt").write_text("\n".join([sentence * lines] * 30))
    done = call(bertfeat, "pretrain", "data", tmp_path / "corpus.txt", "--tokenizer", tokenizer,
                "--max-seq-len", 32, "--output", tmp_path / "out")  # fmt: skip
    assert done.code == 0, done.err
    assert ("of the pairs are random" in str(done.err)) is warned
