"""Files of tagged sentences: every way of columns, JSON lines, writers, and what is wrong."""

import gzip
import json

import pytest

from bertfeat.errors import InputError
from bertfeat.ner.files import WRITERS, read_sentences, read_tagged, write_sentences
from bertfeat.ner.sentences import Sentence, from_text, split_words
from source_tree import ROOT


@pytest.fixture
def file(tmp_path):
    """Write a text, return its path."""

    def write(text, name="data.txt"):
        path = tmp_path / name
        data = text.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def test_conll_2003_has_documents_and_its_last_column(file):
    text = "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n\nGood JJ O O\n\n"
    text += "-DOCSTART- -X- O O\n\nPeter NNP I-NP I-PER"
    found = read_tagged(file(text, "a.conll.gz"))
    assert [s.words for s in found] == [("EU", "rejects"), ("Good",), ("Peter",)]
    assert [s.tags for s in found] == [("I-ORG", "O"), ("O",), ("I-PER",)]
    assert found[0].document == found[1].document != found[2].document


def test_a_second_blank_line_ends_a_document(file):
    found = read_tagged(file("a\tO\n\nb\tO\n\n\nc\tB-X\n\t\nd\tO\n"))
    assert [s.document for s in found] == [0, 0, 1, 1]


def test_germeval_reads_outer_tags_and_passes_over_remarks(file):
    text = "#\thttp://x\t[2010]\t\n1\tin\tO\tO\n2\tWien\tB-LOC\tB-ORG\n\n"
    assert read_tagged(file(text))[0] == Sentence(("in", "Wien"), ("O", "B-LOC"))


def test_a_word_may_be_a_number_sign(file):
    assert read_tagged(file("#\tO\nX\tB-A\n\n# O\n"))[0].words == ("#", "X")


def test_chinese_positions_and_wikiann_languages_are_dropped(file):
    assert read_tagged(file("科0\tB-ORG\n技1\tI-ORG\n10\tO\n"))[0].words == ("科", "技", "1")
    assert read_tagged(file("en:Sioux\tB-ORG\nen::\tO\n"))[0].words == ("Sioux", ":")


def test_sentences_of_one_line(file):
    found = read_tagged(file("text_a\tlabel\n海 钓 。\tB-LOC I-LOC O\n"))
    assert found == [Sentence(("海", "钓", "。"), ("B-LOC", "I-LOC", "O"))]
    assert found[0].text == "海钓。"


def test_cluener_and_our_json_lines_agree(file):
    theirs = {"text": "叶老桂在浙商银行", "label": {"company": {"浙商银行": [[4, 7]]}}}
    ours = {"text": "叶老桂在浙商银行", "entities": [{"start": 4, "end": 8, "label": "company"}]}
    left, right = (read_tagged(file(json.dumps(x, ensure_ascii=False)))[0] for x in (theirs, ours))
    assert left == right
    assert left.tags == ("O",) * 4 + ("B-company",) + ("I-company",) * 3


def test_entities_cut_words_and_the_longest_of_overlapping_ones_stays():
    found = from_text("visit NewYork-based", [(6, 9, "A"), (6, 13, "B"), (9, 12, "C")])
    assert found.words == ("visit", "NewYork", "-", "based")
    assert found.spans == [(1, 2, "B")]
    assert from_text("preWar", [(3, 6, "A")]).words == ("pre", "War")


def test_words_of_a_text_are_words_marks_and_chinese_characters():
    text = "I’m at 北京3号, ok_1?"
    assert [text[a:b] for a, b in split_words(text)] == [
        "I", "’", "m", "at", "北", "京", "3", "号", ",", "ok", "_", "1", "?",
    ]  # fmt: skip


def test_plain_text_has_a_sentence_a_line_empty_ones_too(file):
    found = read_sentences(file("Peter sings.\n\nAnd so on.\n"))
    assert [s.text for s in found] == ["Peter sings.", "", "And so on."]
    assert found[0].tags is None
    with pytest.raises(InputError, match="2 have no tags, the first is number 1"):
        read_tagged(file("Peter sings.\n\nAnd so on.\n"))


def test_all_bad_lines_are_listed_with_their_numbers(file):
    text = "a\tO\nb\nc\tB-X\n\td\td\tO\ne\tX\n" + "f\tO\n" * 9
    with pytest.raises(InputError) as caught:
        read_tagged(file(text))
    assert "3 line(s) cannot be read as conll" in str(caught.value)
    for wrong in ("line 2: 1 column", "line 4: an empty word", "line 5: 'X' is no tag"):
        assert wrong in str(caught.value)
    lines = ['{"text": "ab", "entities": [{"start": 1, "end": 5, "label": "X"}]}', "[1", '{"a": 1}']
    with pytest.raises(InputError, match=r"(?s)line 1: 'X' at 1:5.*line 2: .*line 3: the key"):
        read_tagged(file("\n".join(lines)), "jsonl")


def test_what_is_written_is_read_again(file, tmp_path):
    sentences = [
        from_text("Peter Smith sings in Berlin.", [(0, 11, "PER"), (21, 27, "LOC")]),
        from_text("他在北京", [(2, 4, "LOC")], document=1),
    ]
    for format in ("conll", "jsonl"):
        write_sentences(sentences, tmp_path / format, format)
        back = read_tagged(tmp_path / format, format)
        assert [(s.words, s.tags) for s in back] == [(s.words, s.tags) for s in sentences]
    lines = list(WRITERS["standoff"](sentences))
    assert lines == ["T1\tPER 0 11\tPeter Smith", "T2\tLOC 21 27\tBerlin", "T3\tLOC 31 33\t北京"]
    assert json.loads(list(WRITERS["jsonl"](sentences))[1])["entities"] == [
        {"start": 2, "end": 4, "label": "LOC", "text": "北京"}
    ]


def test_the_examples_are_tagged_sentences_of_both_languages():
    folder = ROOT / "examples" / "ner"
    train, dev = (read_tagged(folder / f"{name}.jsonl") for name in ("train", "dev"))
    assert (len(train), len(dev)) == (300, 80)
    for part in (train, dev):
        assert {kind for s in part for _, _, kind in s.spans} == {"PER", "LOC", "ORG"}
        assert 0.2 < sum("。" in s.text for s in part) / len(part) < 0.6


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "sentences", "entities"),
    [
        ("ner/NER-de-dev.tsv.gz", 2200, None),
        ("ner/wikiann-en-dev.gz", 10000, 14146),
        ("ner/wnut17/wnut17train.conll.gz", 3394, 1975),
        ("ner/wnut17/emerging.dev.conll.gz", 1009, 836),
        ("ner/zh/cluener.train.json.gz", 10748, None),
        ("ner/zh/peoples_daily.dev.tsv.gz", 2318, 3819),
        ("ner/zh/resume.train.char.bmes.gz", 3821, None),
        ("ner/zh/weiboNER_2nd_conll.train.gz", 1350, None),
    ],
)
def test_real_files_are_read_whole(data_dir, name, sentences, entities):
    found = read_tagged(data_dir / name)
    assert len(found) == sentences
    assert entities is None or sum(len(s.spans) for s in found) == entities
    for sentence in found:
        assert tuple(sentence.text[a:b] for a, b in sentence.offsets) == sentence.words
