"""Train sentence vectors with sentence-transformers' losses: the peer of ``fine_tuning.py``.

A plain loop over ``SentenceTransformer`` with mean pooling ([CLS] for SimCSE, as its paper has it):
rows in random order, AdamW without decay of biases and normalizations, clipping at 1, linear
warm-up over a tenth of the steps and linear decay.  After each epoch the held-out pairs get their
cosines; ``--output`` gets all of that.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer, losses, models

from torch_fine_tuning import optimizer_of
from torch_jobs import Rows, objects

LOSSES: dict[str, Callable[[Any], Any]] = {
    "simcse": losses.MultipleNegativesRankingLoss,
    "ranking": losses.MultipleNegativesRankingLoss,
    "cosent": losses.CoSENTLoss,
}


def texts_of(row: dict[str, Any]) -> tuple[str, str]:
    """Return the pair of a row; a text alone is its own partner, under another dropout."""
    return row["text"], row.get("second", row["text"])


def cosines(model: Any, rows: Rows) -> list[float]:
    """Return how alike the texts of each pair are."""
    pairs = [texts_of(row) for row in rows]
    left, right = (
        model.encode(list(side), convert_to_tensor=True) for side in zip(*pairs, strict=True)
    )
    return list(torch.nn.functional.cosine_similarity(left, right).tolist())


def fit(model: Any, rows: Rows, options: argparse.Namespace, each: Callable[[], None]) -> float:
    """Train; return the seconds of it, `each`, which is called after an epoch, left out."""
    loss = LOSSES[options.kind](model)
    per_epoch = -(-len(rows) // options.batch_size)
    adam, schedule = optimizer_of(model, options.epochs * per_epoch, options.learning_rate)
    took = 0.0
    for _ in range(options.epochs):
        model.train()
        started = time.perf_counter()
        for numbers in torch.randperm(len(rows)).split(options.batch_size):
            own = [rows[n] for n in numbers.tolist()]
            sides = zip(*(texts_of(row) for row in own), strict=True)
            labels = torch.tensor([float(row.get("label", 0)) / 5 for row in own])
            loss([model.preprocess(list(side)) for side in sides], labels).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adam.step()
            schedule.step()
            adam.zero_grad()
        took += time.perf_counter() - started
        model.eval()
        each()
    return took


def main() -> None:
    """Read the command line, train, write the cosines of each epoch."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=LOSSES)
    parser.add_argument("train", type=Path)
    parser.add_argument("dev", type=Path)
    parser.add_argument("--model", required=True, help="a folder of transformers'")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--max-seq-len", type=int, default=128)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    words = models.Transformer(options.model, max_seq_length=options.max_seq_len)
    mode = "cls" if options.kind == "simcse" else "mean"
    pooling = models.Pooling(words.get_embedding_dimension(), mode)
    model = SentenceTransformer(modules=[words, pooling], device="cpu")
    train, dev = objects(options.train), objects(options.dev)
    found = [cosines(model, dev)]
    took = fit(model, train, options, lambda: found.append(cosines(model, dev)))
    result = {"train_s": round(took, 2), "before": found[0], "predictions": found[1:]}
    options.output.write_text(json.dumps(result), "utf-8")


if __name__ == "__main__":
    main()
