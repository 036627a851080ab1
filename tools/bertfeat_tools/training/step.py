"""One step of training, compiled once for every shape of batch.

Keras's own ``train_on_batch`` compiles a graph for the first shape and a wider one for the next,
and the two round differently: a run that goes on would not repeat the bits of one that was never
stopped.  So under TensorFlow the graph is made for open shapes from the start.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from bertfeat.engine.backend import gpu_names
from bertfeat.errors import ConfigError
from bertfeat_tools.training.batches import Batch
from bertfeat_tools.training.model import TrainingModel

Step = Callable[[Batch], Mapping[str, Any]]


def make_step(model: TrainingModel, batch: Batch) -> Step:
    """Return what does one step of a compiled model on a batch like `batch`.

    Raises:
        ConfigError: the model's own step knows neither a scaled loss nor several devices, and the
            precision is float16 or there are some.
    """
    own = model.own_step(batch)
    if own is not None:
        if isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer):
            raise ConfigError(
                "precision float16 scales the loss, which batches in chunks do not; choose "
                "bfloat16, or train without chunks"
            )
        if keras.distribution.distribution() is not None:
            raise ConfigError("batches in chunks are computed by one device; leave out devices")
        return own
    if keras.backend.backend() != "tensorflow":
        return lambda values: model.train_on_batch(values, return_dict=True)
    import tensorflow as tf

    signature = {
        name: tf.TensorSpec(open_shape(array), array.dtype) for name, array in batch.items()
    }

    def step(values: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = model.train_step((values,))
        return found

    compiled = tf.function(step, input_signature=[signature], jit_compile=bool(gpu_names()))
    return lambda values: {name: float(value) for name, value in compiled(values).items()}


def open_shape(array: np.ndarray) -> list[int | None]:
    """Leave open the axes that change from batch to batch.

    These are all axes of whole numbers (ids, masks, labels) and the first two of floats (rows and
    tokens; what follows are sizes of vectors).
    """
    if array.dtype.kind in "iub":
        return [None] * array.ndim
    return [None if axis < 2 else size for axis, size in enumerate(array.shape)]
