"""``Predictor`` on a model of answer spans: as transformers' logits say, long contexts, errors."""

import json

import numpy as np
import pytest

from bertfeat.errors import ConfigError, InputError, RowErrors
from bertfeat.tasks import Answerer, Predictor
from bertfeat.tasks.span_answers import answers_of
from bertfeat.tasks.span_windows import SpanOptions, passages
from bertfeat_tools.cli.group import bertfeat
from command_line import call

PAIRS = [
    ("is it the cat", "The cat sat on the mat. One dog ran in the sun. " * 4),
    ("who ran", "he and she"),
]


@pytest.fixture(scope="module")
def folder(tiny_bert):
    """A tiny model with a span head, whose questions may have no answer."""
    span = {"max_seq_len": 24, "doc_stride": 6, "has_null": True, "null_threshold": 1.0}
    return tiny_bert(heads=("span",), span=span)


def test_answers_are_those_of_transformers_logits(folder):
    transformers = pytest.importorskip("transformers")
    import torch

    reader = Predictor.load(folder)
    assert isinstance(reader, Answerer)
    assert (reader.options.max_seq_len, reader.options.max_query_len) == (24, 12)
    theirs = transformers.BertForQuestionAnswering.from_pretrained(folder).eval()
    for pair, found in zip(PAIRS, reader.predict(PAIRS), strict=True):
        passage = passages([pair], reader.encoder.tokenizer, reader.options)[0]
        logits = []
        for window in passage.windows:
            with torch.no_grad():
                out = theirs(
                    input_ids=torch.tensor([window.input_ids]),
                    token_type_ids=torch.tensor([window.token_type_ids]),
                )
            logits.append(np.stack([out.start_logits[0].numpy(), out.end_logits[0].numpy()], -1))
        expected = answers_of(passage, logits, reader.options)
        assert (found.label or "") == expected.best.text
        assert found.null_odds == pytest.approx(expected.null_odds, abs=1e-4)
        assert found.label is None or pair[1][found.start : found.end] == found.label
        assert sum(found.scores.values()) == pytest.approx(1)
    assert len(passages(PAIRS[:1], reader.encoder.tokenizer, reader.options)[0].windows) > 3


def test_lines_are_answered(folder):
    lines = "".join(json.dumps({"text": q, "pair": c}) + "\n" for q, c in PAIRS)
    done = call(bertfeat, "predict", folder, "--quiet", stdin=lines.encode())
    assert done.code == 0, done.err
    found = [json.loads(line) for line in done.out.splitlines()]
    expected = Predictor.load(folder).predict(PAIRS)
    assert [line["label"] for line in found] == [answer.label for answer in expected]
    assert call(bertfeat, "predict", folder, "--quiet", stdin=b"cat\n").code == 1


def test_wrong_items_are_listed_by_number(folder, tiny_bert):
    reader = Predictor.load(folder)
    with pytest.raises(RowErrors) as caught:
        reader.predict(["cat", PAIRS[1], ("a", "b", "c")])
    assert sorted(caught.value.errors) == [0, 2]
    with pytest.raises(RowErrors) as caught:
        reader.predict([*PAIRS, ("cat", 3)])
    assert sorted(caught.value.errors) == [2]
    with pytest.raises(InputError, match="texts is one string"):
        reader.predict("cat")
    assert reader.predict([]) == []
    narrow = tiny_bert(heads=("span",), span={"n_best": 0})
    with pytest.raises(ConfigError, match="n_best=0"):
        Predictor.load(narrow)
    assert SpanOptions().max_seq_len == 384
