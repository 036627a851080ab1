"""Measure the packed forward pass on a GPU: throughput, and the share of what the card can do.

Runs on a bare machine: NumPy, keras and TensorFlow or JAX (``KERAS_BACKEND`` chooses) are all it
needs, as the weights and the texts are random. Where torch sees a GPU too, the same texts also go
through a BERT of torch's own attention, padded and sorted by length, in the same run. Without a GPU
everything runs at a small size, to show that it does, and nothing is called measured.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import machine
from bertfeat.config import EncoderConfig
from bertfeat.engine.backend import gpu_names, load_keras
from bertfeat.engine.choose import make_engine
from bertfeat.engine.packing import pack, plan_batches

SIZES = {
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
             "intermediate_size": 3072},
    "minilm": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
               "intermediate_size": 1536},
    "tiny": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
             "intermediate_size": 64},
}  # fmt: skip
MIXED = "mixed"
VOCABULARY = 30522


@dataclass(frozen=True)
class Text:
    """A tokenized text of random ids."""

    input_ids: list[int]
    token_type_ids: list[int]


@dataclass(frozen=True)
class LastMean:
    """The program: the mean of each text's last hidden states."""

    outputs: tuple[str, ...] = ("hidden_states.-1",)

    def __call__(
        self, found: Mapping[str, Any], inputs: Mapping[str, Any], ops: Any
    ) -> dict[str, Any]:
        mask = inputs["pooling_mask"][..., None]
        total = ops.sum(found["hidden_states.-1"] * mask, axis=1)
        return {"vectors": total / ops.maximum(ops.sum(mask, axis=1), 1.0)}


def draw_texts(length: str, tokens: int) -> list[Text]:
    """Draw texts of so many tokens in all: of one length, or one long text for seven short ones."""
    rng, texts = np.random.default_rng(0), []
    while tokens > 0:
        if length == MIXED:
            size = int(rng.integers(150, 257) if rng.random() < 0.125 else rng.integers(8, 33))
        else:
            size = int(length)
        texts.append(Text(rng.integers(1000, VOCABULARY, size).tolist(), [0] * size))
        tokens -= size
    return texts


def matrix_rate(size: int, precision: str) -> float:
    """Return the flop/s of a large product in a precision, the best of ten."""
    from keras import ops

    a = ops.cast(np.random.default_rng(0).normal(size=(size, size)), precision)
    rates = []
    for _ in range(10):
        started = time.perf_counter()
        np.asarray(ops.cast(ops.matmul(a, a)[0, 0], "float32"))
        rates.append(2 * size**3 / (time.perf_counter() - started))
    return max(rates)


def forward_flops(config: EncoderConfig, texts: list[Text]) -> float:
    """Return what the model's definition asks for (see ``figures.flops``)."""
    hidden, inner = config.hidden_size, config.intermediate_size
    sizes = np.array([len(text.input_ids) for text in texts], np.float64)
    dense = 2 * (4 * hidden * hidden + 2 * hidden * inner)
    return float(config.num_hidden_layers * (dense * sizes + 4 * hidden * sizes**2).sum())


def ours(config: EncoderConfig, texts: list[Text], batch: int, precision: str) -> Callable[[], Any]:
    """Return a function that runs the texts, packed, through our engine."""
    from bertfeat.encoder.bert import Bert

    engine, program = make_engine(Bert(config, dtype=precision), precision), LastMean()
    lengths = [len(text.input_ids) for text in texts]
    batches = []
    for rows in plan_batches(lengths, batch, engine.row_length, engine.overhead):
        most = max(sum(lengths[text] for text in row) for row in rows)
        shape = engine.shape(len(rows), most, sum(map(len, rows)))
        inputs = pack(texts, rows, 0, shape)
        inputs["pooling_mask"] = _pooling_mask(inputs)
        batches.append(inputs)
    return lambda: [engine.run(program, inputs) for inputs in batches]


def _pooling_mask(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    places = np.arange(inputs["token_places"].shape[1])
    return (places < inputs["lengths"][:, None]).astype(np.float32)


def seconds(runs: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Run each in turn, once unmeasured, and return the median of its seconds."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if number:
                taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in taken.items()}


def measure(config: EncoderConfig, length: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure texts of one kind."""
    texts = draw_texts(length, options.tokens)
    runs = {"bertfeat": ours(config, texts, options.batch_tokens, options.precision)}
    if not options.without_torch:
        from torch_padded import padded

        if peer := padded(config, [text.input_ids for text in texts], options.batch_tokens):
            runs["torch"] = peer
    found = seconds(runs, options.rounds)
    tokens = sum(len(text.input_ids) for text in texts)
    rate = forward_flops(config, texts) / found["bertfeat"]
    return {
        "texts": length,
        "tokens_per_s": round(tokens / found["bertfeat"]),
        "tflops": round(rate / 1e12, 3),
        "torch_tokens_per_s": round(tokens / found["torch"]) if "torch" in found else None,
        "times_torch": round(found["torch"] / found["bertfeat"], 3) if "torch" in found else None,
    }


def report(options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything and return it, with the machine."""
    load_keras(options.device)
    import keras

    devices = gpu_names()
    if not devices:
        options.size, options.tokens, options.batch_tokens = "tiny", 2048, 512
    config = EncoderConfig(
        vocab_size=VOCABULARY, max_position_embeddings=512, **SIZES[options.size]
    )
    peak = matrix_rate(8192 if devices else 512, options.precision)
    rows = [measure(config, length, options) for length in options.lengths]
    for row in rows:
        row["share_of_matrix_rate"] = round(row["tflops"] * 1e12 / peak, 3)
    return {
        "measured": bool(devices),
        "device": devices[0] if devices else "no GPU: run to show that it does, not measured",
        "backend": keras.backend.backend(),
        "machine": machine.describe(),
        "size": options.size,
        "precision": options.precision,
        "batch_tokens": options.batch_tokens,
        "matrix_tflops": round(peak / 1e12, 3),
        "rows": rows,
    }


def main() -> None:
    """Read the command line, measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", choices=("base", "minilm"), default="base")
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--lengths", nargs="+", default=["128", "512", MIXED])
    parser.add_argument("--tokens", type=int, default=1 << 20, help="in all (%(default)s)")
    parser.add_argument("--batch-tokens", type=int, default=1 << 16, help="%(default)s")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without-torch", action="store_true")
    parser.add_argument("--output", type=Path)
    found = report(parser.parse_args())
    print(json.dumps(found, indent=1))
    output = parser.parse_args().output
    if output is not None:
        draft = output.with_suffix(".draft")
        draft.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        draft.replace(output)


if __name__ == "__main__":
    main()
