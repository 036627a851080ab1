"""Functions of a batch, compiled once for every shape of batch.

Keras's own ``train_on_batch`` compiles a graph for the first shape and a wider one for the next,
and the two round differently: a run that goes on would not repeat the bits of one that was never
stopped.  So under TensorFlow the graph is made for open shapes from the start.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from bertfeat.engine.backend import gpu_names
from bertfeat_tools.training.batches import Batch


class Compiled:
    """A function of a batch that depends on a model's weights as they are when it is called.

    Args:
        model: whose weights they are.
        function: from a batch of arrays to a tensor.
    """

    def __init__(self, model: keras.Model, function: Callable[[Batch], Any]) -> None:
        self._model, self._function = model, function
        self._run: Callable[[Batch], Any] | None = None

    def __call__(self, batch: Batch) -> np.ndarray:
        """Return what the function makes of a batch; all batches have the same entries."""
        if self._run is None:
            under_jax = keras.backend.backend() == "jax"
            self._run = self._jitted() if under_jax else graph(self._function, batch)
        return np.asarray(self._run(batch))

    def _jitted(self) -> Callable[[Batch], Any]:
        import jax

        variables = self._model.variables

        def run(values: list[Any], batch: Batch) -> Any:
            with keras.StatelessScope(state_mapping=zip(variables, values, strict=True)):
                return self._function(batch)

        jitted = jax.jit(run)
        return lambda batch: jitted([variable.value for variable in variables], batch)


def graph(function: Callable[[Batch], Any], batch: Batch) -> Callable[[Batch], Any]:
    """Compile a function for batches like one, under TensorFlow."""
    import tensorflow as tf

    compiled: Callable[[Batch], Any] = tf.function(
        function, input_signature=[specs(batch)], jit_compile=bool(gpu_names()), autograph=False
    )
    return compiled


def specs(batch: Batch) -> dict[str, Any]:
    """Return what TensorFlow is told of batches like one."""
    import tensorflow as tf

    return {name: tf.TensorSpec(open_shape(array), array.dtype) for name, array in batch.items()}


def open_shape(array: np.ndarray) -> list[int | None]:
    """Leave open the axes that change from batch to batch.

    These are all axes of whole numbers (ids, masks, labels) and the first two of floats (rows and
    tokens; what follows are sizes of vectors).
    """
    if array.dtype.kind in "iub":
        return [None] * array.ndim
    return [None if axis < 2 else size for axis, size in enumerate(array.shape)]
