"""How the torch peers of ``fine_tuning.py`` train, and what they are told."""

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers


def told(description: str, kinds: Iterable[str]) -> argparse.Namespace:
    """Read the command line, and fix the random numbers."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("kind", choices=list(kinds))
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
    return options


def optimizer_of(model: Any, steps: int, rate: float) -> tuple[Any, Any]:
    """Return AdamW and its schedule."""
    named = list(model.named_parameters())
    plain = [p for name, p in named if name.endswith("bias") or "LayerNorm" in name]
    decayed = [p for name, p in named if not (name.endswith("bias") or "LayerNorm" in name)]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, lr=rate)
    warmup = int(0.1 * steps)
    return adam, transformers.get_linear_schedule_with_warmup(adam, warmup, steps)


def fit(
    model: Any, rows: Sequence[Any], loss: Callable[[list[Any]], Any], options: argparse.Namespace,
    each: Callable[[], None],
) -> float:  # fmt: skip
    """Train.

    Args:
        model: its weights.
        rows: what it learns from.
        loss: of some rows.
        options: epochs, batch size and learning rate.
        each: called after an epoch, with the model as it is used.

    Returns:
        The seconds of it, `each` left out.
    """
    per_epoch = -(-len(rows) // options.batch_size)
    adam, schedule = optimizer_of(model, options.epochs * per_epoch, options.learning_rate)
    took = 0.0
    for _ in range(options.epochs):
        model.train()
        started = time.perf_counter()
        for numbers in torch.randperm(len(rows)).split(options.batch_size):
            loss([rows[n] for n in numbers.tolist()]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adam.step()
            schedule.step()
            adam.zero_grad()
        took += time.perf_counter() - started
        model.eval()
        each()
    return took
