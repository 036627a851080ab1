"""Fine-tune with torch and transformers, as their users do: the peer of ``fine_tuning.py``.

Plain loops over ``AutoModelFor…``: rows in random order, padded to their batch's longest, AdamW
without decay of biases and normalizations, clipping at 1, linear warm-up over a tenth of the steps
and linear decay.  After each epoch the held-out rows are predicted; ``--output`` gets all of that.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

from torch_jobs import Choice, Classify, Job, Regression, Segmentation, Tag
from torch_span_job import Span

KINDS = {
    "classify": Classify, "regression": Regression, "choice": Choice, "tag": Tag,
    "segmentation": Segmentation, "span": Span,
}  # fmt: skip


def optimizer_of(model: Any, steps: int, rate: float) -> tuple[Any, Any]:
    """Return AdamW and its schedule."""
    named = list(model.named_parameters())
    plain = [p for name, p in named if name.endswith("bias") or "LayerNorm" in name]
    decayed = [p for name, p in named if not (name.endswith("bias") or "LayerNorm" in name)]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, lr=rate)
    warmup = int(0.1 * steps)
    return adam, transformers.get_linear_schedule_with_warmup(adam, warmup, steps)


def predict(job: Job, size: int = 32) -> Any:
    """Return the predictions of the held-out rows, computed in order of length."""
    order = sorted(range(len(job.dev)), key=lambda n: len(job.dev[n].get("input_ids", ())))
    found: list[Any] = [None] * len(order)
    job.model.eval()
    with torch.inference_mode():
        for first in range(0, len(order), size):
            numbers = order[first : first + size]
            batch = job.collate([job.dev[number] for number in numbers])
            for number, row in zip(numbers, job.outputs(batch), strict=True):
                found[number] = row
    return job.predictions(found)


def fit(job: Job, options: argparse.Namespace, each: Callable[[], None]) -> float:
    """Train; return the seconds of it, `each`, which is called after an epoch, left out."""
    per_epoch = -(-len(job.train) // options.batch_size)
    adam, schedule = optimizer_of(job.model, options.epochs * per_epoch, options.learning_rate)
    took = 0.0
    for _ in range(options.epochs):
        job.model.train()
        started = time.perf_counter()
        for numbers in torch.randperm(len(job.train)).split(options.batch_size):
            job.loss(job.collate([job.train[n] for n in numbers.tolist()])).backward()
            torch.nn.utils.clip_grad_norm_(job.model.parameters(), 1.0)
            adam.step()
            schedule.step()
            adam.zero_grad()
        took += time.perf_counter() - started
        each()
    return took


def main() -> None:
    """Read the command line, train, write the predictions of each epoch."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("train", type=Path)
    parser.add_argument("dev", type=Path)
    parser.add_argument("--model", required=True, help="a folder of transformers'")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--max-seq-len", type=int, default=128)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    job = KINDS[options.kind](options)
    found: list[Any] = []
    took = fit(job, options, lambda: found.append(predict(job)))
    result = {"train_s": round(took, 2), "predictions": found}
    options.output.write_text(json.dumps(result, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    main()
