"""Gradients in little memory: a layer's inner tensors are computed again when they are needed.

Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost".  Back ends run the same function
twice; so it must have no state, and the states of its dropouts are drawn before, once.
"""

from collections.abc import Callable, Iterable
from typing import Any

import keras
from keras import ops

Tensor = Any


def recomputed(
    layer: keras.layers.Layer,
    call: Callable[[Tensor], Tensor],
    hidden: Tensor,
    dropouts: Iterable[keras.layers.Dropout],
) -> Tensor:
    """Return ``call(hidden)``, of which only the input is kept for the gradient.

    Args:
        layer: built; ``call`` uses its variables and no others.
        call: what to compute.
        hidden: float (B·S, H).
        dropouts: those of the layer, each used once.
    """
    generators = [d.seed_generator for d in dropouts if d.rate > 0]
    states = [generator.state for generator in generators]
    seeds = [generator.next() for generator in generators]  # both times the same
    is_state = set(map(id, states))
    weights = [variable for variable in layer.variables if id(variable) not in is_state]

    def run(hidden: Tensor, *values: Tensor) -> Tensor:
        mapping = zip([*weights, *states], [*values, *seeds], strict=True)
        with keras.StatelessScope(state_mapping=list(mapping)):
            return call(hidden)

    return keras.remat(run)(hidden, *(ops.convert_to_tensor(weight) for weight in weights))
