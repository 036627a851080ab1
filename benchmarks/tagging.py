"""Time taggers: sentences tagged a second, an epoch of training, and a step of the CRF alone.

Training is timed beside a torch twin (``torch.nn.LSTM`` on packed rows under ``pytorch-crf``) on
the same features, batches and sizes, in turns within one process; the shortest of the rounds
counts.  All run on one thread: two back ends' waiting threads in one process slow each other down.
Features are computed once, before anything is timed.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat import Encoder
from bertfeat.ner.files import read_tagged
from bertfeat.ner.sentences import Sentence
from bertfeat.ner.settings import TaggerSettings
from bertfeat.tasks import Tagger
from bertfeat_tools.ner.approaches import FeatureBased
from bertfeat_tools.ner.job import Features, data_for
from bertfeat_tools.ner.train import Collate, NerTraining, Tagged
from bertfeat_tools.training.batches import Batch, ShuffledBatches
from bertfeat_tools.training.encoder import start
from machine import busy_cores, describe

CRF_SHAPE = 32, 40, 13
"""Sentences, words and tags of the step that the CRF is timed on."""
APPROACH = FeatureBased()


def best_s(run: Callable[[], Any], rounds: int) -> Iterator[float]:
    """Yield the seconds of each round, the first, unmeasured one left out."""
    run()
    for _ in range(rounds):
        started = time.perf_counter()
        run()
        yield time.perf_counter() - started


def in_turns(rounds: int, **runs: Callable[[], Any]) -> dict[str, float]:
    """Return the shortest seconds of each of several runs that take turns."""
    turns = zip(*(best_s(run, rounds) for run in runs.values()), strict=True)
    return dict(zip(runs, np.min(list(turns), axis=0).round(4).tolist(), strict=True))


def our_epoch(settings: TaggerSettings, batches: list[Batch]) -> Callable[[], Any]:
    """Return an epoch of our training."""
    from bertfeat_tools.ner.training_model import TaggerTraining
    from bertfeat_tools.training.loop import optimizer
    from bertfeat_tools.training.step import make_step

    model = TaggerTraining(APPROACH.network(settings, "float32"))
    model.compile(optimizer=optimizer(NerTraining().settings(len(batches))), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    step = make_step(model, batches[0])

    return lambda: [step(batch) for batch in batches]


def torch_epoch(settings: TaggerSettings, batches: list[Batch]) -> Callable[[], Any]:
    """Return an epoch of the torch twin: the same sizes, dropout and optimizer."""
    import torch

    from torch_tagging import Network

    shape = len(settings.layers), settings.hidden_size
    network = Network(shape, len(settings.labels), False, settings.rnn_units, settings.dropout)
    adam = torch.optim.AdamW(network.parameters(), lr=1e-3)

    def step(batch: Batch) -> None:
        told = {name: torch.from_numpy(batch[name]) for name in ("vectors", "mask", "tags")}
        told |= {"vectors": told["vectors"].float(), "tags": told["tags"].long()}
        adam.zero_grad()
        network.loss(told).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        adam.step()

    return lambda: [step(batch) for batch in batches]


def crf_steps() -> dict[str, Callable[[], Any]]:
    """Return a loss with its gradients of our CRF and of pytorch-crf, on one batch."""
    import tensorflow as tf
    import torch
    import torchcrf

    from bertfeat.ner.crf import CRF

    rng = np.random.default_rng(0)
    rows, words, tags = CRF_SHAPE
    emissions = rng.normal(size=CRF_SHAPE).astype(np.float32)
    gold = rng.integers(0, tags, (rows, words)).astype(np.int32)
    mask = np.arange(words) < rng.integers(5, words + 1, rows)[:, None]
    layer, twin = CRF(tags), torchcrf.CRF(tags, batch_first=True)
    layer.build()
    values = tf.Variable(emissions)
    theirs = torch.tensor(emissions, requires_grad=True)
    theirs_gold, theirs_mask = torch.tensor(gold).long(), torch.tensor(mask)

    @tf.function
    def ours() -> Any:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(layer(values, gold, mask))
        return tape.gradient(loss, [values, *(v.value for v in layer.trainable_variables)])

    def torchs() -> None:
        (-twin(theirs, theirs_gold, theirs_mask, reduction="mean")).backward()

    return {"bertfeat": lambda: [ours() for _ in range(10)],
            "pytorch-crf": lambda: [torchs() for _ in range(10)]}  # fmt: skip


def tagging(
    settings: TaggerSettings, encoder: Encoder, sentences: list[Sentence], rounds: int
) -> dict[str, float]:
    """Return sentences and words tagged a second, from text to entities, by a fresh network."""
    tagger = Tagger(settings, APPROACH.network(settings, "float32"), encoder)
    took = min(best_s(partial(tagger.entities, sentences), rounds))
    words = sum(len(s.words) for s in sentences)
    rate = {"sentences": len(sentences), "seconds": took, "sentences_per_s": len(sentences) / took}
    return {name: round(value, 2) for name, value in {**rate, "words_per_s": words / took}.items()}


def batches_of(settings: TaggerSettings, data: Tagged, batch_size: int = 32) -> list[Batch]:
    """Return the batches of the first epoch."""
    lengths = np.array([len(row) for row in data.rows])
    collate = Collate(settings, data, APPROACH)
    batches = ShuffledBatches(len(data.rows), batch_size, 0, collate, lengths)
    return [batches(step) for step in range(batches.steps_per_epoch)]


def main() -> None:
    """Read the command line, time, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--train", type=Path, required=True, help="tagged sentences")
    parser.add_argument("--dev", type=Path, required=True, help="sentences to tag")
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, help="only the first so many sentences of each file")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    import torch

    busy = busy_cores(1.0)
    train, dev = (read_tagged(path)[: options.limit] for path in (options.train, options.dev))
    start(0, threads=1)
    torch.set_num_threads(1)
    encoder = Encoder.load(options.model, threads=1)
    features = Features(encoder, options.model)
    settings = features.settings(train)
    batches = batches_of(settings, data_for(features, settings, [train, dev])[0])
    epochs = {"bertfeat": our_epoch(settings, batches), "torch": torch_epoch(settings, batches)}
    found = {
        "machine": describe(), "busy_cores_before": round(busy, 2), "model": options.model,
        "train": options.train.name, "network": "2 × 128 BiLSTM-CRF on 4 layers, batches of 32",
        "tagging": tagging(settings, encoder, dev, options.rounds),
        "epoch_s": in_turns(options.rounds, **epochs), "epoch_sentences": len(train),
        "ten_crf_steps_s": in_turns(options.rounds, **crf_steps()), "crf_shape": CRF_SHAPE,
    }  # fmt: skip
    print(lines := json.dumps(found, indent=1))
    if options.output is not None:
        options.output.write_text(lines + "\n", "utf-8")


if __name__ == "__main__":
    main()
