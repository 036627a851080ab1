"""How many rows a task needs: fine-tuning beside a probe of the frozen encoder."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bertfeat_tools.finetuning.examples import Examples
from bertfeat_tools.scoring.bootstrap import mean_and_sd
from bertfeat_tools.scoring.probe import METRICS, check_labels, probe_layers


class FrozenProbe:
    """Logistic regression on the frozen encoder's vectors of each text.

    Each text is computed once, whatever is drawn.

    Args:
        encoder: a :class:`bertfeat.Encoder`, whose last layer is pooled by its mean.
        train: what is drawn from.
        dev: what is scored.
    """

    def __init__(self, encoder: Any, train: Examples, dev: Examples) -> None:
        self._train, self._dev = train, dev
        self._vectors = np.asarray(encoder.encode([*train.items, *dev.items], pooling="mean"))[
            :, None
        ]

    def score(self, count: int, seeds: Sequence[int]) -> dict[str, dict[str, float]]:
        """Return the scores after training on ``count`` rows, the same that the seeds draw.

        Raises:
            InputError: rows that were drawn have all the same label.
        """
        labels = [*self._train.labels, *self._dev.labels]
        held_out = np.arange(len(self._train), len(labels))
        splits = [(self._train.places(count, seed), held_out) for seed in seeds]
        for train, _ in splits:
            check_labels([labels[row] for row in train])
        [found] = probe_layers(self._vectors, [-1], labels, splits)
        return found.scores


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return mean and deviation of the probe's metrics over fine-tuned runs."""
    chosen = [{name: run[name] for name in METRICS if name in run} for run in runs]
    return mean_and_sd(chosen)
