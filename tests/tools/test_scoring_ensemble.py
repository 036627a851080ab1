"""What several systems' n-best files come to together."""

import json

import pytest

from bertfeat.errors import InputError
from bertfeat_tools.scoring.ensemble import ensemble


@pytest.fixture
def files(tmp_path):
    """Write objects of question to {text: probability} as n-best files."""

    def write(*contents):
        paths = [tmp_path / f"{number}.json" for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_text(json.dumps({
                name: [{"text": text, "probability": p} for text, p in texts.items()]
                for name, texts in content.items()
            }))  # fmt: skip
        return paths

    return write


def test_probabilities_are_added_up_and_no_answer_is_one_of_them(files):
    paths = files({"a": {"x": 0.6, "y": 0.4}, "b": {"": 0.5, "z": 0.5}},
                  {"b": {"z": 0.3, "": 0.7}, "a": {"y": 0.7, "x": 0.1}})  # fmt: skip
    assert ensemble(paths) == {"a": "y", "b": ""}


def test_equal_sums_go_to_the_earlier_and_nothing_is_no_answer(files):
    assert ensemble(files({"a": {"x": 0.5, "y": 0.5}, "b": {}})) == {"a": "x", "b": ""}


def test_files_of_other_questions_or_layouts_are_refused(files):
    paths = files({"a": {}, "b": {}}, {"a": {}, "c": {}})
    with pytest.raises(InputError, match="2 lacking") as caught:
        ensemble(paths)
    assert "0.json: c" in str(caught.value)
    assert "1.json: b" in str(caught.value)
    paths[0].write_text('{"a": "an answer", "b": [{"text": "x"}], "c": []}')
    with pytest.raises(InputError, match="2 otherwise"):
        ensemble(paths)
