"""Changes an index for ever and says on stdout what was done, until it is killed.

Usage: python index_crash_writer.py FOLDER SEED.  A document's text names its vector's seed.
"""

import random
import sys

import numpy as np

from bertfeat.index import VectorIndex, searcher

DIM = 8


def vector_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=DIM).astype(np.float32)


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main(folder: str, seed: int) -> None:
    # Snapshots all the time, so that kills hit them too.
    searcher.DUE_ROWS, searcher.DUE_SHARE = 20, 0.0
    choose = random.Random(seed)
    with VectorIndex.open(folder) as index:
        index.lock()
        say("ready")
        while True:
            seeds = [choose.randrange(10**9) for _ in range(choose.randrange(1, 40))]
            vectors = np.stack([vector_of(number) for number in seeds])
            ids = index.add(vectors, texts=[str(number) for number in seeds]).tolist()
            say("added", *(f"{number}={text}" for number, text in zip(ids, seeds, strict=True)))
            if choose.random() < 0.4:
                gone = choose.sample(ids, choose.randrange(1, len(ids) + 1))
                say("deleting", *gone)
                index.delete(gone)
                say("deleted", *gone)
            if choose.random() < 0.4:
                index.search(vectors[:2], 3)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
