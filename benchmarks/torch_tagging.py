"""A BiLSTM-CRF of torch and ``pytorch-crf`` on frozen vectors of transformers: the peer of ours.

``ner_table.py`` runs it over the rows of the paper's table.  Each cell, a row and a seed, is a line
of ``--output``; cells that have theirs already are left out.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from seqeval.metrics import f1_score
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torchcrf import CRF
from transformers import AutoModel, AutoTokenizer

from bertfeat.ner.files import read_tagged
from bertfeat.ner.schemes import convert
from bertfeat.ner.sentences import Sentence
from bertfeat_tools.ner.repro import ROWS

Vectors = list[np.ndarray]


class Network(torch.nn.Module):
    """What ours is: layers side by side or mixed, two BiLSTM, dropout of whole components.

    Args:
        shape: layers and their width.
        tags: how many.
        mixed: whether layers are mixed by learned weights.
        units: of each direction.
        dropout: of the features, between layers and before the tags.
    """

    def __init__(
        self, shape: tuple[int, int], tags: int, mixed: bool, units: int = 128, dropout: float = 0.5
    ) -> None:
        super().__init__()
        layers, width = shape
        self.weights = torch.nn.Parameter(torch.zeros(layers)) if mixed else None
        self.scale = torch.nn.Parameter(torch.ones(()))
        sizes = (width if mixed else layers * width, 2 * units)
        self.rnns = torch.nn.ModuleList(
            torch.nn.LSTM(size, units, batch_first=True, bidirectional=True) for size in sizes
        )
        self.drop, self.scores = torch.nn.Dropout1d(dropout), torch.nn.Linear(2 * units, tags)
        self.crf = CRF(tags, batch_first=True)

    def forward(self, vectors: Any, mask: Any) -> Any:
        """Return the scores of tags (B, S, T) of vectors (B, S, L, H)."""
        if self.weights is None:
            hidden = vectors.flatten(2)
        else:
            hidden = torch.einsum("bslh,l->bsh", vectors, self.weights.softmax(0)) * self.scale
        for rnn in self.rnns:
            packed = pack_padded_sequence(
                self._dropped(hidden), mask.sum(1), batch_first=True, enforce_sorted=False
            )
            hidden = pad_packed_sequence(rnn(packed)[0], True, total_length=mask.shape[1])[0]
        return self.scores(self._dropped(hidden))

    def loss(self, batch: dict[str, Any]) -> Any:
        """Return the mean negative log-likelihood of a batch's tags."""
        scores = self(batch["vectors"], batch["mask"])
        return -self.crf(scores, batch["tags"], batch["mask"], reduction="mean")

    def _dropped(self, x: Any) -> Any:
        return self.drop(x.transpose(1, 2)).transpose(1, 2)


