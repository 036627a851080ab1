"""Pre-training restated for torch: batches, losses of transformers' heads, plain optimizers."""

import numpy as np

from tiny_bert import VOCABULARY

UNDECAYED = ("LayerNorm", "layer_norm", "bias")


def batch(step):
    """Rows of 12 tokens with three predictions each, one of them without weight."""
    rng = np.random.default_rng(step)
    ids = rng.integers(5, len(VOCABULARY), (8, 12)).astype(np.int32)
    mask = (np.arange(12) < rng.integers(6, 13, 8)[:, None]).astype(np.int32)
    return {
        "input_ids": ids, "attention_mask": mask,
        "token_type_ids": (np.arange(12) >= 5).astype(np.int32) * mask,
        "masked_positions": rng.integers(0, 6, (8, 3)).astype(np.int32),
        "masked_ids": rng.integers(5, len(VOCABULARY), (8, 3)).astype(np.int32),
        "masked_weights": np.tile(np.array([1, 1, 0], np.float32), (8, 1)),
        "next_sentence_labels": rng.integers(0, 2, 8).astype(np.int32),
    }  # fmt: skip


class PlainOptimizer:
    """Clipping at 1, then google-research/bert's AdamW, Loshchilov's, or LAMB.

    Google's is optimization.py: no bias correction, epsilon 1e-6.  AdamW is Loshchilov and Hutter
    2019, algorithm 2, with epsilon 1e-8; LAMB is You et al. 2020, algorithm 2, with epsilon 1e-6,
    biases and normalizations neither decayed nor scaled.
    """

    def __init__(self, kind, named):
        self.kind, self.named, self.count = kind, named, 0
        self.slots = {name: (0.0, 0.0) for name, _ in named}

    def step(self, rate):
        import torch

        torch.nn.utils.clip_grad_norm_([p for _, p in self.named], 1.0)
        self.count += 1
        with torch.no_grad():
            for name, parameter in self.named:
                update = self.adam(name, parameter.grad)
                if not any(end in name for end in UNDECAYED):
                    update = update + 0.01 * parameter
                    if self.kind == "lamb":
                        update = update * parameter.norm() / update.norm()
                parameter -= rate * update
                parameter.grad = None

    def adam(self, name, gradient):
        m, v = self.slots[name]
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        self.slots[name] = m, v
        if self.kind == "google":
            return m / (v.sqrt() + 1e-6)
        m, v = m / (1 - 0.9**self.count), v / (1 - 0.999**self.count)
        return m / (v.sqrt() + (1e-8 if self.kind == "adamw" else 1e-6))


def plain_rate(kind, step, steps, peak=1e-3, warmup=5):
    """Warm-up, then linear: to Google's what is left of a decay from the first step on."""
    if step < warmup:
        return peak * step / warmup
    start = 0 if kind == "google" else warmup
    return peak * (steps - step) / (steps - start)


def torch_loss(model, values):
    """The two mean losses of a batch, with transformers' own heads."""
    import torch

    tensors = {name: torch.tensor(array).long() for name, array in values.items()}
    names = ("input_ids", "attention_mask", "token_type_ids")
    found = model(**{name: tensors[name] for name in names})
    size = found.prediction_logits.shape[-1]
    places = tensors["masked_positions"][..., None].expand(-1, -1, size)
    logits = found.prediction_logits.gather(1, places).log_softmax(-1)
    losses = -logits.gather(2, tensors["masked_ids"][..., None])[..., 0]
    weights = torch.tensor(values["masked_weights"])
    masked = (losses * weights).sum() / (weights.sum() + 1e-5)
    pair = torch.nn.functional.cross_entropy(
        found.seq_relationship_logits, tensors["next_sentence_labels"]
    )
    return masked + pair
