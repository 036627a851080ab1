"""brat's standoff: what is written is read again, and what is wrong is told."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertfeat.errors import InputError
from bertfeat.ner.files import read_sentences, read_tagged, write_sentences
from bertfeat.ner.sentences import Sentence, from_text
from bertfeat.ner.span_lines import entities_of

TYPES = st.sampled_from(["PER", "LOC", "work of art"])
CHARACTERS = st.characters(exclude_characters="\n", exclude_categories=("Cs",))


@st.composite
def tagged_texts(draw):
    """A text of any characters, with spans that may overlap."""
    text = draw(st.text(CHARACTERS, min_size=1, max_size=30))
    places = st.tuples(st.integers(0, len(text)), st.integers(0, len(text)), TYPES)
    spans = [(min(a, b), max(a, b), kind) for a, b, kind in draw(st.lists(places, max_size=4))]
    found = from_text(text, [span for span in spans if span[0] < span[1]])
    return found if not any("\t" in e["text"] for e in entities_of(found)) else from_text(text, [])


@settings(max_examples=200, deadline=None)
@given(st.lists(tagged_texts(), min_size=1, max_size=5))
def test_what_is_written_is_read_again(sentences):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.ann"
        write_sentences(sentences, path, "standoff")
        back = read_sentences(path)
        write_sentences(back, path, "standoff")
        again = read_sentences(path, "standoff")
    for found in (back, again):
        assert [s.text for s in found] == [s.text for s in sentences]
        assert [entities_of(s) for s in found] == [entities_of(s) for s in sentences]


def brat(folder, text, *lines):
    """Write a text and its entities; return the path of these."""
    (folder / "a.txt").write_bytes(text.encode())
    (folder / "a.ann").write_text("\n".join(lines) + "\n")
    return folder / "a.ann"


def test_a_file_of_brats_own_kind(tmp_path):
    path = brat(tmp_path, "Sony in Tokyo\r\n\nBerlin", "T1\tOrg 0 4\tSony", "R1\tAt T1 T2",
                "T2\tLoc 8 13\tTokyo", "#1\tNote T1\tfirst", "T7\tLoc 16 22\tBerlin")  # fmt: skip
    found = read_sentences(path)
    assert [s.spans for s in found] == [[(0, 1, "Org"), (2, 3, "Loc")], [], [(0, 1, "Loc")]]
    assert [s.document for s in found] == [0, 1, 1]
    assert [s.words for s in read_tagged(path)] == [("Sony", "in", "Tokyo"), ("Berlin",)]


def test_all_bad_lines_are_listed(tmp_path):
    lines = (
        "T1\tOrg 0 3;5 6\tSon n",
        "T2\tLoc 1 2\tx",
        "T3\tLoc 5 9",
        "T4\tLoc 90 99",
        "T5\tL 1 1",
    )
    with pytest.raises(InputError, match=r"4 line\(s\) cannot be read as standoff") as caught:
        read_sentences(brat(tmp_path, "Sony\nTokyo\n", *lines))
    for number, wrong in ((1, "no entity in one piece"), (2, "the text has 'o' at 1, not 'x'"),
                          (4, "90 99 lies in no line"), (5, "1 1 lies in no line")):  # fmt: skip
        assert f"line {number}: " in str(caught.value)
        assert wrong in str(caught.value)
    with pytest.raises(InputError, match=r"line 1: 3 7 lies in no line .* length is 11"):
        read_sentences(brat(tmp_path, "Sony\nTokyo\n", "T1\tLoc 3 7"))


def test_what_standoff_cannot_hold_is_refused(tmp_path):
    path = tmp_path / "a.ann"
    with pytest.raises(InputError, match="a sentence a line"):
        write_sentences([from_text("a\nb", [])], path, "standoff")
    with pytest.raises(InputError, match="holds no tab"):
        write_sentences([Sentence(("a\tb",), ("B-X",))], tmp_path / "b.ann", "standoff")
    (tmp_path / "a.txt").write_text("mine\n")
    with pytest.raises(InputError, match=r"a\.txt holds another text"):
        write_sentences([from_text("a b", [])], path, "standoff")
    with pytest.raises(InputError, match=r"is no \.ann file"):
        write_sentences([from_text("a b", [])], tmp_path / "a.out", "standoff")
    with pytest.raises(InputError, match=r"is no \.ann file"):
        read_sentences(tmp_path / "a.txt", "standoff")
    assert not path.exists()
    with pytest.raises(InputError, match="save the file as UTF-8"):
        read_sentences(bad(tmp_path))


def bad(folder):
    """Return a file of entities whose text is no UTF-8."""
    path = brat(folder, "", "")
    path.with_suffix(".txt").write_bytes(b"\xff")
    return path
