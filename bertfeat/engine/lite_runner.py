"""Running a LiteRT file of the encoder on the CPU."""

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from bertfeat.engine.backend import quiet_stderr

TABLES = ("word_embeddings", "position_embeddings", "token_type_embeddings")


class LiteRunner:
    """A LiteRT interpreter whose inputs follow the arrays that it is given.

    Args:
        graph: a file that ``bertfeat.engine.lite_graph`` wrote, or its bytes.
        threads: cores that one operation may use.
    """

    def __init__(self, graph: Path | bytes, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        source = (
            {"model_content": graph} if isinstance(graph, bytes) else {"model_path": str(graph)}
        )
        with quiet_stderr():  # it tells about its delegate
            self._interpreter = Interpreter(num_threads=threads, **source)
            self._interpreter.allocate_tensors()
        named = self._interpreter.get_signature_runner()
        self._inputs = {n: detail["index"] for n, detail in named.get_input_details().items()}
        self._outputs = {n: detail["index"] for n, detail in named.get_output_details().items()}
        self._shape: tuple[int, ...] = ()
        self._busy = threading.Lock()

    def __call__(
        self, embeddings: np.ndarray, texts: np.ndarray, outputs: Iterable[str]
    ) -> dict[str, np.ndarray]:
        """Compute the named outputs.

        Args:
            embeddings: float32 (R, S, H), see :func:`embeddings_sum`.
            texts: int32 (R, S), the number of each token's text in its row, 0 = padding.
            outputs: their names.

        Returns:
            Each output, float32 (R, 1, S, H).
        """
        numbers = texts.astype(np.float32)[:, None]  # (R, 1, S)
        arrays = {
            "embeddings_sum": embeddings[:, None],
            "query_texts": numbers[..., None],
            "key_texts": numbers[:, :, None],
        }
        with self._busy:
            self._resize(embeddings.shape, arrays)
            for name, array in arrays.items():
                self._interpreter.set_tensor(self._inputs[name], array)
            self._interpreter.invoke()
            return {name: self._interpreter.get_tensor(self._outputs[name]) for name in outputs}

    def _resize(self, shape: tuple[int, ...], arrays: Mapping[str, np.ndarray]) -> None:
        if shape == self._shape:
            return
        for name, array in arrays.items():
            self._interpreter.resize_tensor_input(self._inputs[name], array.shape)
        self._interpreter.allocate_tensors()
        self._shape = shape


def embeddings_sum(
    tensors: Mapping[str, np.ndarray], inputs: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Look up and add the three embeddings of each token, float32 (R, S, H)."""
    words, positions, types = (tensors[f"embeddings/{name}"] for name in TABLES)
    total = np.asarray(words[inputs["input_ids"]], np.float32)
    total += positions[inputs["position_ids"]]
    total += types[inputs["token_type_ids"]]
    return total
