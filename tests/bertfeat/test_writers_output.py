"""Files that appear whole or not at all, and runs that are taken up again."""

import errno
import gzip
import io
import json
import random
from pathlib import Path

import numpy as np
import pytest

from bertfeat.errors import InputError
from bertfeat.features.bucketing import ChunkSize
from bertfeat.features.reader import LineReader
from bertfeat.features.streaming import stream
from bertfeat.features.writers.google_jsonl import GoogleJsonl
from bertfeat.features.writers.journal import TOLD, Report
from bertfeat.features.writers.json_arrays import JsonArrays
from bertfeat.features.writers.npy import Npy
from bertfeat.features.writers.npz import Npz
from bertfeat.features.writers.output import FileOutput, PipeOutput
from bertfeat.features.writers.rows import TokenRow, VectorRow
from bertfeat.features.writers.token_parquet import TokenParquet
from bertfeat.features.writers.vector_parquet import VectorParquet

TEXT = "".join(f"line number {'x' * (n % 7)} {n}\n" for n in range(100)).encode()
SIZE = ChunkSize(lines=8, tokens=10_000)
JOB = {"layers": [-1], "model": "abc"}
FORMATS = {
    "x.jsonl": lambda: GoogleJsonl([-1, -2]),
    "x.jsonl.gz": lambda: GoogleJsonl([-1, -2]),
    "x.npz": lambda: Npz([-1, -2], 4),
    "x.parquet": lambda: TokenParquet([-1, -2], 4),
    "v.jsonl": JsonArrays,
    "v.npy": lambda: Npy((4,), np.dtype("f4")),
    "v.parquet": lambda: VectorParquet((4,), np.dtype("f4")),
}


class Killed(BaseException):
    """Ends a run as a signal does."""


def reader_of(data: bytes = TEXT) -> LineReader:
    return LineReader(io.BytesIO(data), "in.txt")


def rows_of(name: str, die_at: int = -1):
    """A computation whose rows follow from the line's number; some lines fail."""

    def compute(lines, reader):
        for line in lines:
            if line.index == die_at:
                raise Killed
            rng = np.random.default_rng(line.index)
            error = f"line {line.index + 1}: bad" if line.index % 30 == 7 else None
            tokens = 0 if error else line.index % 5
            if name.startswith("v"):
                vector = np.zeros(4, np.float32) if error else rng.random(4, np.float32)
                yield VectorRow(line.index, vector, line.index % 9 == 4, error)
            else:
                vectors = rng.random((2, tokens, 4), np.float32)
                words, spans = ["token"] * tokens, [(0, 5)] * tokens
                yield TokenRow(line.index, words, spans, vectors, line.index % 9 == 4, error)

    return compute


def run(target: Path, *, die_at=-1, resume=False, job=JOB, data=TEXT) -> Report:
    form = FORMATS[target.name]()
    output = FileOutput(target, form, job, resume=resume)
    return stream(reader_of(data), rows_of(target.name, die_at), output, SIZE)


def killed(target: Path, at: int, **options) -> None:
    with pytest.raises(Killed):
        run(target, die_at=at, **options)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("at", [0, 3, 8, 50, 99])
def test_a_run_killed_anywhere_and_resumed_gives_the_same_bytes_and_report(tmp_path, name, at):
    (tmp_path / "whole").mkdir()
    whole = run(tmp_path / "whole" / name)
    target = tmp_path / name
    killed(target, at)
    assert not target.exists()
    for part in tmp_path.glob("*.part*"):
        if part.suffix != ".json":  # what was written after the last journal is torn
            with part.open("ab") as file:
                file.write(random.Random(at).randbytes(37))
    again = run(target, resume=True)
    assert target.read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert again == whole
    assert names(tmp_path) == sorted([name, "whole"])


def test_a_run_may_be_killed_more_than_once(tmp_path):
    target = tmp_path / "x.jsonl.gz"
    for at in (20, 21, 60, 97):
        killed(target, at, resume=True)
    run(target, resume=True)
    lines = gzip.decompress(target.read_bytes()).splitlines()
    assert [json.loads(line)["linex_index"] for line in lines] == list(range(100))


def test_lines_that_were_done_are_not_computed_again(tmp_path):
    target = tmp_path / "v.jsonl"
    killed(target, 50)
    seen = []

    def compute(lines, reader):
        seen.extend(line.index for line in lines)
        return rows_of("v.jsonl")(lines, reader)

    stream(reader_of(), compute, FileOutput(target, JsonArrays(), JOB, resume=True), SIZE)
    assert seen == list(range(48, 100))


