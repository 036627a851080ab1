"""Pre-train with torch and transformers, and score what either side trained.

The peer of ``pretraining.py`` has the same sizes, batches, optimizer and schedule as ours, from
weights of its own, and like ours sends only masked places through the output layer; ``--whole``
sends all, as transformers' model does by itself.  With ``--score`` it trains nothing: models of
either side are read by transformers and scored on the held-out examples.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from bertfeat_tools.pretraining.build import HELD_OUT, TRAIN
from bertfeat_tools.pretraining.corpus import Corpus
from torch_training import optimizer_of


def tensors(batch: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return a batch's arrays as torch has them."""
    found = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in batch.items()}
    return {n: t if t.is_floating_point() else t.long() for n, t in found.items()}


def outputs(model: Any, batch: dict[str, Any], whole: bool = False) -> tuple[Any, Any]:
    """Return logits of the masked places (B, P, V) and of the pairs (B, 2)."""
    states, pooled = model.bert(
        batch["input_ids"], attention_mask=batch["attention_mask"],
        token_type_ids=batch["token_type_ids"], return_dict=False,
    )  # fmt: skip
    places = batch["masked_positions"][..., None]
    if whole:
        logits = model.cls.predictions(states)
        logits = logits.gather(1, places.expand(-1, -1, logits.shape[-1]))
    else:
        logits = model.cls.predictions(states.gather(1, places.expand(-1, -1, states.shape[-1])))
    return logits, model.cls.seq_relationship(pooled)


def loss_of(model: Any, batch: dict[str, Any], whole: bool) -> Any:
    """Return the sum of the two mean losses of a batch."""
    logits, pairs = outputs(model, batch, whole)
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), batch["masked_ids"].flatten(), reduction="none"
    )
    weights = batch["masked_weights"].flatten()
    masked = (losses * weights).sum() / (weights.sum() + 1e-5)
    return masked + torch.nn.functional.cross_entropy(pairs, batch["next_sentence_labels"])


def train(options: argparse.Namespace) -> dict[str, float]:
    """Train from scratch, write the model, return the time and the tokens of a second."""
    corpus = Corpus(options.data)
    batches = corpus.batches(options.batch_size, options.seed)
    torch.manual_seed(options.seed)
    config = transformers.BertConfig(
        vocab_size=corpus.tokenizer.vocab_size, hidden_size=options.hidden_size,
        num_hidden_layers=options.layers, num_attention_heads=options.hidden_size // 64,
        intermediate_size=4 * options.hidden_size,
    )  # fmt: skip
    model = transformers.BertForPreTraining(config).train()
    adam, schedule = optimizer_of(model, options.steps, options.learning_rate)
    precise = options.precision == "float32"
    tokens, took = 0, 0.0
    for step in range(options.steps):
        started = time.perf_counter()
        batch = tensors(batches(step))
        with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
            loss = loss_of(model, batch, options.whole)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        schedule.step()
        adam.zero_grad()
        if step >= options.unmeasured:
            took += time.perf_counter() - started
            tokens += int(batch["attention_mask"].sum())
    if options.output:
        model.save_pretrained(options.output)
        corpus.tokenizer.save(options.output)
    return {"train_s": round(took, 2), "tokens_s": round(tokens / took, 1)}


def score(data: Path, folder: Path) -> dict[str, float]:
    """Return loss and accuracy at the masked places of the held-out examples, and of the pairs."""
    model = transformers.BertForPreTraining.from_pretrained(folder).eval()
    batches = Corpus(data).batches(32, 0, HELD_OUT)
    sums: dict[str, float] = dict.fromkeys(("loss", "right", "places", "pairs_right", "pairs"), 0.0)
    for step in range(batches.steps_per_epoch):
        batch = tensors(batches(step))
        with torch.inference_mode():
            logits, pairs = outputs(model, batch)
        weights, chosen = batch["masked_weights"], batch["masked_ids"][..., None]
        losses = -logits.log_softmax(-1).gather(2, chosen)[..., 0]
        right = (logits.argmax(-1) == batch["masked_ids"]).float()
        for name, value in (
            ("loss", (losses * weights).sum()), ("right", (right * weights).sum()),
            ("places", weights.sum()), ("pairs", torch.tensor(len(pairs))),
            ("pairs_right", (pairs.argmax(-1) == batch["next_sentence_labels"]).sum()),
        ):  # fmt: skip
            sums[name] += float(value)
    return {
        "masked_lm_loss": sums["loss"] / sums["places"],
        "masked_lm_accuracy": sums["right"] / sums["places"],
        "next_sentence_accuracy": sums["pairs_right"] / sums["pairs"],
    }


def unigram_loss(data: Path) -> float:
    """Return the held-out loss of whoever knows only how often each token is masked."""
    corpus = Corpus(data)
    size = corpus.tokenizer.vocab_size

    def masked(part: str) -> np.ndarray:
        records = corpus.part(part)
        ids = [
            r["masked_lm_ids"][r["masked_lm_weights"] > 0]
            for r in map(records.__getitem__, range(len(records)))
        ]
        return np.concatenate(ids)

    counts = np.bincount(masked(TRAIN), minlength=size) + 1.0
    return float(-np.log(counts / counts.sum())[masked(HELD_OUT)].mean())


def main() -> None:
    """Read the command line; train or score, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--score", type=Path, nargs="+", default=[])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--unmeasured", type=int, default=0, help="steps before the clock starts")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden-size", type=int, default=256)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--whole", action="store_true")
    options = parser.parse_args()
    if options.score:
        found: Any = {str(folder): score(options.data, folder) for folder in options.score}
        found["unigram"] = {"masked_lm_loss": unigram_loss(options.data)}
    else:
        found = train(options)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