def word_vectors(sentences: Sequence[Sentence], folder: str, size: int = 32) -> Vectors:
    """Return float16 (words, all layers, hidden), the first piece of each word."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    order = sorted(range(len(sentences)), key=lambda n: len(sentences[n].words))
    found: dict[int, np.ndarray] = {}
    for first in range(0, len(order), size):
        numbers = order[first : first + size]
        read = tokenizer(
            [list(sentences[n].words) for n in numbers], is_split_into_words=True, padding=True,
            truncation=True, max_length=512, return_tensors="pt",
        )  # fmt: skip
        with torch.inference_mode():
            states = torch.stack(model(**read, output_hidden_states=True).hidden_states, 2)
        for place, number in enumerate(numbers):
            ids = read.word_ids(place)
            firsts = {word: token for token, word in reversed(list(enumerate(ids)))}
            rows = np.zeros((len(sentences[number].words), *states.shape[2:]), np.float16)
            for word in range(len(rows)):
                if word in firsts:
                    rows[word] = states[place, firsts[word]].numpy()
            found[number] = rows
    return [found[number] for number in range(len(sentences))]


def batch_of(vectors: Vectors, tags: list[list[int]], columns: list[int]) -> dict[str, Any]:
    """Fill sentences up to a batch."""
    rows = [torch.from_numpy(row[:, columns]).float() for row in vectors]
    numbers = [torch.tensor(row) for row in tags]
    return {
        "vectors": torch.nn.utils.rnn.pad_sequence(rows, True),
        "tags": torch.nn.utils.rnn.pad_sequence(numbers, True),
        "mask": torch.arange(max(map(len, rows))) < torch.tensor([[len(row)] for row in rows]),
    }


def batches(lengths: list[int], size: int) -> Iterator[list[int]]:
    """Yield the sentences of each batch of an epoch, in random order, of like length."""
    numbers = random.sample(range(len(lengths)), len(lengths))
    pools = [numbers[n : n + 50 * size] for n in range(0, len(numbers), 50 * size)]
    ordered = [sorted(pool, key=lambda n: lengths[n]) for pool in pools]
    found = [pool[n : n + size] for pool in ordered for n in range(0, len(pool), size)]
    yield from random.sample(found, len(found))


def train(
    vectors: Sequence[Vectors], tags: list[list[list[str]]], columns: list[int], mixed: bool,
    epochs: int, patience: int,
) -> dict[str, Any]:  # fmt: skip
    """Train a network as ours is trained by default.

    Args:
        vectors: of training and held-out sentences.
        tags: likewise.
        columns: layers.
        mixed: see :class:`Network`.
        epochs: at most.
        patience: epochs without a better F1.

    Returns:
        The best ``f1``, ``epochs`` and ``train_s``.
    """
    labels = sorted({tag for part in tags for row in part for tag in row})
    numbers = [[labels.index(tag) for tag in row] for row in tags[0]]
    network = Network((len(columns), vectors[0][0].shape[2]), len(labels), mixed)
    adam = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.0)
    steps = epochs * -(-len(numbers) // 32)
    falling = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 1 - step / steps)
    scores: list[float] = []
    took = 0.0
    while len(scores) < epochs and len(scores) - int(np.argmax([0.0, *scores])) < patience:
        started = time.perf_counter()
        network.train()
        for chosen in batches([len(row) for row in numbers], 32):
            batch = batch_of([vectors[0][n] for n in chosen], [numbers[n] for n in chosen], columns)
            adam.zero_grad()
            network.loss(batch).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            adam.step()
            falling.step()
        took += time.perf_counter() - started
        network.eval()
        scores.append(score(network, vectors[1], tags[1], labels, columns))
    return {"f1": max(scores), "epochs": len(scores), "train_s": round(took, 1)}


def score(
    network: Network, vectors: Vectors, tags: list[list[str]], labels: list[str], columns: list[int]
) -> float:
    """Return the entity F1 of held-out sentences."""
    found: list[list[str]] = []
    for first in range(0, len(vectors), 32):
        part = vectors[first : first + 32]
        batch = batch_of(part, [[0] * len(row) for row in part], columns)
        with torch.inference_mode():
            scores = network(batch["vectors"], batch["mask"])
        found += [[labels[n] for n in row] for row in network.crf.decode(scores, batch["mask"])]
    return float(f1_score(tags, found))


def main() -> None:
    """Read the command line; train the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("dev", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--patience", type=int, default=5)
    options = parser.parse_args()
    kept = options.output.read_text("utf-8").splitlines() if options.output.exists() else []
    done = {(cell["row"], cell["seed"]) for cell in map(json.loads, kept)}
    parts = [[s for s in read_tagged(path) if s.words] for path in (options.train, options.dev)]
    tags = [[list(convert(s.tags or (), "IOB2")) for s in part] for part in parts]
    vectors = [word_vectors(part, options.model) for part in parts]
    layers = vectors[0][0].shape[1] - 1
    cells = [(number, seed) for seed in range(options.seeds) for number in range(len(ROWS))]
    for number, seed in cells:
        if (number, seed) in done:
            continue
        torch.manual_seed(seed)
        random.seed(seed)
        columns, mixed = ROWS[number].layers(layers), ROWS[number].combine == "weighted"
        found = train(vectors, tags, columns, mixed, options.epochs, options.patience)
        with options.output.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"row": number, "seed": seed, **found}) + "\n")


if __name__ == "__main__":
    main()
