"""The gradients of one training step, under TensorFlow or JAX; also a program of its own.

``python gradients.py MODEL OUT`` writes them with and without recomputed layers.
"""

import sys

import numpy as np


def gradients(folder, recompute):
    """Loss, then the gradient of each weight by name, then the states of the dropouts."""
    from bertfeat_tools.training.encoder import make_bert, open_folder, start

    start(3)
    import keras

    from bertfeat_tools.pretraining.model import HEADS, Pretraining
    from torch_pretraining import batch

    model = Pretraining(make_bert(open_folder(folder)[0], heads=HEADS))
    model.build()
    for layer in model.bert.encoder_layers:
        layer.recompute = recompute
    taken = _tensorflow if keras.backend.backend() == "tensorflow" else _jax
    loss, found, states = taken(model, batch(0))
    names = [variable.path.partition("/")[2] for variable in model.trainable_variables]
    return {
        "loss": np.asarray(loss),
        "states": np.stack([np.asarray(state) for state in states]),
        **{name: np.asarray(value) for name, value in zip(names, found, strict=True)},
    }


def _tensorflow(model, values):
    import tensorflow as tf

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            loss = model(values, training=True)["loss"]
        found = tape.gradient(loss, [v.value for v in model.trainable_variables])
        return loss, [tf.convert_to_tensor(gradient) for gradient in found]

    return *step(), [v.value for v in model.non_trainable_variables]


def _jax(model, values):
    import jax

    def loss(trainable, other):
        found, after = model.stateless_call(trainable, other, values, training=True)
        return found["loss"], after

    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (value, after), found = step(
        [v.value for v in model.trainable_variables],
        [v.value for v in model.non_trainable_variables],
    )
    return value, found, after


if __name__ == "__main__":
    for kind in (False, True):
        np.savez(f"{sys.argv[2]}/{kind}.npz", **gradients(sys.argv[1], kind))
