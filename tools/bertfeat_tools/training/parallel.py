"""Data parallelism for batches of any number of rows, under JAX."""

from collections.abc import Sequence
from typing import Any

import keras


class DataParallel(keras.distribution.DataParallel):
    """Deals an array's rows out to devices, or gives all of them to each if they cannot be shared.

    Either way a step computes what one device would: only who computes it differs.
    """

    def get_data_layout(self, data_shape: Sequence[int]) -> Any:
        """Return where an array of this shape lies."""
        if data_shape[0] % self.device_mesh.devices.size == 0:
            return super().get_data_layout(data_shape)
        return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)
