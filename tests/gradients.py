"""The gradients of one training step, under TensorFlow or JAX; also a program of its own.

``python gradients.py MODEL OUT`` writes them with and without recomputed layers.
"""

import sys

import numpy as np

from tiny_bert import VOCABULARY
from torch_pretraining import batch

MASK = VOCABULARY.index("[MASK]")


def gradients(folder, *, recompute=False, packed=False):
    """Scalars in the order of their names, the gradient of each weight, states of the dropouts."""
    from bertfeat_tools.training.encoder import make_bert, open_folder, start

    start(3)
    import keras

    from bertfeat_tools.pretraining.model import HEADS, Pretraining
    from bertfeat_tools.pretraining.sharing import share_rows

    model = Pretraining(make_bert(open_folder(folder)[0], heads=HEADS), mask_id=MASK)
    model.build()
    for layer in model.bert.encoder_layers:
        layer.recompute = recompute
    taken = _tensorflow if keras.backend.backend() == "tensorflow" else _jax
    values = share_rows(masked(), 10) if packed else masked()
    scalars, found, states = taken(model, values)
    names = [variable.path.partition("/")[2] for variable in model.trainable_variables]
    return {
        "scalars": np.stack([np.asarray(scalars[name]) for name in sorted(scalars)]),
        "states": np.array([np.asarray(state) for state in states]),
        **{name: np.asarray(value) for name, value in zip(names, found, strict=True)},
    }


def masked():
    """A batch with masked tokens of all kinds and room for several examples in a row."""
    values = batch(0)
    rows, places = np.arange(8), values["masked_positions"][:, 0]
    values["input_ids"][rows, places] = np.where(rows % 2, MASK, values["masked_ids"][:, 0])
    inputs = ("input_ids", "attention_mask", "token_type_ids")
    return values | {name: np.pad(values[name], ((0, 0), (0, 28))) for name in inputs}


def _tensorflow(model, values):
    import tensorflow as tf

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            scalars = model(values, training=True)
        found = tape.gradient(scalars["loss"], [v.value for v in model.trainable_variables])
        return scalars, [tf.convert_to_tensor(gradient) for gradient in found]

    return *step(), [v.value for v in model.non_trainable_variables]


def _jax(model, values):
    import jax

    def loss(trainable, other):
        found, after = model.stateless_call(trainable, other, values, training=True)
        return found["loss"], (found, after)

    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (_, (scalars, after)), found = step(
        [v.value for v in model.trainable_variables],
        [v.value for v in model.non_trainable_variables],
    )
    return scalars, found, after


if __name__ == "__main__":
    for value in (False, True):
        np.savez(f"{sys.argv[2]}/{value}.npz", **gradients(sys.argv[1], recompute=value))
