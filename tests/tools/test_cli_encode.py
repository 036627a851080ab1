"""``bertfeat encode`` and ``bertfeat sentence2vec``, through their command lines."""

import gzip
import json
import signal
import subprocess

import numpy as np
import pyarrow.parquet as pq
import pytest

from bertfeat import Encoder
from bertfeat.errors import NotTrainedForSimilarity
from bertfeat.features.options import EncodeOptions
from bertfeat_tools.cli.encode import encode
from bertfeat_tools.cli.sentence2vec import KEYS, sentence2vec
from command_line import call, load_once, program, run_program

LINES = ["the cat sat", "", "hello, world!", "  two  dogs  ", "in the rain"]
TEXT = "\n".join(LINES) + "\n"


@pytest.fixture(autouse=True)
def models(monkeypatch):
    """Each model is loaded once for all commands of this process."""
    monkeypatch.setattr("bertfeat.api.load", load_once)


@pytest.fixture(scope="module")
def folder(tiny_bert):
    return tiny_bert(seed=8)


@pytest.fixture(scope="module")
def encoder(folder):
    return Encoder.load(folder)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.txt"
    path.write_text(TEXT)
    return path


def arrays(data: bytes) -> np.ndarray:
    return np.array([json.loads(line) for line in data.splitlines()], np.float32)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--pooling", "mean"], {"pooling": "mean"}),
        (
            ["--layers", "-2:", "--combine", "none", "--pooling=cls"],
            {"layers": "-2:", "combine": "none", "pooling": "cls"},
        ),
        (
            ["--layers", "all", "--combine", "weighted", "--layer-weights=0.5,0,-1", "--pooling",
             "REDUCE_MEAN_MAX", "--normalize", "--dimensions", "5"],
            {"layers": "all", "combine": "weighted", "layer_weights": (0.5, 0, -1),
             "pooling": "mean_max", "normalize": True, "dimensions": 5},
        ),
        (["--pooling=mean_max", "--prompt", "the "], {"pooling": "mean_max", "prompt": "the "}),
        (["--pooling=max", "--max_seq_length=4"], {"pooling": "max", "max_seq_len": 4}),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::bertfeat.errors.TruncationWarning")
def test_options_mean_what_they_mean_in_the_library(folder, encoder, arguments, options):
    done = call(encode, "--model", folder, *arguments, stdin=TEXT.encode())
    assert done.code == 0
    np.testing.assert_allclose(
        arrays(done.out), encoder.encode(LINES, **options), rtol=1e-6, atol=1e-6
    )


def test_every_option_of_the_library_is_one_of_the_command():
    names = {parameter.name for parameter in encode.params}
    assert set(EncodeOptions.__dataclass_fields__) <= names
    assert {"model", "precision", "device", "offline", "batch_tokens", "threads"} <= names
    defaults = {parameter.name: parameter.default for parameter in encode.params}
    for name, field in EncodeOptions.__dataclass_fields__.items():
        assert defaults[name] in (field.default, None) or field.default is None, name


def test_every_format_holds_the_same(folder, encoder, source, tmp_path):
    expected = encoder.encode(LINES, pooling="mean")
    for name in ("x.npy", "x.jsonl", "x.jsonl.gz", "x.parquet"):
        done = call(encode, source, "--model", folder, "-o", tmp_path / name, "--pooling=mean")
        assert (done.code, done.out, done.err) == (0, b"", "")
    plain = (tmp_path / "x.jsonl").read_bytes()
    assert gzip.decompress((tmp_path / "x.jsonl.gz").read_bytes()) == plain
    parquet = pq.read_table(tmp_path / "x.parquet")["embedding"].to_pylist()
    for found in (np.load(tmp_path / "x.npy"), arrays(plain), np.float32(parquet)):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "int8", "ubinary"])
def test_dtypes_are_kept(folder, encoder, source, tmp_path, dtype):
    options = ("--model", folder, "-o", tmp_path / "x.npy", "--pooling=mean", "--dtype", dtype)
    assert call(encode, source, *options).code == 0
    found, expected = (
        np.load(tmp_path / "x.npy"),
        encoder.encode(LINES, pooling="mean", dtype=dtype),
    )
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, atol=1 if dtype != "float16" else 1e-3)


def test_a_line_that_fails_is_null_or_zero_and_told(folder, tmp_path):
    (tmp_path / "in.txt").write_bytes(b"the cat\n\xff\nthe cat sat on it\n")
    options = ("--model", folder, "--pooling=mean", "--max-seq-len=5", "--truncate=error")
    for name in ("x.jsonl", "x.npy", "x.parquet"):
        done = call(encode, tmp_path / "in.txt", *options, "-o", tmp_path / name)
        assert done.code == 1
        bad, long, last = done.err.splitlines()
        assert bad.endswith("in.txt, line 2: byte 1 (0xff) is not UTF-8; save the file as UTF-8")
        assert "in.txt, line 3: " in long
        assert last == "2 of 3 lines failed"
    rows = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [row is None for row in rows] == [False, True, True]
    assert np.load(tmp_path / "x.npy").any(axis=1).tolist() == [True, False, False]
    table = pq.read_table(tmp_path / "x.parquet")
    assert table["embedding"].null_count == 2
    assert "line 3" in table["error"].to_pylist()[2]


