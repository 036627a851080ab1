"""Nothing that was acknowledged is lost when the writer is killed at any moment."""

import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from bertfeat.index import VectorIndex

WRITER = Path(__file__).with_name("index_crash_writer.py")
DIM = 8
SAMPLE = 200


@dataclass
class Acknowledged:
    """What the writer said it had done, over all its lives."""

    alive: dict[int, str] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    doubtful: set[int] = field(default_factory=set)

    def take(self, line: str) -> None:
        word, *rest = line.split()
        if word == "added":
            self.alive |= {int(n): text for n, text in (pair.split("=") for pair in rest)}
        elif word == "deleting":
            self.doubtful |= set(map(int, rest))
        elif word == "deleted":
            gone = set(map(int, rest))
            self.deleted |= gone
            self.doubtful -= gone
            self.alive = {n: text for n, text in self.alive.items() if n not in gone}


def live_and_die(folder: Path, seed: int, lines: int, said: Acknowledged) -> None:
    """Run the writer until it has said so many lines, kill it, and take in all it said."""
    process = subprocess.Popen(
        [sys.executable, str(WRITER), str(folder), str(seed)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    for _ in range(lines):
        said.take(process.stdout.readline())
    process.kill()
    rest = process.stdout.read()
    process.wait()
    process.stdout.close()
    for line in rest.splitlines(keepends=True):
        if line.endswith("\n"):
            said.take(line)


def vector_of(text: str) -> np.ndarray:
    return np.random.default_rng(int(text)).normal(size=DIM).astype(np.float32)


def check(folder: Path, said: Acknowledged) -> None:
    """Every acknowledged document is there as it was given; nothing there is half a document."""
    with VectorIndex.open(folder) as index:
        assert index.verify().problems == []
        there = index.get(range(index.info()["next_id"]))
        assert len(there) == index.ntotal
        lost = said.alive.keys() - said.doubtful - there.keys()
        assert lost == set()
        assert said.deleted & there.keys() == set()
        assert all(there[n].text == text for n, text in said.alive.items() if n in there)
        ids = random.Random(len(there)).sample(sorted(there), min(SAMPLE, len(there)))
        queries = np.stack([vector_of(there[n].text) for n in ids])
        found = index.search(queries, 1)
        assert found.ids[:, 0].tolist() == ids
        np.testing.assert_allclose(found.scores[:, 0], 1, atol=1e-6)


def rounds(folder: Path, count: int) -> None:
    VectorIndex.create(folder, dim=DIM).close()
    said, choose = Acknowledged(), random.Random(count)
    for seed in range(count):
        live_and_die(folder, seed, choose.randrange(0, 60), said)
        check(folder, said)
    assert len(said.alive) > 10 * count


def test_killed_writers_lose_nothing(tmp_path):
    rounds(tmp_path / "index", 4)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_many_killed_writers_lose_nothing(tmp_path):
    rounds(tmp_path / "index", 60)


def test_a_killed_creation_leaves_no_half_index(tmp_path):
    code = (
        "import os, sys; from bertfeat.index import VectorIndex, folder\n"
        "folder.write_description = lambda *_: os.kill(os.getpid(), 9)\n"
        "VectorIndex.create(sys.argv[1], dim=2)"
    )
    folder = tmp_path / "index"
    assert subprocess.run([sys.executable, "-c", code, str(folder)], check=False).returncode == -9
    assert not folder.exists()
    with VectorIndex.create(folder, dim=2) as index:
        assert index.ntotal == 0
