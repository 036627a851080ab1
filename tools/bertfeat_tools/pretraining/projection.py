"""What a pre-training will cost, told before it has been paid; and what it came to, by steps."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bertfeat.config import EncoderConfig

WARM, MEASURED = 2, 10
"""Updates that are not timed, since they compile; and the one after which hours are told."""


@dataclass(frozen=True)
class Work:
    """What is left to compute.

    Attributes:
        tokens: of all rows, at most: short rows have fewer.
        flops: floating-point operations of the training steps on them.
    """

    tokens: int
    flops: float

    def __str__(self) -> str:
        return f"{self.tokens:,} tokens at most, {self.flops:.3g} floating-point operations"


def total_work(config: EncoderConfig, phases: Sequence[tuple[int, int, int]]) -> Work:
    """Return the work of a whole run.

    Args:
        config: the encoder's sizes.
        phases: (batches, rows of a batch, tokens of a row) of each.
    """
    tokens = [batches * rows * length for batches, rows, length in phases]
    flops = sum(
        count * flops_per_token(config, length)
        for count, (_, _, length) in zip(tokens, phases, strict=True)
    )
    return Work(sum(tokens), flops)


class Forecast:
    """A progress call that tells hours and cost once the speed of this machine is known.

    Args:
        work: of the whole run.
        tell: takes the sentence.
        price: of an hour; 0 = the cost is not told.
        clock: seconds.
        then: another progress call, made after each update.
    """

    def __init__(
        self, work: Work, tell: Callable[[str], None], price: float = 0.0,
        clock: Callable[[], float] = time.perf_counter, then: Any = None,
    ) -> None:  # fmt: skip
        self._work, self._tell, self._price, self._clock = work, tell, price, clock
        self._then, self._calls, self._since = then, 0, 0.0

    def __call__(self, step: int, steps: int, values: Mapping[str, float]) -> None:
        """Count an update; after the tenth of this process tell what the rest will take."""
        self._calls += 1
        if self._calls == WARM:
            self._since = self._clock()
        if self._calls == MEASURED:
            step_s = (self._clock() - self._since) / (MEASURED - WARM)
            hours = step_s * (steps - step) / 3600
            flop_s = self._work.flops / steps / step_s
            cost = f", cost {hours * self._price:.2f}" if self._price else ""
            self._tell(f"{hours:.3g} hours left at {flop_s / 1e9:.1f} GFLOP/s{cost}")
        if self._then is not None:
            self._then(step, steps, values)


def throughput(
    lines: Sequence[Mapping[str, Any]], config: EncoderConfig, length: int
) -> dict[str, float]:
    """Return tokens and floating-point operations of a second, medians over the noted steps."""
    rates = [x["tokens"] / x["step_s"] for x in lines if x["kind"] == "train" and x["step_s"] > 0]
    tokens = float(np.median(rates)) if rates else 0.0
    return {
        "tokens_s": round(tokens, 1),
        "gflop_s": round(tokens * flops_per_token(config, length) / 1e9, 2),
    }


def flops_per_token(config: EncoderConfig, length: int) -> float:
    """Return the floating-point operations of a training step for one token (PaLM, appendix B).

    Twice the weights of the dense layers forward and four times backward, and the attention's
    products over `length` tokens; embeddings and output layer left out.
    """
    dense = config.num_hidden_layers * (
        4 * config.hidden_size**2 + 2 * config.hidden_size * config.intermediate_size
    )
    return 6.0 * dense + 12.0 * config.num_hidden_layers * config.hidden_size * length


def table_by_steps(lines: Sequence[Mapping[str, Any]], most: int = 20) -> str:
    """Return held-out scores by number of steps (training ones if none), as a Markdown table."""
    chosen = [x for x in lines if x["kind"] == "evaluate"] or list(lines)
    chosen = chosen[:: -max(1, -(-len(chosen) // most))][::-1]  # the last one is always there
    known = ("masked_lm_loss", "masked_lm_accuracy", "next_sentence_accuracy", "perplexity")
    names = [name for name in known if any(name in line for line in chosen)]
    rows = [
        " | ".join([f"| {line['step']}", *(f"{line[name]:.4f}" for name in names)]) + " |"
        for line in chosen
    ]
    return "\n".join(
        ["| step | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 1), *rows]
    )
