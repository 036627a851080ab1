"""The encoder under LiteRT: int8 on a CPU, without TensorFlow.

One file computes every hidden state; the features are made of those in NumPy.  Attention
probabilities, queries, keys and values stay inside.
"""

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from bertfeat.config import EncoderConfig
from bertfeat.engine.backend import quiet_stderr
from bertfeat.engine.base import Program
from bertfeat.engine.packing import Inputs
from bertfeat.errors import InputError

Tensors = Mapping[str, np.ndarray]
TABLES = ("word_embeddings", "position_embeddings", "token_type_embeddings")
HEAD_OUTPUTS = {
    "next_sentence_logits": "next_sentence",
    "classifier_logits": "classifier",
    "token_logits": "classifier",
    "span_logits": "span",
}


class LiteEngine:
    """Runs programs on a file that ``bertfeat.engine.lite_graph`` made.

    Args:
        graph: the file; it is mapped into memory.
        config: the encoder's sizes.
        tensors: the three tables of embeddings and the heads, under their canonical names.
        threads: cores that one operation may use.
    """

    name, precision = "litert", "int8"

    def __init__(self, graph: Path, config: EncoderConfig, tensors: Tensors, threads: int) -> None:
        self.config, self.tensors = config, tensors
        self._graph = LiteGraph(graph, threads)

    def shape(self, rows: int, length: int, texts: int) -> tuple[int, int, int]:
        """Pad no further than the longest row: an open shape costs nothing."""
        return rows, length, texts

    def run(self, program: Program, inputs: Inputs) -> dict[str, np.ndarray]:
        """Run a program on one batch (see :class:`bertfeat.engine.base.Engine`).

        Raises:
            InputError: it needs outputs that this engine does not compute.
        """
        layers = {name: self._layer(name) for name in program.outputs}
        texts = inputs["attention_mask"].astype(np.float32)[:, None]
        arrays = {
            "embeddings_sum": self._embeddings_sum(inputs),
            "query_texts": texts[..., None],
            "key_texts": texts[:, :, None],
        }
        states = self._graph(arrays, set(layers.values()))
        places = inputs["token_places"]
        by_text = {
            name: state.reshape(-1, self.config.hidden_size)[places]  # (B, S, H)
            for name, state in states.items()
        }
        found = {name: self._output(name, by_text[state]) for name, state in layers.items()}
        return program(found, inputs, np)

    def _layer(self, name: str) -> str:
        """Return the name of the hidden state that an output is made of."""
        if name.startswith("hidden_states."):
            return name
        if name in HEAD_OUTPUTS or name == "pooled":
            return f"hidden_states.{self.config.num_hidden_layers}"
        raise InputError(
            f"the int8 engine does not compute {name}; load the model with precision='float32'"
        )

    def _embeddings_sum(self, inputs: Inputs) -> np.ndarray:
        words, positions, types = (self.tensors[f"embeddings/{name}"] for name in TABLES)
        total = np.asarray(words[inputs["input_ids"]], np.float32)  # (R, S, H)
        total += positions[inputs["position_ids"]]
        total += types[inputs["token_type_ids"]]
        return total[:, None]

    def _output(self, name: str, hidden: np.ndarray) -> np.ndarray:
        if name.startswith("hidden_states."):
            return hidden
        if name in ("token_logits", "span_logits"):
            return self._dense(HEAD_OUTPUTS[name], hidden)
        first = hidden[:, 0]
        pooled = np.tanh(self._dense("pooler", first)) if "pooler/kernel" in self.tensors else first
        return pooled if name == "pooled" else self._dense(HEAD_OUTPUTS[name], pooled)

    def _dense(self, head: str, x: np.ndarray) -> np.ndarray:
        kernel, bias = (
            np.asarray(self.tensors[f"{head}/{n}"], x.dtype) for n in ("kernel", "bias")
        )
        product: np.ndarray = x @ kernel + bias
        return product


class LiteGraph:
    """A LiteRT interpreter whose inputs follow the arrays that it is given."""

    def __init__(self, path: Path, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with quiet_stderr():  # it tells about its delegate
            self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        names = self._interpreter.get_signature_runner()
        self._inputs = {n: detail["index"] for n, detail in names.get_input_details().items()}
        self._outputs = {
            name.replace("output_", "hidden_states."): detail["index"]
            for name, detail in names.get_output_details().items()
        }
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._busy = threading.Lock()

    def __call__(
        self, arrays: dict[str, np.ndarray], outputs: Iterable[str]
    ) -> dict[str, np.ndarray]:
        """Compute the named outputs of float32 inputs."""
        with self._busy:
            self._take(arrays)
            self._interpreter.invoke()
            return {name: self._interpreter.get_tensor(self._outputs[name]) for name in outputs}

    def _take(self, arrays: dict[str, np.ndarray]) -> None:
        shapes = {name: array.shape for name, array in arrays.items()}
        if shapes != self._shapes:
            for name, shape in shapes.items():
                self._interpreter.resize_tensor_input(self._inputs[name], shape)
            self._interpreter.allocate_tensors()
            self._shapes = shapes
        for name, array in arrays.items():
            self._interpreter.set_tensor(self._inputs[name], array)