def test_cut_lines_are_told_once(folder):
    done = call(encode, "--model", folder, "--pooling=mean", "--max-seq-len=4", stdin=TEXT.encode())
    assert done.code == 0
    assert done.err == (
        "warning: 4 line(s) are longer than the 4 tokens that are read and were cut, the first is "
        "line 1\n"
    )


def test_a_plain_bert_gives_its_mean_and_says_so_once(folder, encoder):
    with pytest.warns(NotTrainedForSimilarity) as told:
        done = call(encode, "--model", folder, stdin=TEXT.encode())
    assert len(told) == 1
    np.testing.assert_allclose(
        arrays(done.out), encoder.encode(LINES, pooling="mean", layers=-1), rtol=1e-6, atol=1e-6
    )


def test_no_lines_make_an_empty_array(folder, tmp_path):
    done = call(encode, "--model", folder, "--pooling=mean", "-o", tmp_path / "x.npy", stdin=b"")
    assert done.code == 0
    assert np.load(tmp_path / "x.npy").shape == (0, 16)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--pooling", "median"], 2, "'median' is not one of"),
        (["--layer-weights", "1,x"], 2, "expected numbers with commas between them"),
        (["-o", "x.npy", "--resume", "--max-seq-len", "1"], 2, "1 is not in the range"),
        (["--resume"], 2, "--resume needs an output file"),
        (["--pooling", "none"], 1, "extract_features writes vectors of tokens"),
        (["--layers", "9"], 1, "layer 9 does not exist"),
        (["--model", "no/such/folder"], 1, "no/such/folder"),
        (["--combine", "weighted"], 1, "layer_weights belong together"),
    ],
)
def test_what_is_wrong_is_told(folder, source, arguments, code, message):
    done = call(encode, source, "--model", folder, "--offline", *arguments)
    assert (done.code, done.out) == (code, b"")
    assert message in " ".join(done.err.split())
    assert "Traceback" not in done.err


def test_sentence2vec_does_what_its_file_says(folder, encoder, source, tmp_path):
    settings = {
        "input": str(source), "model": str(folder), "layers": [0, -1], "combine": "weighted",
        "layer_weights": [0.25, 0.75], "pooling": "REDUCE_MEAN", "normalize": True,
    }  # fmt: skip
    (tmp_path / "c.json").write_text(json.dumps(settings))
    done = call(sentence2vec, tmp_path / "c.json", tmp_path / "out.json")
    assert (done.code, done.out, done.err) == (0, b"", "")
    lines = (tmp_path / "out.json").read_bytes()
    expected = encoder.encode(
        LINES, layers=[0, -1], combine="weighted", layer_weights=[0.25, 0.75], pooling="mean",
        normalize=True,
    )  # fmt: skip
    np.testing.assert_allclose(arrays(lines), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"input": "in.txt", "layer": 1, "pool": 2}', "unknown key(s) layer, pool; known: "),
        ('{"model": "x"}', '"input" must name the file to read, got None'),
        ("[1]", "expected a JSON object, got list"),
        ("{", "expected a JSON object, got no JSON"),
        ('{"input": "no-such-file.txt", "pooling": "mean"}', "no-such-file.txt"),
        ('{"input": "in.txt", "pooling": "median"}', "pooling='median' is none of"),
    ],
)
def test_a_wrong_configuration_is_told_with_its_file(
    folder, source, tmp_path, monkeypatch, content, message
):
    monkeypatch.chdir(tmp_path)
    if '"model"' not in content and content.startswith('{"'):
        content = content.replace("{", json.dumps({"model": str(folder)})[:-1] + ", ", 1)
    (tmp_path / "c.json").write_text(content)
    done = call(sentence2vec, "c.json", "out.json")
    assert done.code == 1
    assert message in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "out.json").exists()


def test_the_keys_of_sentence2vec_are_those_of_the_library():
    assert {"input", "model", "layers", "combine", "pooling", "normalize", "precision"} <= KEYS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "end"),
    [("x.npy", signal.SIGKILL), ("x.jsonl", signal.SIGINT), ("x.parquet", signal.SIGKILL)],
)
def test_stopped_and_resumed_gives_the_same_file(folder, tmp_path, name, end):
    source = tmp_path / "in.txt"
    source.write_text("".join(f"{'the cat ran ' * (n % 9)} {n}\n" for n in range(5000)))
    options = (source, "--model", folder, "--pooling=mean", "-o")
    whole = tmp_path / f"whole-{name}"
    assert run_program("main", "encode", *options, whole).code == 0
    process = subprocess.Popen(
        program("main", "encode", *options, tmp_path / name), stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / f"{name}.part.json").exists():
        assert process.poll() is None, "the run ended before it could be killed"
    process.send_signal(end)
    said = process.communicate()[1]
    if end == signal.SIGINT:
        assert process.returncode == 130
        assert said.strip() == f"{tmp_path / name}: stopped; --resume goes on from here"
    assert not (tmp_path / name).exists()
    assert run_program("main", "encode", *options, tmp_path / name, "--resume").code == 0
    assert (tmp_path / name).read_bytes() == whole.read_bytes()
