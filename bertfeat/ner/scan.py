"""A loop over positions that keeps every state: the back end's own, as Keras has none that does.

Keras 3's ``ops.scan`` fails under TensorFlow where the number of rows is open.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

State = Any


def scan(step: Callable[[State, Any], State], start: State, positions: Any) -> State:
    """Apply ``step(state, position)`` along the first axis and return all states, stacked.

    Args:
        step: from a state (a tensor or a tuple of them) to the next one.
        start: the state before the first position.
        positions: a tensor or a tuple of them, the first axis being that of positions.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.scan(step, positions, initializer=start)
    return ops.scan(lambda state, now: (new := step(state, now), new), start, positions)[1]
