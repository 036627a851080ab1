"""``bertfeat index`` from the command line: output, messages, exit codes."""

import gzip
import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from bertfeat.errors import IndexStoreError, InputError
from bertfeat.index import VectorIndex
from bertfeat_tools.cli.index import FEATURES_OF_INDEX, index
from bertfeat_tools.cli.options import encode_options

TEXTS = ["the cat sat on the mat", "hello world", "one two three", "rain and sun", "the big dog"]
QUERIES = ["a cat on a mat", "sun"]
pytestmark = pytest.mark.filterwarnings("ignore:.*is a plain BERT")


@pytest.fixture(scope="module")
def model(tiny_bert):
    return tiny_bert()


@pytest.fixture(scope="module")
def encoder(model):
    from bertfeat import Encoder

    return Encoder.load(model)


@pytest.fixture
def folder(tmp_path, encoder):
    VectorIndex.create(tmp_path / "index", encoder).close()
    return tmp_path / "index"


@pytest.fixture
def filled(folder, encoder):
    with VectorIndex.open(folder, encoder) as made:
        made.add(TEXTS, metadata=[{"n": n} for n in range(5)])
    return folder


def run(*arguments, given=None, code=0):
    done = CliRunner().invoke(index, list(map(str, arguments)), input=given)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.stderr
    return done


def stored(folder):
    with VectorIndex.open(folder) as opened:
        return opened.get(range(opened.info()["next_id"]))


def test_create_records_the_model_and_what_differs_from_its_own(tmp_path, model):
    folder = tmp_path / "index"
    done = run(
        "create", folder, "--model", model, "--metric", "l2", "--layers", "0,1", "--combine",
        "concat", "--max-seq-length", 20,
    )  # fmt: skip
    assert done.stdout == "" and "made" in done.stderr and "32 dimensions, l2" in done.stderr
    described = json.loads((folder / "index.json").read_text())
    assert described["features"] == {"layers": "0,1", "combine": "concat", "max_seq_len": 20}
    assert described["model"] == str(model) and len(described["model_hash"]) == 64


def test_the_features_of_an_index_are_those_of_encode_without_what_it_chooses_itself():
    names = {option.name for option in create_options(FEATURES_OF_INDEX)}
    assert names == encode_options(dict.fromkeys(names)).keys()
    assert names & {"dtype", "prompt", "prompt_name"} == set()
    assert {"layers", "combine", "pooling", "normalize", "dimensions", "truncate"} < names


def create_options(decorators):
    import click

    @click.command()
    def command():
        pass

    for decorator in decorators:
        command = decorator(command)
    return command.params


def test_a_folder_in_use_is_left_alone(filled, model):
    with pytest.raises(IndexStoreError, match="is not an empty folder"):
        run("create", filled, "--model", model)
    assert len(stored(filled)) == 5


def test_lines_become_documents(folder, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_bytes("first\n\n  \nsecond ü\r\n{third".encode())
    done = run("add", folder, file)
    assert done.stdout == ""
    assert done.stderr.endswith("added 3, 2 blank lines passed over; 3 in the index\n")
    assert [document.text for document in stored(folder).values()] == [
        "first",
        "second ü",
        "{third",
    ]


def test_json_lines_bring_ids_and_metadata(folder, tmp_path):
    lines = [{"text": "one", "id": 7, "lang": "en", "n": [1]}, {"id": 3, "text": "two\nlines"}]
    file = tmp_path / "texts.jsonl.gz"
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    done = run("add", folder, file, "--json", "--batch-size", 1)
    assert done.stdout == '{"ids": [7]}\n{"ids": [3]}\n'
    assert stored(folder) == {7: ("one", {"lang": "en", "n": [1]}), 3: ("two\nlines", None)}


def test_the_format_may_be_told(folder):
    run("add", folder, "--format", "text", given='{"text": "as it is"}\n')
    run("add", folder, "-", given='{"text": "read"}\n')
    assert [document.text for document in stored(folder).values()] == [
        '{"text": "as it is"}', "read"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"text": "b"', "line 3: not JSON"),
        ('{"txt": "b"}', "line 3: expected an object such as"),
        ("[1]", "line 3: expected an object such as"),
        ('{"text": "b", "id": "x"}', "line 3: id 'x': .*expected a whole number"),
        ('{"text": "b", "id": -1}', "line 3: id -1: .*is not from 0"),
    ],
)
def test_a_line_that_is_no_document_is_named_and_earlier_batches_stay(folder, line, says):
    given = f'{{"text": "a"}}\n\n{line}\n'
    with pytest.raises(InputError, match=says):
        run("add", folder, "--batch-size", 1, given=given)
    assert [document.text for document in stored(folder).values()] == ["a"]


def test_bytes_that_are_no_text_are_named(folder):
    with pytest.raises(InputError, match="line 2: byte 3 .*is not UTF-8"):
        run("add", folder, given=b"good\nba\xff\n")
    assert stored(folder) == {}


def test_an_id_in_use_is_refused_unless_replaced(filled):
    line = '{"text": "new", "id": 2}\n'
    with pytest.raises(InputError, match="in use: 2"):
        run("add", filled, given=line)
    run("add", filled, "--replace", given=line)
    assert stored(filled)[2] == ("new", None) and len(stored(filled)) == 5


