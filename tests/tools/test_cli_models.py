"""``bertfeat models convert``, ``show`` and ``verify``: output, messages and exit codes."""

import hashlib
import json
import sys
import warnings

import numpy as np
import pytest

from bertfeat.checkpoints import read
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.cli.run import run
from bertfeat_tools.parity import Figure, count_changed
from bertfeat_tools.parity_table import as_table

PRETRAINED = ("pooler", "masked_lm", "next_sentence")
LINES = "the cat\nThe Dog\n\nhello world\nHELLO\n"


@pytest.fixture
def models(monkeypatch, capsys):
    """Run ``bertfeat models`` with arguments: exit code, stdout, stderr."""
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["bertfeat", "models", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run(bertfeat, "bertfeat")
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return call


@pytest.fixture
def sentence_folder(tiny_bert):
    folder = tiny_bert()
    entries = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(entries)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(
        '{"word_embedding_dimension": 16, "pooling_mode_cls_token": true}'
    )
    prompts = {"prompts": {"query": "query: "}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: mit\n---\n# A model\n")
    return folder


def test_convert_writes_the_folder_and_prints_it(models, tiny_bert, tmp_path):
    folder = tiny_bert(heads=PRETRAINED)
    target = tmp_path / "google"
    assert models("convert", folder, target, "--to", "google") == (0, f"{target}\n", "")
    before, after = read(folder), read(target)
    assert after.format == "google"
    assert {n: t.tobytes() for n, t in after.tensors.items()} == {
        n: t.tobytes() for n, t in before.tensors.items()
    }


def test_convert_lists_what_would_be_lost_and_exits_1(models, sentence_folder, tmp_path):
    target = tmp_path / "google"
    code, out, err = models("convert", sentence_folder, target, "--to", "google")
    assert (code, out) == (1, "")
    assert err == (
        f"bertfeat: the google format cannot hold everything of {sentence_folder}:\n"
        "  pooling cls\n  Normalize\n  prompts query\n  default prompt query\n"
        "Nothing was written; --drop (drop=True) leaves these out\n"
    )
    assert not target.exists()


def test_convert_with_drop_says_what_it_left_out(models, sentence_folder, tmp_path):
    target = tmp_path / "google"
    code, out, err = models("convert", sentence_folder, target, "--to", "google", "--drop")
    assert (code, out) == (0, f"{target}\n")
    assert err.splitlines() == [
        "left out: pooling cls",
        "left out: Normalize",
        "left out: prompts query",
        "left out: default prompt query",
    ]


def test_convert_of_tensors_that_do_not_fit_is_a_table_and_exits_1(models, tiny_bert, tmp_path):
    folder = tiny_bert()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    code, out, err = models("convert", folder, tmp_path / "x", "--to", "google")
    assert (code, out) == (1, "")
    assert err.startswith(f"bertfeat: {folder / 'model.safetensors'}: 16 tensor(s) do not fit")
    assert err.count("missing") == 16
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "arguments",
    [("x", "y"), ("x", "y", "--to", "onnx"), ("x", "--to", "google"), ("--to", "google")],
)
def test_convert_without_its_arguments_is_wrong_usage(models, arguments):
    code, out, err = models("convert", *arguments)
    assert (code, out) == (2, "")
    assert "Usage:" in err


def test_convert_of_a_model_that_is_nowhere_exits_1(models, tmp_path):
    code, _, err = models("convert", "no/such", tmp_path / "x", "--to", "google", "--offline")
    assert code == 1
    assert "no/such" in err


def test_show_tells_what_the_folder_holds(models, sentence_folder):
    code, out, err = models("show", sentence_folder, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    data = (sentence_folder / "model.safetensors").read_bytes()
    tensors = read(sentence_folder).tensors
    assert found["sha256"] == hashlib.sha256(data).hexdigest()
    assert found["bytes"] == len(data)
    assert found["parameters"] == sum(np.size(tensor) for tensor in tensors.values())
    assert found["format"] == "sentence-transformers"
    assert (found["layers"], found["hidden_size"], found["attention_heads"]) == (2, 16, 2)
    assert (found["dim"], found["max_seq_length"]) == (16, 64)
    assert (found["pooling"], found["normalize"]) == ("cls", True)
    assert (found["prompts"], found["default_prompt"]) == ({"query": "query: "}, "query")
    assert (found["heads"], found["number_format"]) == (["pooler"], "float32")
    assert (found["licence"], found["revision"]) == ("mit", None)


def test_show_as_text_has_a_line_for_each_known_fact(models, sentence_folder):
    code, out, _ = models("show", sentence_folder)
    lines = dict(line.split("  ", 1) for line in out.splitlines())
    assert code == 0
    assert lines["licence"].strip() == "mit"
    assert lines["normalize"].strip() == "yes"
    assert lines["prompts"].strip() == "query='query: '"
    assert "revision" not in lines


def test_show_finds_the_revision_in_the_hubs_cache(models, tiny_bert, tmp_path):
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "models--a--b" / "snapshots" / commit
    snapshot.parent.mkdir(parents=True)
    tiny_bert().rename(snapshot)
    assert json.loads(models("show", snapshot, "--json")[1])["revision"] == commit


@pytest.mark.parametrize(
    ("heads", "outputs"),
    [
        (("pooler",), {"pooled"}),
        (PRETRAINED, {"masked lm probabilities", "next sentence probabilities"}),
        pytest.param(
            ("pooler", "classifier"), {"classifier probabilities"}, marks=pytest.mark.slow
        ),
        pytest.param(("span",), {"span probabilities"}, marks=pytest.mark.slow),
    ],
)
def test_verify_compares_every_output_with_transformers(models, tiny_bert, heads, outputs):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    code, out, _ = models("verify", tiny_bert(heads=heads), "--json")
    figures = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert all(figure["passed"] for figure in figures)
    seen = {figure["what"] for figure in figures if figure["scene"]}
    layers = {f"hidden state {i}" for i in range(3)} | {f"attentions {i}" for i in range(2)}
    assert seen == layers | outputs
    assert {figure["scene"] for figure in figures} == {"9 texts", "3 pairs", "64 tokens", ""}
    assert sum(figure["what"].startswith("tensors changed") for figure in figures) == 2
    assert 0 < max(figure["error"] for figure in figures) < 2e-5


def test_verify_compares_sentence_vectors_and_every_line_of_a_file(
    models, sentence_folder, tmp_path
):
    pytest.importorskip("sentence_transformers")
    (tmp_path / "lines.txt").write_text(LINES)
    arguments = ("--texts", tmp_path / "lines.txt", "--json")
    code, out, _ = models("verify", sentence_folder, *arguments)
    figures = {row["what"]: row["error"] for row in map(json.loads, out.splitlines())}
    assert code == 0
    assert 0 < figures["sentence vectors"] <= 1e-5
    assert figures["lines of lines.txt with other token ids, of 5"] == 0


def test_verify_reads_a_google_folder_and_compares_it_with_its_original(
    models, tiny_bert, tmp_path
):
    pytest.importorskip("transformers")
    folder = tiny_bert(heads=PRETRAINED)
    models("convert", folder, tmp_path / "google", "--to", "google")
    for arguments in ((), ("--against", folder)):
        code, out, _ = models("verify", tmp_path / "google", *arguments)
        assert code == 0
        assert out.endswith("all within their limits\n")
        assert "hidden state 2" in out
        assert "FAIL" not in out


def test_verify_against_another_model_fails_in_weights_and_in_tokens(models, tiny_bert, tmp_path):
    """The other one is cased, so exactly the lines with capitals come out otherwise."""
    pytest.importorskip("transformers")
    (tmp_path / "lines.txt").write_text(LINES)
    other = tiny_bert(seed=2, lowercase=False)
    arguments = ("--against", other, "--texts", tmp_path / "lines.txt")
    code, out, _ = models("verify", tiny_bert(seed=1), *arguments)
    assert code == 1
    rows = {line[:14]: line.split() for line in out.splitlines()}
    assert rows["hidden state 2"][-1] == "FAIL"
    assert rows["lines of lines"][-3:] == ["2", "0", "FAIL"]
    assert "over their limits" in out


def test_verify_without_transformers_names_the_extra(models, tiny_bert, monkeypatch):
    from importlib.util import find_spec

    monkeypatch.setattr(
        "bertfeat.extras.find_spec", lambda name: None if name == "torch" else find_spec(name)
    )
    code, out, err = models("verify", tiny_bert())
    assert (code, out) == (1, "")
    assert 'pip install "bertfeat[dev]"' in err
    assert len(err.splitlines()) == 1


def test_a_changed_bit_a_lost_tensor_and_a_new_one_are_counted(tiny_bert):
    from dataclasses import replace

    before = read(tiny_bert())
    tensors = dict(before.tensors)
    del tensors["pooler/bias"]
    tensors["span/bias"] = np.zeros(2, np.float32)
    changed = tensors["layers/1/output/bias"].copy()
    changed.view(np.uint8)[0] ^= 1
    tensors["layers/1/output/bias"] = changed
    assert count_changed(before, replace(before, tensors=tensors)) == 3
    assert count_changed(before, before) == 0


def test_a_figure_that_is_no_number_fails_and_the_table_shows_it():
    figures = [
        Figure("a", "x", 1e-6, 2e-5),
        Figure("a", "y", float("nan"), 2e-5),
        Figure("b", "x", float("inf"), 2e-5),
        Figure("c", "", 3, 0),
        Figure("d", "", 0, 0),
    ]
    lines = [line.split() for line in as_table(figures).splitlines() if line]
    assert lines == [
        ["largest", "difference", "x", "y", "limit"],
        ["a", "1.0e-06", "nan", "2.0e-05", "FAIL"],
        ["b", "inf", "2.0e-05", "FAIL"],
        ["c", "3", "0", "FAIL"],
        ["d", "0", "0", "pass"],
        ["3", "over", "their", "limits"],
    ]


@pytest.mark.slow
@pytest.mark.model
def test_verify_passes_on_the_default_model(models, default_model):
    pytest.importorskip("transformers")
    code, out, _ = models("verify", default_model)
    assert code == 0
    assert "512 tokens" in out
    assert out.endswith("all within their limits\n")


def test_list_and_fetch_belong_to_the_group(models):
    code, out, _ = models("--help")
    assert code == 0
    assert [line.split()[0] for line in out.split("Commands:")[1].splitlines() if line] == [
        "convert", "fetch", "list", "show", "verify", "whiten",
    ]  # fmt: skip
