"""Rankings score as a plain count of them does, and as scikit-learn's nDCG."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertfeat import Encoder
from bertfeat.errors import InputError
from bertfeat_tools.cli.evaluate import evaluate
from bertfeat_tools.scoring.collection import rank_by_vectors, read_texts
from bertfeat_tools.scoring.judgements import ranking, read_qrels, read_run, write_run
from bertfeat_tools.scoring.retrieval import retrieval_statistic, score_query
from command_line import call, load_once

NAMES = [f"d{number}" for number in range(12)]


@pytest.fixture(autouse=True)
def models(monkeypatch):
    """Each model is loaded once for all commands of this process."""
    monkeypatch.setattr("bertfeat.api.load", load_once)


def counted(ranked, relevance, k, exponential):
    """The scores at rank k, counted document by document."""
    relevant = {document for document, grade in relevance.items() if grade > 0}
    value = (lambda grade: 2**grade - 1) if exponential else (lambda grade: grade)
    dcg = average = reciprocal = hits = 0
    for place, document in enumerate(ranked[:k]):
        if document in relevant:
            hits += 1
            dcg += value(relevance[document]) / math.log2(place + 2)
            average += hits / (place + 1)
            reciprocal = reciprocal or 1 / (place + 1)
    grades = sorted((relevance[document] for document in relevant), reverse=True)[:k]
    ideal = sum(value(grade) / math.log2(place + 2) for place, grade in enumerate(grades))
    return {
        f"ndcg@{k}": dcg / ideal, f"mrr@{k}": reciprocal, f"map@{k}": average / len(relevant),
        f"recall@{k}": hits / len(relevant), f"precision@{k}": hits / k,
    }  # fmt: skip


@given(
    st.permutations(NAMES), st.integers(0, 12),
    st.dictionaries(st.sampled_from(NAMES), st.integers(-1, 4), min_size=1), st.booleans(),
)  # fmt: skip
def test_scores_equal_a_plain_count(order, length, relevance, exponential):
    relevance = {"never found": 2, **relevance}
    ranked, gain = order[:length], "exponential" if exponential else "linear"
    found = score_query(ranked, relevance, (1, 3, 20), gain)
    for k in (1, 3, 20):
        for name, value in counted(ranked, relevance, k, exponential).items():
            assert found[name] == pytest.approx(value), name
    whole = counted(ranked, relevance, 12, exponential)
    assert (found["mrr"], found["map"]) == pytest.approx((whole["mrr@12"], whole["map@12"]))


@pytest.mark.parametrize("seed", range(3))
def test_ndcg_is_scikit_learns(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    grades, scores = rng.integers(0, 4, 12), rng.permutation(12)
    run = dict(zip(NAMES, scores.tolist(), strict=True))
    relevance = dict(zip(NAMES, grades.tolist(), strict=True))
    found = score_query(ranking(run), relevance, (1, 5))
    for k in (1, 5):
        assert found[f"ndcg@{k}"] == pytest.approx(metrics.ndcg_score([grades], [scores], k=k))


def test_equal_scores_stand_by_falling_id_as_in_trec_eval():
    assert ranking({"a": 1, "b": 2, "c": 1, "d": 1}) == ["b", "d", "c", "a"]


def test_queries_without_relevant_documents_are_left_out_and_unanswered_ones_score_zero():
    qrels = {"1": {"a": 1}, "2": {"a": 2}, "3": {"a": 0, "b": -1}}
    count, statistic = retrieval_statistic(qrels, {"1": {"a": 0.5}, "3": {"a": 1}, "9": {"a": 1}})
    assert count == 2
    assert statistic(np.arange(2))["map"] == 0.5
    assert statistic(np.array([0, 0]))["ndcg@10"] == 1
    with pytest.raises(InputError, match="the 2 queries"):
        retrieval_statistic(qrels, {"3": {"a": 1}})


@pytest.mark.parametrize(
    "content",
    [
        "1 0 a 2\n1\t0\tb\t0\n2 0 a -1\n",
        "query-id\tcorpus-id\tscore\n1\ta\t2\n1\tb\t0\n2\ta\t-1\n",
        '{"query_id": 1, "document_id": "a", "relevance": 2}\n'
        '{"query-id": "1", "corpus-id": "b", "score": 0}\n'
        '{"query_id": "2", "document_id": "a", "relevance": -1}\n',
    ],
)
def test_judgements_come_in_three_forms(tmp_path, content):
    (tmp_path / "q").write_text(content)
    assert read_qrels(tmp_path / "q") == {"1": {"a": 2, "b": 0}, "2": {"a": -1}}


@pytest.mark.parametrize(
    ("read", "content", "places"),
    [
        (read_qrels, "1 0 a 1\n1 0 a\n1 0 a 2\n1 0 b x\n",
         ["line 2: 3 columns", "line 3: query 1 has document a a second", "line 4: 'x'"]),
        (read_qrels, '{"query_id": 1}\n{"a"\n', ["line 1: lacks", "line 2: not JSON"]),
        (read_run, "1 Q0 a 1 nan x\n1 Q0 b 1 0.5\n", ["line 1: 'nan'", "line 2: 5 columns"]),
        (read_texts, "1\ta\n2\n1\tb\n", ["line 2: no tab", "line 3: id 1"]),
        (read_texts, '{"_id": 1, "text": "a"}\n{"text": "b"}\n', ["line 2: lacks"]),
    ],
)  # fmt: skip
def test_all_bad_lines_are_listed(tmp_path, read, content, places):
    (tmp_path / "f").write_text(content)
    with pytest.raises(InputError, match="(?s)" + ".*".join(places)):
        read(tmp_path / "f")


@pytest.mark.parametrize(
    "content",
    [
        "a\tA wing in air\nb\t\n",
        '{"_id": "a", "title": "A wing", "text": "in air"}\n{"id": "b", "text": ""}\n',
        ".I a\n.T\nA\nwing\n.A\nsomebody\n.W\nin\n  air\n.I b\n.W\n",
        ".I a\n.T\nA wing\n.B\n.W\nA wing\nin air\n.I b\n.T\n.W\n",
    ],
)
def test_texts_come_in_three_forms(tmp_path, content):
    (tmp_path / "f").write_text(content)
    assert read_texts(tmp_path / "f") == {"a": "A wing in air", "b": ""}
    assert list(read_texts(tmp_path / "f", by_place=True)) == ["1", "2"]


@pytest.mark.parametrize("cosine", [True, False])
def test_ranking_by_vectors_is_brute_force(cosine):
    rng = np.random.default_rng(0)
    queries, documents = rng.normal(size=(3, 4)), rng.normal(size=(12, 4))
    run = rank_by_vectors(
        (["x", "y", "z"], queries.astype(np.float32)),
        (NAMES, documents.astype(np.float32)), 5, cosine=cosine,
    )  # fmt: skip
    scores = queries @ documents.T
    if cosine:
        scores /= np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(documents, axis=1)
    for query, row in zip("xyz", scores, strict=True):
        best = np.argsort(-row)[:5]
        assert ranking(run[query]) == [NAMES[at] for at in best]
        assert [run[query][NAMES[at]] for at in best] == pytest.approx(row[best], abs=1e-5)


def test_a_run_is_read_as_it_was_written(tmp_path):
    run = {"1": {"a": 0.25, "b": 0.5}, "2": {"c": -1.5}}
    write_run(tmp_path / "run", run, "name")
    assert (tmp_path / "run").read_text().splitlines()[0] == "1 Q0 b 1 0.5 name"
    assert read_run(tmp_path / "run") == run
    with pytest.raises(InputError, match="'a b'"):
        write_run(tmp_path / "run", {"1": {"a b": 1}}, "name")


@pytest.fixture
def collection(tmp_path):
    texts = ["the cat sat on the mat", "a big dog ran", "hello world", "red and blue", "the rain"]
    documents = [json.dumps({"_id": f"d{at}", "text": text}) for at, text in enumerate(texts)]
    (tmp_path / "corpus.jsonl").write_text("\n".join(documents))
    (tmp_path / "queries.tsv").write_text("q7\tthe cat ran\nq8\tworld\n")
    (tmp_path / "qrels").write_text("1 0 d0 2\n1 0 d1 1\n2 0 d2 1\n")
    return tmp_path


def test_the_command_ranks_with_a_model_and_writes_what_it_ranked(collection, tiny_bert):
    folder, output = tiny_bert(seed=3), collection / "out.run"
    done = call(
        evaluate, "retrieval", collection / "qrels", "--model", folder, "--corpus",
        collection / "corpus.jsonl", "--queries", collection / "queries.tsv", "--number-queries",
        "--depth", 4, "--layers=-1", "--run-output", output, "-k", "1,3", "--quiet",
    )  # fmt: skip
    assert done.code == 0, done.err
    encoder = Encoder.load(folder)
    documents = list(read_texts(collection / "corpus.jsonl").values())
    left = encoder.encode(["the cat ran", "world"], normalize=True, layers=-1)
    right = encoder.encode(documents, normalize=True, layers=-1)
    run = read_run(output)
    for query, row in zip("12", left @ right.T, strict=True):
        assert ranking(run[query]) == [f"d{at}" for at in np.argsort(-row)[:4]]
    again = call(evaluate, "retrieval", collection / "qrels", output, "-k", "1,3")
    assert again.out == done.out
    found = json.loads(done.out)
    assert (found["total"], found["missing"]) == (2, 0)
    expected = [
        counted(ranking(run[query]), relevance, 3, exponential=False)["ndcg@3"]
        for query, relevance in read_qrels(collection / "qrels").items()
    ]
    assert found["ndcg@3"] == pytest.approx(np.mean(expected))


def test_runs_are_compared(collection):
    for name, order in (("a", "012"), ("b", "021"), ("c", "340")):
        run = {q: {f"d{d}": 3.0 - at for at, d in enumerate(order)} for q in "12"}
        write_run(collection / name, run, name)
    done = call(
        evaluate, "retrieval", collection / "qrels", collection / "a", collection / "b",
        "--against", collection / "c", "--resamples", 20,
    )  # fmt: skip
    found = json.loads(done.out)
    mean = np.mean([(1 + 1 / 3) / 2, (1 + 1 / 2) / 2])
    assert found["mrr"]["mean"] == pytest.approx(mean)
    assert found["against"]["mrr"]["difference"] == pytest.approx(mean - 1 / 6)


@pytest.mark.parametrize(
    "arguments", [[], ["--corpus", "corpus.jsonl"], ["-k", "0"], ["-k", "ten"]]
)
def test_wrong_usage(collection, arguments):
    given = [collection / item if (collection / item).is_file() else item for item in arguments]
    assert call(evaluate, "retrieval", collection / "qrels", *given).code == 2


@pytest.mark.data
def test_cranfields_files_are_read(data_dir):
    folder = data_dir / "retrieval/cranfield"
    documents = read_texts(folder / "cran.all.1400.gz")
    queries = read_texts(folder / "cran.qry", by_place=True)
    qrels = read_qrels(folder / "QRelsCorrectedforTRECeval")
    assert (len(documents), len(queries), len(qrels)) == (1400, 225, 225)
    assert set(qrels) == set(queries)
    judged = {document for some in qrels.values() for document in some}
    assert judged <= set(documents)
    assert documents["1"].startswith("experimental investigation of the aerodynamics of a wing in")
    assert sum(not text for text in documents.values()) == 2


@pytest.mark.data
@pytest.mark.model
@pytest.mark.slow
def test_cranfield_scores_as_sentence_transformers_scores_it(data_dir, default_model):
    transformers = pytest.importorskip("sentence_transformers")
    folder = data_dir / "retrieval/cranfield"
    paths = [
        folder / name for name in ("QRelsCorrectedforTRECeval", "cran.all.1400.gz", "cran.qry")
    ]
    qrels, documents = read_qrels(paths[0]), read_texts(paths[1])
    queries = read_texts(paths[2], by_place=True)
    relevant = {query: {d for d in judged if judged[d] > 0} for query, judged in qrels.items()}
    evaluation = pytest.importorskip("sentence_transformers.evaluation")
    model = transformers.SentenceTransformer(str(default_model), device="cpu")
    model.max_seq_length = 32
    theirs = evaluation.InformationRetrievalEvaluator(
        queries, documents, relevant, mrr_at_k=[10], map_at_k=[100],
        precision_recall_at_k=[10, 100], ndcg_at_k=[10], accuracy_at_k=[1],
    )(model)  # fmt: skip
    done = call(
        evaluate, "retrieval", paths[0], "--corpus", paths[1], "--queries", paths[2],
        "--number-queries", "--model", default_model, "--max-seq-len", 32,
    )  # fmt: skip
    found = json.loads(done.out)
    for name in ("mrr@10", "map@100", "recall@10", "recall@100", "precision@10", "precision@100"):
        assert found[name] == pytest.approx(theirs[f"cosine_{name}"], abs=1e-3)