def test_search_prints_rank_score_id_and_text(filled, encoder):
    done = run("search", filled, "--query", QUERIES[0], "--query", QUERIES[1], "-k", 2)
    scores = encoder.encode(QUERIES, normalize=True) @ encoder.encode(TEXTS, normalize=True).T
    expected = [
        "".join(
            f"{rank}\t{row[n]:.4f}\t{n}\t{TEXTS[n]}\n"
            for rank, n in enumerate(np.argsort(-row)[:2], start=1)
        )
        for row in scores
    ]
    assert rounded(done.stdout) == "\n".join(expected)


def rounded(output):
    """The same lines with scores of four decimals."""
    rows = [line.split("\t") for line in output.splitlines()]
    return "".join(
        "\t".join([r[0], f"{float(r[1]):.4f}", *r[2:]]) + "\n" if len(r) > 1 else "\n" for r in rows
    )


def test_search_reads_queries_from_a_file_or_stdin(filled, tmp_path):
    file = tmp_path / "queries.txt"
    file.write_text("\n".join(QUERIES))
    told = run("search", filled, "--query", QUERIES[0], "--query", QUERIES[1], "--json").stdout
    assert run("search", filled, file, "--json").stdout == told
    assert run("search", filled, "-", "--json", given=file.read_text()).stdout == told


def test_search_in_json_has_everything(filled):
    (line,) = run("search", filled, "--query", TEXTS[3], "-k", 9, "--json").stdout.splitlines()
    found = json.loads(line)
    assert found["query"] == TEXTS[3] and len(found["hits"]) == 5
    best = found["hits"][0]
    assert abs(best.pop("score") - 1) < 1e-5
    assert best == {"rank": 1, "id": 3, "text": TEXTS[3], "metadata": {"n": 3}}


def test_tabs_and_line_breaks_of_a_text_do_not_break_the_columns(folder, encoder):
    with VectorIndex.open(folder, encoder) as opened:
        opened.add(["a\tb\nc\rd"])
    (line,) = run("search", folder, "--query", "a", "-k", 1).stdout.splitlines()
    assert line.split("\t")[2:] == ["0", "a b c d"]


@pytest.mark.parametrize("arguments", [(), ("--query", "a", "-"), ("--query", "a", "-k", "0")])
def test_search_is_used_wrongly(filled, arguments):
    assert "Usage:" in run("search", filled, *arguments, code=2).stderr


def test_delete_tells_what_was_not_there(filled):
    done = run("delete", filled, "--ids", "0,4", "--ids", "9")
    assert done.stdout == ""
    assert done.stderr == "deleted 2; 3 in the index\nnot in the index: 9\n"
    assert sorted(stored(filled)) == [1, 2, 3]


@pytest.mark.parametrize("ids", ["a", "1,,2", "-4", "1,1"])
def test_ids_that_are_none_are_wrong_usage(filled, ids):
    assert "expected ids such as 1,2" in run("delete", filled, "--ids", ids, code=2).stderr
    assert len(stored(filled)) == 5


def test_info_verify_and_rebuild(filled):
    found = json.loads(run("info", filled, "--json").stdout)
    assert found["documents"] == 5 and found["metric"] == "cosine"
    assert "documents          5\n" in run("info", filled).stdout
    assert run("rebuild", filled).stderr == "rebuilt from 5 documents\n"
    assert run("verify", filled).stdout == "ok: 5 documents\n"


def test_verify_of_a_damaged_index_fails_and_says_why(filled):
    run("rebuild", filled)
    (file,) = filled.glob("vectors-*.faiss")
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    assert "run rebuild" in run("verify", filled, code=1).stdout
    run("rebuild", filled)
    run("verify", filled)


def test_another_model_is_refused(filled, tiny_bert):
    with pytest.raises(IndexStoreError, match="use that model or create another index"):
        run("search", filled, "--query", "a", "--model", tiny_bert(seed=1))


def test_an_index_of_vectors_has_no_text_commands(tmp_path):
    VectorIndex.create(tmp_path / "index", dim=4).close()
    with pytest.raises(IndexStoreError, match="was made without a model"):
        run("search", tmp_path / "index", "--query", "a")


def test_a_writer_elsewhere_is_told_before_the_model_is_loaded(filled, monkeypatch):
    monkeypatch.setattr("bertfeat_tools.cli.index.load_encoder", lambda *_: pytest.fail("loaded"))
    with VectorIndex.open(filled) as writer:
        writer.lock()
        with pytest.raises(IndexStoreError, match="one writer at a time"):
            run("add", filled, given="text\n")


def test_the_command_itself_ends_with_code_and_message(filled, tmp_path):
    code = "from bertfeat_tools.cli import main; main()"

    def bertfeat(*arguments):
        return subprocess.run(
            [sys.executable, "-c", code, "index", *map(str, arguments)],
            capture_output=True, text=True,
        )  # fmt: skip

    failed = bertfeat("verify", tmp_path)
    assert failed.returncode == 1 and failed.stdout == ""
    assert failed.stderr.startswith("bertfeat: ") and "is not an index" in failed.stderr
    (filled / "documents.sqlite").write_bytes(b"\0" * 4096)
    assert bertfeat("verify", filled).returncode == 1
    assert bertfeat("verify").returncode == 2
