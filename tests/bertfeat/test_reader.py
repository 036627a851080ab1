"""Reading lines: ends, bad bytes, gzip, how far it is; and grouping them into chunks."""

import gzip
import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertfeat.errors import InputError
from bertfeat.features.bucketing import ChunkSize, chunks
from bertfeat.features.line_items import parse_line
from bertfeat.features.reader import Line, LineReader, open_lines


def reader_of(data: bytes) -> LineReader:
    return LineReader(io.BytesIO(data), "in.txt")


def test_only_a_newline_ends_a_line():
    text = "one\r\ntwo\u2028still two\x0cand\rhere\n\nlast"
    lines = list(reader_of(text.encode()))
    assert [line.text for line in lines] == ["one", "two\u2028still two\x0cand\rhere", "", "last"]
    assert [line.index for line in lines] == [0, 1, 2, 3]


def test_a_line_that_is_no_utf8_is_told_with_its_byte_and_the_rest_is_read():
    bad, good = reader_of(b"ab\xffc\nfine\n")
    assert bad == Line(0, "", "in.txt, line 1: byte 3 (0xff) is not UTF-8; save the file as UTF-8")
    assert good == Line(1, "fine")


def test_a_nul_is_a_character():
    assert next(iter(reader_of(b"a\0b\n"))).text == "a\0b"


def test_an_empty_file_has_no_lines():
    assert list(reader_of(b"")) == []


@given(st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]))))
def test_the_digest_is_that_of_the_bytes_so_far(texts):
    data = "".join(f"{text}\n" for text in texts).encode()
    reader = reader_of(data)
    assert [line.text for line in reader] == texts
    assert reader.digest == hashlib.sha256(data).hexdigest()
    skipping = reader_of(data)
    skipping.skip(len(texts) // 2)
    half = b"".join(data.splitlines(keepends=True)[:0])
    for text in texts[: len(texts) // 2]:
        half += f"{text}\n".encode()
    assert skipping.digest == hashlib.sha256(half).hexdigest()
    assert [line.text for line in skipping] == texts[len(texts) // 2 :]


def test_skipping_more_lines_than_there_are_stops_at_the_end():
    reader = reader_of(b"a\nb\n")
    reader.skip(5)
    assert reader.lines == 2


def test_gzip_is_unpacked_on_the_way(tmp_path):
    path = tmp_path / "in.txt.gz"
    path.write_bytes(gzip.compress(b"one\n") + gzip.compress("zwölf\n".encode()))
    with open_lines(str(path)) as reader:
        assert [line.text for line in reader] == ["one", "zwölf"]
        assert reader.position == path.stat().st_size


@pytest.mark.parametrize("damage", ["cut off", "a byte changed", "no gzip at all"])
def test_damaged_gzip_is_told_with_the_line(tmp_path, damage):
    path = tmp_path / "in.txt.gz"
    data = bytearray(gzip.compress(b"".join(b"line %d\n" % n for n in range(2000))))
    if damage == "a byte changed":
        data[len(data) // 2] ^= 255
    path.write_bytes(data[: len(data) // 2] if damage == "cut off" else data)
    if damage == "no gzip at all":
        path.write_bytes(b"plain text")
    with (
        open_lines(str(path)) as reader,
        pytest.raises(InputError, match=r"in\.txt\.gz, line \d+: the gzip data are damaged"),
    ):
        list(reader)


def test_the_position_of_a_plain_file_is_its_bytes(tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("äö\nx\n", encoding="utf-8")
    with open_lines(str(path)) as reader:
        next(iter(reader))
        assert reader.position == 5


@given(st.lists(st.text(max_size=40)), st.integers(1, 10), st.integers(1, 60))
def test_chunks_are_full_but_the_last_and_keep_the_order(texts, lines, tokens):
    size = ChunkSize(lines, tokens, 12)
    made = list(chunks((Line(i, text) for i, text in enumerate(texts)), size))
    assert [line.text for chunk in made for line in chunk] == texts
    for chunk in made:
        estimates = [min(12, len(line.text.encode()) // 3 + 2) for line in chunk]
        assert len(chunk) <= lines
        assert sum(estimates[:-1]) < tokens
        if chunk is not made[-1]:
            assert len(chunk) == lines or sum(estimates) >= tokens


def test_a_chunk_is_handed_out_before_the_next_line_is_read():
    taken = []

    def lines():
        for number in range(5):
            taken.append(number)
            yield Line(number, "x")

    next(chunks(lines(), ChunkSize(2, 1000)))
    assert taken == [0, 1]


@pytest.mark.parametrize(
    ("line", "item", "starts"),
    [
        ("plain", "plain", (0,)),
        ("  \tpadded \u3000", "padded", (3,)),
        ("a ||| b", ("a", "b"), (0, 6)),
        (" a b ||| c ||| d ", ("a b ||| c", "d"), (1, 15)),
        ("a|||b", "a|||b", (0,)),
        ("a ||| ", "a |||", (0,)),
        ("||| b", "||| b", (0,)),
        ("", "", (0,)),
    ],
)
def test_lines_are_divided_as_google_divides_them(line, item, starts):
    parsed = parse_line(line)
    assert (parsed.item, parsed.starts) == (item, starts)
