"""What is measured: one class for each system; the constructor loads, ``encode`` gives vectors.

Each is imported by a process of its own, in the environment where its packages are, so packages
are imported where they are used. ``note`` says what a user of the system should know of the row.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Ids = list[list[int]]


class Bertfeat:
    """Ours."""

    def __init__(self, folder: Path, threads: int, precision: str) -> None:
        from bertfeat import Encoder

        self._encoder = Encoder.load(folder, precision=precision, threads=threads)
        self.note = ""
        if self._encoder.precision != precision:
            self.note = f"{self._encoder.precision}: {self._encoder.precision_reason}"

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return self._encoder.encode(texts)


class SentenceTransformers:
    """sentence-transformers with one of its three back ends."""

    def __init__(
        self,
        folder: Path,
        threads: int,
        backend: str = "torch",
        batch_size: int = 32,
        **kwargs: Any,
    ) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(threads)
        self._batch_size = batch_size
        self._model = SentenceTransformer(
            str(folder), device="cpu", backend=backend,
            model_kwargs=kwargs | self._of_backend(backend, threads, kwargs.get("ov_config", {})),
        )  # fmt: skip

    def _of_backend(self, backend: str, threads: int, config: dict[str, Any]) -> dict[str, Any]:
        if backend == "openvino":
            return {"ov_config": config | {"INFERENCE_NUM_THREADS": threads}}
        if backend == "onnx":
            return {"provider": "CPUExecutionProvider", "session_options": session_options(threads)}
        return {}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return self._model.encode(list(texts), batch_size=self._batch_size, show_progress_bar=False)


class FastEmbed:
    """fastembed; it pads each batch to its longest text and does not sort texts by length."""

    def __init__(self, folder: Path, threads: int, batch_size: int = 256) -> None:
        from fastembed import TextEmbedding
        from fastembed.common.model_description import ModelSource, PoolingType

        TextEmbedding.add_custom_model(
            "measured/model", pooling=PoolingType.MEAN, normalization=True,
            sources=ModelSource(hf="measured/model"),
            dim=json.loads((folder / "config.json").read_text("utf-8"))["hidden_size"],
            model_file="onnx/model.onnx",
        )  # fmt: skip
        self._batch_size = batch_size
        self._model = TextEmbedding(
            "measured/model", specific_model_path=str(folder), threads=threads
        )

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack(list(self._model.embed(texts, batch_size=self._batch_size)))


class OnnxRuntime:
    """ONNX Runtime alone, the few lines around it as a careful user writes them."""

    def __init__(self, folder: Path, threads: int, file: str, batch_size: int = 16) -> None:
        import onnxruntime

        self._tokenize = tokenizer_of(folder)
        self._batch_size = batch_size
        self._session = onnxruntime.InferenceSession(
            folder / "onnx" / file, session_options(threads), providers=["CPUExecutionProvider"]
        )
        self._inputs = {found.name for found in self._session.get_inputs()}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return in_batches(self._tokenize(texts), self._batch_size, self._run)

    def _run(self, ids: Ids) -> np.ndarray:
        mask = mask_of(ids)
        padded = np.zeros(mask.shape, np.int64)
        padded[mask > 0] = np.concatenate(ids)
        inputs = {
            "input_ids": padded,
            "attention_mask": mask.astype(np.int64),
            "token_type_ids": np.zeros_like(padded),
        }
        given = {name: array for name, array in inputs.items() if name in self._inputs}
        return pooled(self._session.run(None, given)[0], mask)


class CTranslate2:
    """CTranslate2's encoder, the few lines around it as a careful user writes them."""

    def __init__(self, folder: Path, threads: int, compute_type: str, batch_size: int = 16) -> None:
        sys.modules["torch"] = None  # type: ignore[assignment]  # only its converter needs torch
        import ctranslate2

        self._tokenize = tokenizer_of(folder)
        self._batch_size = batch_size
        self._encoder = ctranslate2.Encoder(
            str(folder), compute_type=compute_type, intra_threads=threads
        )

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return in_batches(self._tokenize(texts), self._batch_size, self._run)

    def _run(self, ids: Ids) -> np.ndarray:
        return pooled(np.array(self._encoder.forward_batch(ids).last_hidden_state), mask_of(ids))


class LlamaCpp:
    """llama.cpp through llama-cpp-python."""

    def __init__(self, folder: Path, threads: int) -> None:
        from llama_cpp import Llama

        self._model = Llama(
            str(folder / "model-q8_0.gguf"), embedding=True, n_ctx=0, n_batch=2048, n_ubatch=2048,
            n_threads=threads, n_threads_batch=threads, verbose=False,
        )  # fmt: skip

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.array(self._model.embed(list(texts), normalize=True), np.float32)


class Model2Vec:
    """model2vec: one vector for each token, looked up and averaged; no encoder is run."""

    def __init__(self, folder: Path, threads: int) -> None:
        from model2vec import StaticModel

        self._model = StaticModel.from_pretrained(folder)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return self._model.encode(list(texts))


def session_options(threads: int) -> Any:
    """Return ONNX Runtime's options for this number of cores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return options


def tokenizer_of(folder: Path) -> Callable[[Sequence[str]], Ids]:
    """Return a function from texts to ids, cut where the model's folder says."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    tokenizer.enable_truncation(settings["model_max_length"])
    return lambda texts: [found.ids for found in tokenizer.encode_batch(list(texts))]


def in_batches(ids: Ids, size: int, run: Callable[[Ids], np.ndarray]) -> np.ndarray:
    """Run batches of texts of like length, and return the vectors in the texts' order."""
    order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    found = np.concatenate([run([ids[row] for row in batch]) for batch in batches])
    return found[np.argsort(order)]


def mask_of(ids: Ids) -> np.ndarray:
    """Return 1 for each token and 0 for padding, float32 (B, S)."""
    lengths = np.array([len(row) for row in ids])
    return (np.arange(lengths.max()) < lengths[:, None]).astype(np.float32)


def pooled(hidden: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the mean of each text's token vectors, brought to length 1."""
    summed = np.einsum("bsh,bs->bh", hidden, mask)
    return summed / np.linalg.norm(summed, axis=1, keepdims=True)
