"""The encoder as a LiteRT file, in float32 or int8.

BERT once more, for XNNPACK: heads are cut out and joined instead of transposed, and the embeddings
are looked up by the caller, so that their tables keep their precision and are mapped, not copied.

In int8 what a dense layer reads is evened out first: a few channels of BERT's normalized
activations are many times larger than the others, and one scale for all of a token's channels
would spend its 255 steps on those (Xiao et al. 2022, SmoothQuant).

Shape letters: R rows, S tokens of a row, H hidden, D head size.
"""

import math
from collections.abc import Mapping
from functools import cached_property

import numpy as np

from bertfeat.config import EncoderConfig
from bertfeat.engine.lite_file import LiteFile, Tensor
from bertfeat.errors import ConfigError

Tensors = Mapping[str, np.ndarray]
FAR = 1e4
"""Taken off a score for each squared step between two texts' numbers in a row."""
ACTIVATIONS = {"relu": "RELU", "tanh": "TANH"}


class LiteGraph:
    """Writes an encoder's forward pass into a file.

    The file goes from float32 (R, 1, S, H) sums of the embeddings, ``embeddings_sum``, and each
    token's text number in its row, twice, ``query_texts`` (R, 1, S, 1) and ``key_texts``
    (R, 1, 1, S), to the hidden states ``hidden_states.0`` … ``.N``, float32 (R, 1, S, H).

    Args:
        config: sizes and constants.
        tensors: the encoder's weights under their canonical names.
        smoothing: for each normalization, factors (H,) of the channels that the dense layer behind
            it reads; its weights are made int8.  None writes float32.

    Raises:
        ConfigError: the encoder attends from left to right.
    """

    def __init__(
        self, config: EncoderConfig, tensors: Tensors, smoothing: Tensors | None = None
    ) -> None:
        if config.is_decoder:
            raise ConfigError(
                "is_decoder=True: LiteRT attends both ways only; load the model with engine='keras'"
            )
        self.config, self.tensors, self.smoothing = config, tensors, smoothing
        self.file = LiteFile()
        self.states: list[Tensor] = []
        self.normalized: dict[str, Tensor] = {}
        self._write()

    def hidden_states(self) -> bytes:
        """Return the file with the hidden states as outputs."""
        for number, state in enumerate(self.states):
            self.file.output(f"hidden_states.{number}", state)
        return self.file.to_bytes()

    def normalizations(self) -> bytes:
        """Return a file whose outputs are what each normalization gives before gamma and beta."""
        for name, tensor in self.normalized.items():
            self.file.output(name, tensor)
        return self.file.to_bytes()

    def _write(self) -> None:
        file = self.file
        x = file.input("embeddings_sum", None, 1, None, self.config.hidden_size)
        query_texts = file.input("query_texts", None, 1, None, 1)
        key_texts = file.input("key_texts", None, 1, 1, None)
        square = (None, 1, None, None)
        [apart] = file.apply("SQUARED_DIFFERENCE", [query_texts, key_texts], square)
        bias = file.elementwise(
            "MUL", apart, file.constant(np.array([-FAR], np.float32))
        )  # (R, 1, S, S)
        x, read = self._norm(x, "embeddings")
        self.states = [x]
        for layer in range(self.config.num_hidden_layers):
            x, read = self._layer(x, read, bias, f"layers/{layer}")
            self.states.append(x)

    def _layer(self, x: Tensor, read: Tensor, bias: Tensor, name: str) -> tuple[Tensor, Tensor]:
        """Apply a transformer layer to hidden states and to what its dense layers read of them."""
        attention = f"{name}/attention"
        before = "embeddings" if name == "layers/0" else _previous(name)
        context = self._attend(read, bias, attention, before)
        attended = self._plain_dense(context, f"{attention}/output")
        x, read = self._norm(self.file.elementwise("ADD", x, attended), attention)
        kernel, constant = (self._weight(f"{name}/intermediate/{n}") for n in ("kernel", "bias"))
        widened = self._activate(self._dense(read, kernel, constant, attention))
        narrowed = self._plain_dense(widened, f"{name}/output")
        return self._norm(self.file.elementwise("ADD", x, narrowed), name)

    def _attend(self, read: Tensor, bias: Tensor, name: str, norm: str) -> Tensor:
        """Apply self-attention without its output projection: (R, 1, S, H) to the same."""
        file, heads = self.file, self.config.num_attention_heads
        scale = np.float32(1 / math.sqrt(self.config.head_size))
        kernel, constant = (
            np.concatenate(
                [
                    self._weight(f"{name}/query/{leaf}") * scale,
                    self._weight(f"{name}/key/{leaf}"),
                    self._weight(f"{name}/value/{leaf}"),
                ],
                axis=-1,
            )
            for leaf in ("kernel", "bias")
        )
        joined = self._dense(read, kernel, constant, norm)  # (R, 1, S, 3H)
        parts = (file.split(part, heads) for part in file.split(joined, 3))  # (R, 1, S, D) each
        contexts = []
        for query, key, value in zip(*parts, strict=True):
            scores = file.elementwise("ADD", file.matmul(query, key, transpose_b=True), bias)
            weights = file.elementwise("SOFTMAX", scores, beta=1.0)  # (R, 1, S, S)
            contexts.append(file.matmul(weights, value))
        return file.join(contexts)

    def _norm(self, x: Tensor, name: str) -> tuple[Tensor, Tensor]:
        """Normalize; return the result and what the dense layer behind it reads."""
        file = self.file
        gamma, beta = (self._weight(f"{name}/layer_norm/{leaf}") for leaf in ("gamma", "beta"))
        centred = file.elementwise("SUB", x, self._mean(x))
        variance = self._mean(file.elementwise("MUL", centred, centred))
        epsilon = file.constant(np.array([self.config.layer_norm_eps], np.float32))
        inverse = file.elementwise("RSQRT", file.elementwise("ADD", variance, epsilon))
        normalized = file.elementwise("MUL", centred, inverse)
        self.normalized[name] = normalized
        scaled = file.elementwise("MUL", normalized, file.constant(gamma))
        shifted = file.elementwise("ADD", scaled, file.constant(beta))
        if self.smoothing is None:
            return shifted, shifted
        smooth = file.constant(self.smoothing[name].astype(np.float32))
        return shifted, file.elementwise("MUL", normalized, smooth)

    def _dense(self, read: Tensor, kernel: np.ndarray, bias: np.ndarray, norm: str) -> Tensor:
        """Apply a dense layer behind a normalization, whose gamma and beta go into it in int8."""
        if self.smoothing is None:
            return self.file.dense(read, kernel, bias, int8=False)
        gamma, beta = (self._weight(f"{norm}/layer_norm/{leaf}") for leaf in ("gamma", "beta"))
        folded = kernel * (gamma / self.smoothing[norm])[:, None]
        return self.file.dense(read, folded, bias + beta @ kernel, int8=True)

    def _plain_dense(self, x: Tensor, name: str) -> Tensor:
        kernel, bias = (self._weight(f"{name}/{leaf}") for leaf in ("kernel", "bias"))
        return self.file.dense(x, kernel, bias, int8=self.smoothing is not None)

    def _mean(self, x: Tensor) -> Tensor:
        return self.file.apply("MEAN", [x, self._last_axis], (*x.shape[:-1], 1), keepDims=True)[0]

    @cached_property
    def _last_axis(self) -> Tensor:
        return self.file.constant(np.array([3], np.int32))

    def _activate(self, x: Tensor) -> Tensor:
        name = self.config.hidden_act
        if name.startswith("gelu"):
            return self.file.elementwise("GELU", x, approximate=name != "gelu")
        if name in ("silu", "swish"):
            return self.file.elementwise("MUL", x, self.file.elementwise("LOGISTIC", x))
        return self.file.elementwise(ACTIVATIONS[name], x) if name in ACTIVATIONS else x

    def _weight(self, name: str) -> np.ndarray:
        return np.asarray(self.tensors[name], np.float32)


def _previous(layer: str) -> str:
    return f"layers/{int(layer.rpartition('/')[2]) - 1}"
