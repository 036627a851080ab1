"""What the loop trains: a Keras model that names its own loss."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from bertfeat_tools.training.compiled import Compiled

Tensor = Any


class TrainingModel(keras.Model):
    """A model whose ``call(batch, training)`` returns float32 scalars, ``loss`` among them.

    A batch is one dict of arrays, labels included.  Every scalar is reported; ``loss`` is what is
    made small.  Layers are built where they are made, so there is nothing left to build here.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._computing: dict[str, Compiled] = {}

    def build(self, *_: Any) -> None:
        """Accept any shape."""
        self.built = True

    def own_step(
        self, batch: dict[str, Any]
    ) -> Callable[[dict[str, Any]], Mapping[str, Any]] | None:
        """Return what does one step on batches like this one; None = the common step."""
        return None

    def computing(self, method: str) -> Compiled:
        """Return what computes a method of a batch with the weights as they are then."""
        if method not in self._computing:
            self._computing[method] = Compiled(self, getattr(self, method))
        return self._computing[method]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:  # fmt: skip
        """Return the loss that ``call`` computed."""
        return y_pred["loss"]

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Tensor]:
        """Return everything that ``call`` computed."""
        return dict(y_pred)
