"""From an encoder's weights to a LiteRT file; neither data nor TensorFlow are needed."""

import numpy as np

from bertfeat.config import EncoderConfig
from bertfeat.engine.lite_graph import LiteGraph, Tensors
from bertfeat.engine.lite_runner import LiteRunner, embeddings_sum

ROWS, LENGTH, SEED = 16, 32, 0
"""Random tokens on which the ranges of activations are measured; text gives the same."""
SHARE = 0.5
"""How much of the difference between channels moves from activations into weights."""


def convert(config: EncoderConfig, tensors: Tensors, int8: bool = True) -> bytes:
    """Make the LiteRT file of an encoder, as :class:`bertfeat.engine.lite_graph.LiteGraph` says.

    Args:
        config: sizes and constants.
        tensors: the encoder's weights under their canonical names.
        int8: weights in int8, one scale for each output channel; else float32.
    """
    smoothing = smoothing_factors(config, tensors) if int8 else None
    return LiteGraph(config, tensors, smoothing).hidden_states()


def smoothing_factors(config: EncoderConfig, tensors: Tensors) -> Tensors:
    """Return, for each normalization, what its channels are multiplied with, float32 (H,).

    The factors even out activations and weights: range(weights)^(1 - share) / range(input)^share
    (Xiao et al. 2022, SmoothQuant, equation 4).
    """
    ranges = activation_ranges(config, tensors)
    found = {}
    for name, largest in ranges.items():
        gamma = np.asarray(tensors[f"{name}/layer_norm/gamma"], np.float32)
        weights = np.abs(gamma[:, None] * _kernel_behind(config, tensors, name)).max(axis=1)
        factor = np.maximum(weights, 1e-6) ** (1 - SHARE) / np.maximum(largest, 1e-3) ** SHARE
        found[name] = (factor / np.exp(np.log(factor).mean())).astype(np.float32)
    return found


def activation_ranges(config: EncoderConfig, tensors: Tensors) -> Tensors:
    """Return the largest absolute value of each channel behind each normalization, (H,)."""
    rng = np.random.default_rng(SEED)
    length = min(LENGTH, config.max_position_embeddings)
    ids = rng.integers(0, config.vocab_size, (ROWS, length)).astype(np.int32)
    inputs: Tensors = {
        "input_ids": ids,
        "position_ids": np.broadcast_to(np.arange(length), ids.shape),
        "token_type_ids": np.zeros_like(ids),
        "attention_mask": np.ones_like(ids),
    }
    graph = LiteGraph(config, tensors)
    runner = LiteRunner(graph.normalizations(), threads=1)
    found = runner(embeddings_sum(tensors, inputs), inputs["attention_mask"], graph.normalized)
    return {name: np.abs(array).max(axis=(0, 1, 2)) for name, array in found.items()}


def _kernel_behind(config: EncoderConfig, tensors: Tensors, norm: str) -> np.ndarray:
    """Return the kernel of the dense layer that reads a normalization, float32 (H, out)."""
    if norm.endswith("/attention"):
        names = [f"{norm.removesuffix('/attention')}/intermediate"]
    else:
        layer = 0 if norm == "embeddings" else int(norm.rpartition("/")[2]) + 1
        if layer == config.num_hidden_layers:  # nothing reads the last one
            return np.ones((config.hidden_size, 1), np.float32)
        names = [f"layers/{layer}/attention/{part}" for part in ("query", "key", "value")]
    kernels = [np.asarray(tensors[f"{name}/kernel"], np.float32) for name in names]
    return np.concatenate(kernels, axis=1)
