"""Entity scores against conlleval's own output and against seqeval; comparisons of systems."""

import json
import random

import pytest

from bertfeat.errors import InputError
from bertfeat.ner.schemes import to_spans
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.scoring.chunks import conlleval, score_chunks, strict_spans
from bertfeat_tools.scoring.tagging import read_predictions, report
from command_line import call

LETTERS = {"IOB1": "IB", "IOB2": "IB", "IOE1": "IE", "IOE2": "IE", "IOBES": "IBES", "BILOU": "IBLU"}


def drawn(rng, letters):
    """A random sequence of tags, mostly illegal."""
    tags = ["O", *(f"{letter}-{kind}" for letter in letters for kind in "XY")]
    return [rng.choice(tags) for _ in range(rng.randint(1, 8))]


@pytest.mark.data
def test_the_perl_scripts_output_is_printed(data_dir):
    pair = read_predictions(data_dir / "scorers" / "conlleval_output.txt")
    assert conlleval(*pair) == (data_dir / "scorers" / "conlleval_result.txt").read_text()


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("scheme", LETTERS)
def test_both_modes_equal_seqeval(scheme, count):
    entities = pytest.importorskip("seqeval.scheme")
    from seqeval.metrics.sequence_labeling import get_entities

    rng = random.Random(0)
    for _ in range(count):
        tags = drawn(rng, LETTERS[scheme])
        found = entities.Entities([tags], getattr(entities, scheme)).entities[0]
        assert sorted((e.start, e.end, e.tag) for e in found) == sorted(strict_spans(tags, scheme))
        if scheme != "BILOU":
            lenient = sorted((start, end + 1, kind) for kind, start, end in get_entities(tags))
            assert lenient == to_spans(tags)


def test_f1_equals_seqevals():
    seqeval = pytest.importorskip("seqeval.metrics")
    rng = random.Random(1)
    gold = [drawn(rng, "IB") for _ in range(200)]
    tags = ["O", "B-X", "I-Y"]
    guess = [[t if rng.random() < 0.7 else rng.choice(tags) for t in g] for g in gold]
    assert score_chunks(gold, guess)[""].f1 == pytest.approx(seqeval.f1_score(gold, guess))
    assert report(gold, guess, "conlleval", "IOB2")["token_accuracy"] == pytest.approx(
        seqeval.accuracy_score(gold, guess)
    )


def test_iobes_is_not_scored_as_one_phrase(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("a B-X B-X\nb E-X I-X\nc B-X I-X\nd E-X E-X\n")
    assert "with 2 phrases; found: 1 phrases; correct: 0." in conlleval(*read_predictions(path))


def test_token_scores_have_names_of_their_own():
    gold, guess = [["B-X", "I-X", "O", "O"]], [["B-X", "O", "O", "B-Y"]]
    found = report(gold, guess, "conlleval", "IOB2")
    assert found["token_accuracy"] == 0.5
    assert found["token_precision_micro"] == found["token_recall_micro"] == 0.5
    assert found["token_f1_macro"] == pytest.approx(1 / 3)
    assert found["f1"] == 0


def test_strict_mode_refuses_a_letter_of_another_scheme():
    with pytest.raises(InputError, match="'S-X' is not of the scheme IOB2"):
        strict_spans(["S-X"], "IOB2")


def test_bad_lines_and_different_lengths_are_errors(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("a O O\nb\n\nc\n")
    with pytest.raises(InputError, match=r"line 2: one column\n  line 4: one column"):
        read_predictions(path)
    with pytest.raises(InputError, match="sentence 1 has 2 gold tags, but 1 predicted"):
        score_chunks([["O", "O"]], [["O"]])


def test_the_command_scores_one_file_several_and_a_pair(tmp_path):
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    files[0].write_text("a B-X B-X\nb O O\n\nc B-Y B-Y\n")
    files[1].write_text("a B-X B-X\nb O O\n\nc B-Y O\n")
    text = call(bertfeat, "evaluate", "tag", files[0]).out.decode()
    assert text.startswith("processed 3 tokens with 2 phrases; found: 2 phrases; correct: 2.\n")
    found = json.loads(call(bertfeat, "evaluate", "tag", *files, "--against", files[1]).out)
    assert found["f1"]["mean"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["against"]["difference"] == pytest.approx(1 / 3)
    strict = json.loads(call(bertfeat, "evaluate", "tag", files[0], "--mode", "strict").out)
    assert strict["types"]["X"]["f1"] == 1
