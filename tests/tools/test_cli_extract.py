"""``extract_features``, through its command line."""

import gzip
import json
import re
import signal
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from bertfeat.checkpoints import convert, resolve
from bertfeat.tokenization import Tokenizer
from bertfeat_tools.cli.extract import extract_features
from command_line import Outcome, call, load_once, program, run_program
from reference import ReferenceBert

LINES = [
    "The cat sat on the mat.",
    "",
    "hello world ||| it ran!",
    "  two  dogs  ",
    "in the rain ||| the sun ||| she was red",
    "a\0b",
]


@pytest.fixture(autouse=True)
def models(monkeypatch):
    """Each model is loaded once for all commands of this process."""
    monkeypatch.setattr("bertfeat.api.load", load_once)


@pytest.fixture(scope="module")
def folder(tiny_bert):
    return tiny_bert(seed=5)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("input") / "in.txt"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Lines of different lengths, more than one chunk of them."""
    path = tmp_path_factory.mktemp("input") / "many.txt"
    words = ["the cat sat", "hello", "it was not big and she ran on in the rain", "dog, dog!"]
    path.write_text("".join(f"{words[n % 4]} {'sun ' * (n % 11)}\n" for n in range(2600)))
    return path


def extract(folder, source, target, *options) -> Outcome:
    return call(
        extract_features, "--model", folder, "--input-file", source, "--output-file", target,
        *options,
    )  # fmt: skip


def google_item(line: str) -> str | tuple[str, str]:
    pair = re.match(r"^(.*) \|\|\| (.*)$", line.strip())
    return (pair[1], pair[2]) if pair else line.strip()


def google_tokens(tokenizer: Tokenizer, line: str, length: int) -> list[str]:
    """The tokens that google-research/bert extract_features.py makes of a line."""
    item = google_item(line)
    texts = item if isinstance(item, tuple) else (item,)
    parts = [tokenizer.encode(text).tokens[1:-1] for text in texts]
    while sum(map(len, parts)) > length - 1 - len(parts):
        parts[0 if len(parts) == 1 or len(parts[0]) > len(parts[1]) else 1].pop()
    return ["[CLS]", *(token for part in parts for token in [*part, "[SEP]"])]


def expected_vectors(folder, line):
    """Hidden states of the NumPy reference, layers 0 to N."""
    encoding = Tokenizer.from_folder(folder).encode(google_item(line))
    found = ReferenceBert(folder).forward(encoding.input_ids, encoding.token_type_ids)
    return [found[f"hidden_states.{n}"] for n in range(3)]


def test_json_lines_hold_tokens_and_the_references_numbers_in_the_layers_asked_for(
    folder, source, tmp_path
):
    done = extract(folder, source, tmp_path / "x.jsonl", "--layers", "-2,-1")
    assert (done.code, done.out, done.err) == (0, b"", "")
    tokenizer = Tokenizer.from_folder(folder)
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    assert len(lines) == len(LINES)
    for index, (text, line) in enumerate(zip(lines, LINES, strict=True)):
        found = json.loads(text)
        assert text == json.dumps(found)
        assert list(found) == ["linex_index", "features"]
        assert found["linex_index"] == index
        assert [f["token"] for f in found["features"]] == google_tokens(tokenizer, line, 64)
        assert {tuple(layer["index"] for layer in f["layers"]) for f in found["features"]} == {
            (-2, -1)
        }
        values = np.array([[layer["values"] for layer in f["layers"]] for f in found["features"]])
        expected = expected_vectors(folder, line)
        np.testing.assert_allclose(values[:, 0], expected[1], atol=1e-5)
        np.testing.assert_allclose(values[:, 1], expected[2], atol=1e-5)


def test_googles_own_command_line_works_unchanged(folder, source, tmp_path):
    google = tmp_path / "uncased_L-2"
    convert(folder, google, "google", drop=True)
    (google / "tokenizer_config.json").unlink(missing_ok=True)
    done = call(
        extract_features, f"--input_file={source}", f"--output_file={tmp_path / 'x.jsonl'}",
        f"--vocab_file={google / 'vocab.txt'}", "--layers=-1,-2", "--use_tpu=False",
        f"--bert_config_file={google / 'bert_config.json'}", "--do_lower_case=True",
        f"--init_checkpoint={google / 'bert_model.ckpt'}", "--max_seq_length=64",
        "--batch_size=8",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    extract(folder, source, tmp_path / "y.jsonl", "--layers=-1,-2")
    assert (tmp_path / "x.jsonl").read_bytes() == (tmp_path / "y.jsonl").read_bytes()


@pytest.mark.parametrize(
    "flag", ["--do_lower_case=False", "--no-do-lower-case", "--nodo_lower_case"]
)
def test_letters_keep_their_case_when_asked(folder, source, tmp_path, flag):
    extract(folder, source, tmp_path / "x.jsonl", "--layers=-1", flag)
    first = json.loads((tmp_path / "x.jsonl").read_text().splitlines()[0])
    tokens = [feature["token"] for feature in first["features"]]
    assert tokens == Tokenizer.from_folder(folder, lowercase=False).encode(LINES[0]).tokens
    assert tokens[1] == "[UNK]"


@pytest.mark.parametrize("length", [5, 8, 9, 13])
def test_long_lines_are_cut_as_google_cuts_them_and_it_is_told(folder, tmp_path, length):
    lines = [
        "the cat",
        "the cat sat on the mat in the rain",
        "one two three ||| red dog and cat sat",
    ]
    (tmp_path / "in.txt").write_text("\n".join(lines))
    done = extract(
        folder, tmp_path / "in.txt", tmp_path / "x.jsonl", "--max-seq-length", length, "--layers=-1"
    )
    tokenizer = Tokenizer.from_folder(folder)
    found = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    expected = [google_tokens(tokenizer, line, length) for line in lines]
    assert [[f["token"] for f in line["features"]] for line in found] == expected
    cut = [n for n, line in enumerate(lines) if expected[n] != google_tokens(tokenizer, line, 99)]
    assert done.code == 0
    if cut:
        assert done.err == (
            f"warning: {len(cut)} line(s) are longer than the {length} tokens that are read and "
            f"were cut, the first is line {cut[0] + 1}\n"
        )


def test_windows_read_long_lines_whole(folder, tmp_path):
    words = [f"{word}" for word in ("the cat sat on the mat and ran " * 30).split()]
    (tmp_path / "in.txt").write_text(" ".join(words) + "\nhello ||| world\n")
    done = extract(
        folder, tmp_path / "in.txt", tmp_path / "x.jsonl", "--long", "window",
        "--max-seq-length", 20, "--layers=-1",
    )  # fmt: skip
    long, pair = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [f["token"] for f in long["features"]] == ["[CLS]", *words, "[SEP]"]
    assert pair["features"] == []
    assert done.code == 1
    assert "line 2: a pair cannot be read in windows" in done.err


def test_words_have_characters_of_the_line_and_pooled_vectors(folder, tmp_path):
    line = "  The xyz sat. ||| dogs"
    (tmp_path / "in.txt").write_text(line)
    for split in ("model", "whitespace"):
        done = extract(
            folder, tmp_path / "in.txt", tmp_path / f"{split}.jsonl", "--words", "--layers=-1",
            "--word-split", split,
        )  # fmt: skip
        assert done.code == 0
    model, whitespace = (
        json.loads((tmp_path / f"{split}.jsonl").read_text())["features"]
        for split in ("model", "whitespace")
    )
    for words in (model, whitespace):
        assert [line[word["start"] : word["end"]] for word in words] == [w["token"] for w in words]
    assert [word["token"] for word in model] == ["The", "xyz", "sat", ".", "dogs"]
    assert [word["token"] for word in whitespace] == ["The", "xyz", "sat.", "dogs"]
    # [CLS] the x ##y ##z sat . [SEP] dog ##s [SEP]
    last = expected_vectors(folder, line)[2]
    expected = [last[1], last[2:5].mean(0), last[5:7].mean(0), last[8:10].mean(0)]
    values = [word["layers"][0]["values"] for word in whitespace]
    np.testing.assert_allclose(values, expected, atol=1e-5)


def test_every_format_holds_the_same(folder, source, tmp_path):
    for name in ("x.jsonl", "x.jsonl.gz", "x.npz", "x.parquet"):
        assert extract(folder, source, tmp_path / name, "--layers=-1,-2").code == 0
    plain = (tmp_path / "x.jsonl").read_bytes()
    assert gzip.decompress((tmp_path / "x.jsonl.gz").read_bytes()) == plain
    rows = [json.loads(line)["features"] for line in plain.splitlines()]
    flat = [feature for row in rows for feature in row]
    values = np.array([[layer["values"] for layer in feature["layers"]] for feature in flat])
    npz = np.load(tmp_path / "x.npz")
    assert npz["tokens"].tolist() == [feature["token"] for feature in flat]
    assert npz["lengths"].tolist() == [len(row) for row in rows]
    np.testing.assert_allclose(npz["vectors"], values, atol=5.1e-7)
    parquet = pq.read_table(tmp_path / "x.parquet").to_pylist()
    assert [row["tokens"] for row in parquet] == [[f["token"] for f in row] for row in rows]
    second = [vector for row in parquet for vector in row["layer_-2"]]
    np.testing.assert_allclose(second, values[:, 1], atol=5.1e-7)


def test_from_stdin_to_stdout(folder, source, tmp_path):
    extract(folder, source, tmp_path / "x.jsonl", "--layers=-1")
    packed = tmp_path / "in.txt.gz"
    packed.write_bytes(gzip.compress(source.read_bytes()))
    piped = call(
        extract_features, "--model", folder, "--input-file", "-", "--output-file", "-",
        "--layers=-1", stdin=source.read_bytes(),
    )  # fmt: skip
    unpacked = extract(folder, packed, "-", "--layers=-1")
    expected = (tmp_path / "x.jsonl").read_bytes()
    assert (piped.out, unpacked.out) == (expected, expected)


def test_a_line_that_is_no_text_fails_alone(folder, tmp_path):
    (tmp_path / "in.txt").write_bytes(b"the cat\nsat \xc3\x28 on\nmat\n")
    done = extract(folder, tmp_path / "in.txt", tmp_path / "x.jsonl", "--layers=-1")
    place = f"{tmp_path / 'in.txt'}, line 2: byte 5 (0xc3) is not UTF-8; save the file as UTF-8"
    assert done.code == 1
    assert done.err == f"{place}\n1 of 3 lines failed\n"
    found = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [len(line["features"]) for line in found] == [4, 0, 3]
    assert found[1]["error"] == place


def test_a_too_long_line_fails_alone_when_cutting_is_forbidden(folder, tmp_path):
    (tmp_path / "in.txt").write_text("the cat\nthe cat sat on the mat\nmat\n")
    done = extract(
        folder, tmp_path / "in.txt", tmp_path / "x.jsonl", "--layers=-1", "--max-seq-length=5",
        "--truncate=error",
    )  # fmt: skip
    assert done.code == 1
    assert f"{tmp_path / 'in.txt'}, line 2: " in done.err
    assert "texts[" not in done.err
    found = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [len(line["features"]) for line in found] == [4, 0, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layers", "0"], "--layers 0: expected numbers from -1 (last) to -2"),
        (["--layers", "-1,-3"], "expected numbers from -1 (last) to -2"),
        (["--layers", "all"], "expected numbers from -1 (last) to -2"),
        (["--layers", ""], "expected numbers from -1 (last) to -2"),
        (["--layers", "-1", "--max-seq-length", "65"], "this model has 64 positions"),
        (["--max-seq-length", "2"], "2 is not in the range"),
        (["--format", "npz", "--output-file", "-"], "this format needs a file"),
        (["--resume", "--output-file", "-"], "--resume needs an output file"),
        (["--output-file", "no/such/folder/x.jsonl"], "name a file in an existing folder"),
        (["--input-file", "missing.txt"], "'missing.txt' does not exist"),
        (["--vocab-file", __file__], "go together, instead of --model"),
        (["--use_tpu=True"], "no TPU support here"),
        (["--no-such-option"], "No such option"),
    ],
)
def test_wrong_usage_exits_2_with_a_reason(folder, source, tmp_path, options, message):
    done = extract(folder, source, tmp_path / "x.jsonl", *options)
    assert (done.code, done.out) == (2, b"")
    assert message in " ".join(done.err.split())
    assert list(tmp_path.iterdir()) == []


def test_the_input_is_never_the_output(folder, tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("the cat\n")
    assert extract(folder, path, path).code == 2
    assert path.read_text() == "the cat\n"


def test_the_default_length_gives_way_to_a_shorter_model_and_layers_are_the_last_four(
    tiny_bert, source, tmp_path
):
    folder = tiny_bert(seed=6, num_hidden_layers=5)
    assert extract(folder, source, tmp_path / "x.jsonl").code == 0
    first = json.loads((tmp_path / "x.jsonl").read_text().splitlines()[0])
    assert [layer["index"] for layer in first["features"][0]["layers"]] == [-1, -2, -3, -4]


def test_order_and_numbers_do_not_depend_on_how_lines_are_batched(folder, many, tmp_path):
    few = tmp_path / "in.txt"
    few.write_text("".join(many.read_text().splitlines(keepends=True)[:150]))
    for tokens in (64, 100_000):
        extract(folder, few, tmp_path / f"{tokens}.npz", "--layers=-1", "--batch-tokens", tokens)
    small, large = (np.load(tmp_path / f"{tokens}.npz") for tokens in (64, 100_000))
    assert small["tokens"].tolist() == large["tokens"].tolist()
    np.testing.assert_allclose(small["vectors"], large["vectors"], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.npz", "x.parquet"])
def test_killed_and_resumed_gives_the_same_file(folder, many, tmp_path, name):
    options = ("--model", folder, "--input-file", many, "--layers=-1,-2", "--output-file")
    whole, target = tmp_path / f"whole-{name}", tmp_path / name
    assert run_program("extract_features", *options, whole).code == 0
    process = subprocess.Popen(program("extract_features", *options, target))
    journal = tmp_path / f"{name}.part.json"
    while not journal.exists():
        assert process.poll() is None, "the run ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not target.exists()
    assert run_program("extract_features", *options, target, "--resume").code == 0
    assert target.read_bytes() == whole.read_bytes()
    assert not journal.exists()


@pytest.mark.slow
def test_a_reader_that_leaves_ends_it_quietly(folder, many):
    command = program(
        "extract_features", "--model", folder, "--input-file", many, "--output-file", "-",
        "--layers=-1",
    )  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 1
        assert process.stderr.read() == b""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_full_disk_keeps_what_is_done(folder, many, tmp_path):
    options = ("--model", folder, "--input-file", many, "--layers=-1", "--output-file")
    target = tmp_path / "x.jsonl"
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000,) * 2)"
    failed = run_program("extract_features", *options, target, before=limit)
    assert failed.code == 1
    assert (
        "File too large (nothing is under the final name; --resume goes on from here)" in failed.err
    )
    assert "Traceback" not in failed.err
    assert not target.exists()
    assert run_program("extract_features", *options, target, "--resume").code == 0
    assert len(target.read_text().splitlines()) == 2600


PEAK = "import atexit, resource, sys; atexit.register(lambda: sys.stderr.write(str({})))".format(
    "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss"
)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is in kB on Linux only")
def test_peak_memory_does_not_grow_with_the_input(tiny_bert, tmp_path):
    folder = tiny_bert(seed=7, hidden_size=64)
    peaks = {}
    for count in (2_000, 20_000):
        source = tmp_path / f"{count}.txt"
        words = "the cat sat on the mat and ran in the rain " * 2
        source.write_text("".join(f"{words[: n % 89]} {n}\n" for n in range(count)))
        done = run_program(
            "extract_features", "--model", folder, "--input-file", source,
            "--output-file", tmp_path / "x.jsonl", "--layers=-1,-2", before=PEAK,
        )  # fmt: skip
        assert done.code == 0, done.err
        peaks[count] = int(done.err)
        (tmp_path / "x.jsonl").unlink()
    assert peaks[20_000] < 1.15 * peaks[2_000], f"kB: {peaks}"


@pytest.mark.model
def test_values_of_the_default_model_are_those_of_transformers(default_model, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    lines = [*LINES[:3], "A rather longer sentence, so that the batch is padded: naïve café 中文."]
    (tmp_path / "in.txt").write_text("\n".join(lines), encoding="utf-8")
    assert extract("all-MiniLM-L6-v2", tmp_path / "in.txt", tmp_path / "x.jsonl").code == 0
    assert default_model == resolve("all-MiniLM-L6-v2")
    tokenizer = transformers.AutoTokenizer.from_pretrained(default_model)
    model = transformers.AutoModel.from_pretrained(default_model).eval()
    for line, text in zip((tmp_path / "x.jsonl").read_text().splitlines(), lines, strict=True):
        item = google_item(text)
        texts = item if isinstance(item, tuple) else (item,)
        inputs = tokenizer(*texts, return_tensors="pt")
        with torch.no_grad():
            states = model(**inputs, output_hidden_states=True).hidden_states
        features = json.loads(line)["features"]
        assert [f["token"] for f in features] == tokenizer.convert_ids_to_tokens(
            inputs.input_ids[0]
        )
        for at, layer in enumerate((-1, -2, -3, -4)):
            values = np.array([feature["layers"][at]["values"] for feature in features])
            assert {feature["layers"][at]["index"] for feature in features} == {layer}
            np.testing.assert_allclose(values, states[layer][0].numpy(), atol=2e-5)
