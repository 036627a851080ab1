"""Train sentence vectors with sentence-transformers' losses: the peer of ``fine_tuning.py``.

A plain loop over ``SentenceTransformer`` with mean pooling ([CLS] for SimCSE, as its paper has it):
rows in random order, AdamW without decay of biases and normalizations, clipping at 1, linear
warm-up over a tenth of the steps and linear decay.  After each epoch the held-out pairs get their
cosines; ``--output`` gets all of that.
"""

import json
from collections.abc import Callable
from typing import Any

import torch
from sentence_transformers import SentenceTransformer, losses, models

from torch_jobs import Rows, objects
from torch_training import fit, told

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


def main() -> None:
    """Read the command line, train, write the cosines of each epoch."""
    options = told(__doc__, LOSSES)
    words = models.Transformer(options.model, max_seq_length=options.max_seq_len)
    mode = "cls" if options.kind == "simcse" else "mean"
    pooling = models.Pooling(words.get_embedding_dimension(), mode)
    model = SentenceTransformer(modules=[words, pooling], device="cpu")
    train, dev = objects(options.train), objects(options.dev)
    compare = LOSSES[options.kind](model)

    def loss(rows: Rows) -> Any:
        sides = zip(*(texts_of(row) for row in rows), strict=True)
        labels = torch.tensor([float(row.get("label", 0)) / 5 for row in rows])
        return compare([model.preprocess(list(side)) for side in sides], labels)

    found = [cosines(model, dev)]
    took = fit(model, train, loss, options, lambda: found.append(cosines(model, dev)))
    result = {"train_s": round(took, 2), "before": found[0], "predictions": found[1:]}
    options.output.write_text(json.dumps(result), "utf-8")


if __name__ == "__main__":
    main()
