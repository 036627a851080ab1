"""Updates on large batches in the memory of small ones (GradCache, Gao et al. 2021).

All texts of a batch are encoded a few at a time without gradients, the loss of all vectors gives
the gradient of each vector, and the texts are encoded once more, a few at a time, to carry it on.
The second reading draws the dropout of the first.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras

from bertfeat.engine.backend import gpu_names
from bertfeat.errors import ConfigError
from bertfeat_tools.training.batches import Batch
from bertfeat_tools.training.compiled import specs

if TYPE_CHECKING:
    from bertfeat_tools.embedding.model import SentenceModel

Tensor = Any


class CachedStep:
    """One update whose gradients equal those of the batch encoded at once.

    Args:
        model: compiled; its loss may have weights of its own.
        batch: like those to come.
        size: texts encoded at once.

    Raises:
        ConfigError: Keras runs on another backend than TensorFlow.
    """

    def __init__(self, model: "SentenceModel", batch: Batch, size: int) -> None:
        if keras.backend.backend() != "tensorflow":
            raise ConfigError(
                f"batches in chunks need the backend tensorflow, got {keras.backend.backend()}; "
                "train without chunks"
            )
        import tensorflow as tf

        self.model, self.size = model, size
        self.variables = [v.value for v in model.trainable_variables]
        self.seeds = [v for v in model.variables if "seed" in v.path]
        chunk = specs(batch)
        targets = chunk.pop("targets")
        vectors = tf.TensorSpec([None, model.size], "float32")
        options = {"jit_compile": bool(gpu_names())}
        self.encode = tf.function(self._encode, input_signature=[chunk], **options)
        self.compare = tf.function(self._compare, input_signature=[vectors, targets], **options)
        self.carry = tf.function(self._carry, input_signature=[chunk, vectors], **options)
        self.apply = tf.function(self._apply)

    def __call__(self, batch: Batch) -> Mapping[str, Any]:
        """Do one update; return its loss."""
        loss, gradients = self.gradients(batch)
        self.apply(gradients)
        return {"loss": float(loss)}

    def gradients(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """Return the loss and its gradient of each trainable variable."""
        import tensorflow as tf

        targets = batch["targets"]
        inputs = {name: array for name, array in batch.items() if name != "targets"}
        starts = range(0, len(inputs["input_ids"]), self.size)
        chunks = [{n: tf.constant(a[at : at + self.size]) for n, a in inputs.items()}
                  for at in starts]  # fmt: skip
        states, vectors = [], []
        for chunk in chunks:
            states.append([seed.numpy() for seed in self.seeds])
            vectors.append(self.encode(chunk))
        loss, slopes, total = self.compare(tf.concat(vectors, 0), tf.constant(targets))
        after = [seed.numpy() for seed in self.seeds]
        for at, chunk, state in zip(starts, chunks, states, strict=True):
            self._rewind(state)
            found = self.carry(chunk, slopes[at : at + self.size])
            total = [one + other for one, other in zip(total, found, strict=True)]
        self._rewind(after)
        return loss, total

    def _rewind(self, states: list[Any]) -> None:
        for seed, state in zip(self.seeds, states, strict=True):
            seed.assign(state)

    def _encode(self, chunk: dict[str, Tensor]) -> Tensor:
        return self.model.vectors(chunk, training=True)

    def _compare(self, vectors: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the loss, its gradient of the vectors, and of the variables not below them."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(vectors)
            loss = self.model.loss_of(vectors, targets)
        slopes, own = tape.gradient(
            loss, (vectors, self.variables), unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return loss, slopes, own

    def _carry(self, chunk: dict[str, Tensor], slopes: Tensor) -> list[Tensor]:
        """Return what the gradients of a chunk's vectors make of the variables below them."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            vectors = self.model.vectors(chunk, training=True)
        found = tape.gradient(
            vectors, self.variables, output_gradients=slopes,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )  # fmt: skip
        return [tf.convert_to_tensor(gradient) for gradient in found]

    def _apply(self, gradients: list[Tensor]) -> None:
        self.model.optimizer.apply(gradients, self.model.trainable_variables)
