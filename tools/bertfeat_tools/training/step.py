"""One step of training, compiled once for every shape of batch."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from bertfeat.errors import ConfigError
from bertfeat_tools.training.batches import Batch
from bertfeat_tools.training.compiled import graph
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
    compiled = graph(lambda values: model.train_step((values,)), batch)
    return lambda values: {name: float(value) for name, value in compiled(values).items()}