def test_a_run_killed_while_it_finishes_is_finished_by_resume(tmp_path, monkeypatch):
    target = tmp_path / "x.npz"
    with monkeypatch.context() as patch:
        patch.setattr(Npz, "finish", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            run(target)
    assert not target.exists()
    run(target, resume=True)
    assert np.load(target)["lengths"].sum() == sum(n % 5 for n in range(100) if n % 30 != 7)


def test_an_older_result_stays_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / "v.jsonl"
    target.write_text("older")
    killed(target, 50)
    assert target.read_text() == "older"
    run(target)
    assert len(target.read_text().splitlines()) == 100


def test_without_resume_everything_begins_anew(tmp_path):
    target = tmp_path / "v.npy"
    killed(target, 50)
    assert run(target, job={"layers": [-2]}).lines == 100
    assert len(np.load(target)) == 100


def test_resume_where_nothing_was_begun_begins(tmp_path):
    assert run(tmp_path / "v.npy", resume=True).lines == 100


def test_resume_where_all_is_done_is_told(tmp_path):
    run(tmp_path / "v.npy")
    with pytest.raises(InputError, match="no unfinished part of it does: nothing to resume"):
        run(tmp_path / "v.npy", resume=True)


def test_other_options_are_refused_and_named(tmp_path):
    killed(tmp_path / "v.npy", 50)
    changed = {"layers": [-2], "model": "abc", "stride": 3}
    message = r"layers was \[-1\], now \[-2\]; stride was None, now 3\)"
    with pytest.raises(InputError, match=message):
        run(tmp_path / "v.npy", resume=True, job=changed)
    run(tmp_path / "v.npy", resume=True)


def test_a_changed_input_is_refused(tmp_path):
    killed(tmp_path / "v.npy", 50)
    for data in (TEXT.replace(b"number", b"Number", 1), TEXT[:100], b""):
        with pytest.raises(InputError, match=r"in\.txt: the first 48 lines are not those"):
            run(tmp_path / "v.npy", resume=True, data=data)


def test_an_input_that_has_grown_behind_what_was_read_is_welcome(tmp_path):
    killed(tmp_path / "v.jsonl", 50)
    assert run(tmp_path / "v.jsonl", resume=True, data=TEXT + b"one more\n").lines == 101


@pytest.mark.parametrize("damage", ["missing", "shorter"])
def test_a_part_that_lacks_what_the_journal_says_is_refused(tmp_path, damage):
    target = tmp_path / "v.npy"
    killed(target, 50)
    part = tmp_path / "v.npy.part"
    part.unlink() if damage == "missing" else part.write_bytes(part.read_bytes()[:200])
    with pytest.raises(InputError, match=r"v\.npy\.part is missing or shorter than .*json says"):
        run(target, resume=True)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"job": 1, "x": 2}'])
def test_a_damaged_journal_is_refused(tmp_path, content):
    killed(tmp_path / "v.npy", 50)
    (tmp_path / "v.npy.part.json").write_text(content)
    with pytest.raises(InputError, match=r"part\.json: not a journal of this program"):
        run(tmp_path / "v.npy", resume=True)


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.npz", "v.npy"])
def test_a_full_disk_is_told_and_leaves_nothing_under_the_final_name(tmp_path, name):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    suffix = ".vectors" if name == "x.npz" else ""
    (tmp_path / f"{name}.part{suffix}").symlink_to(full)
    with pytest.raises(OSError, match="nothing is under the final name") as caught:
        run(tmp_path / name)
    assert caught.value.errno == errno.ENOSPC
    assert not (tmp_path / name).exists()


def test_a_link_is_followed_not_replaced(tmp_path):
    (tmp_path / "far").mkdir()
    link = tmp_path / "v.jsonl"
    link.symlink_to(tmp_path / "far" / "v.jsonl")
    run(link)
    assert link.is_symlink()
    assert names(tmp_path / "far") == ["v.jsonl"]


@pytest.mark.parametrize("name", FORMATS)
def test_no_lines_make_a_valid_empty_file(tmp_path, name):
    assert run(tmp_path / name, data=b"").lines == 0
    data = (tmp_path / name).read_bytes()
    if name.endswith(".jsonl.gz"):
        assert data
        assert gzip.decompress(data) == b""
    elif name.endswith(".jsonl"):
        assert data == b""
    elif name.endswith(".npy"):
        assert np.load(tmp_path / name).shape == (0, 4)


def test_a_compressed_file_is_the_plain_one_packed_and_the_same_each_time(tmp_path):
    for name in ("x.jsonl", "x.jsonl.gz"):
        run(tmp_path / name)
    packed = (tmp_path / "x.jsonl.gz").read_bytes()
    assert gzip.decompress(packed) == (tmp_path / "x.jsonl").read_bytes()
    run(tmp_path / "x.jsonl.gz")
    assert (tmp_path / "x.jsonl.gz").read_bytes() == packed


def test_a_pipe_gets_each_chunk_as_soon_as_it_is_done():
    class Pipe(io.BytesIO):
        flushed: list[int] = []

        def flush(self):
            self.flushed.append(self.getvalue().count(b"\n"))

    pipe = Pipe()
    stream(reader_of(), rows_of("v"), PipeOutput(pipe, JsonArrays()), SIZE)
    assert pipe.flushed[:3] == [8, 16, 24]
    assert pipe.getvalue().count(b"\n") == 100


def test_the_report_counts_and_keeps_the_first_reasons():
    report = Report()
    for index in range(50):
        report.note(VectorRow(index, np.zeros(1), index > 3, f"line {index}"))
    assert (report.lines, report.failed, report.truncated) == (50, 50, 46)
    assert report.first_truncated == 4
    assert report.reasons == [f"line {index}" for index in range(TOLD)]
