"""Fine-tune with torch and transformers, as their users do: the peer of ``fine_tuning.py``.

Plain loops over ``AutoModelFor…``: rows in random order, padded to their batch's longest, AdamW
without decay of biases and normalizations, clipping at 1, linear warm-up over a tenth of the steps
and linear decay.  After each epoch the held-out rows are predicted; ``--output`` gets all of that.
"""

import json
from typing import Any

import torch

from torch_jobs import Choice, Classify, Job, Regression, Segmentation, Tag
from torch_span_job import Span
from torch_training import fit, told

KINDS = {
    "classify": Classify, "regression": Regression, "choice": Choice, "tag": Tag,
    "segmentation": Segmentation, "span": Span,
}  # fmt: skip


def predict(job: Job, size: int = 32) -> Any:
    """Return the predictions of the held-out rows, computed in order of length."""
    order = sorted(range(len(job.dev)), key=lambda n: len(job.dev[n].get("input_ids", ())))
    found: list[Any] = [None] * len(order)
    with torch.inference_mode():
        for first in range(0, len(order), size):
            numbers = order[first : first + size]
            batch = job.collate([job.dev[number] for number in numbers])
            for number, row in zip(numbers, job.outputs(batch), strict=True):
                found[number] = row
    return job.predictions(found)


def main() -> None:
    """Read the command line, train, write the predictions of each epoch."""
    options = told(__doc__, KINDS)
    job = KINDS[options.kind](options)
    found: list[Any] = []
    took = fit(
        job.model, job.train, lambda rows: job.loss(job.collate(rows)), options,
        lambda: found.append(predict(job)),
    )  # fmt: skip
    result = {"train_s": round(took, 2), "predictions": found}
    options.output.write_text(json.dumps(result, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    main()
