"""The optimizers of BERT's recipes, and the learning rate over the steps.

Weight decay is decoupled and leaves out biases and layer normalizations, as in
google-research/bert optimization.py.  Gradients are clipped by their global norm.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

Tensor = Any
Rates = Callable[[str], float]
INITIAL_SCALE = 2.0**15
"""Of a loss in float16, halved until gradients are finite (Micikevicius et al. 2018)."""
UNDECAYED = ("bias", "gamma", "beta")
"""Last parts of the paths of weights that do not decay."""


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from 0, then constant, linear to 0, or half a cosine to 0.

    Step 0 of a warm-up has rate 0, as in google-research/bert and in transformers.

    Args:
        peak: the highest rate.
        steps: updates in all.
        warmup: updates until the peak.
        shape: ``linear``, ``constant`` or ``cosine``.
        accumulation: calls of the optimizer that make one update.
        google: decay from the first step on, so that the peak is already lowered after the
            warm-up (google-research/bert optimization.py), instead of from the peak to the end.
    """

    def __init__(
        self, peak: float, steps: int, warmup: int = 0, shape: str = "linear",
        accumulation: int = 1, google: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.peak, self.steps, self.warmup = peak, steps, warmup
        self.shape, self.accumulation, self.google = shape, accumulation, google

    def __call__(self, step: Tensor) -> Tensor:
        """Return the rate of a call of the optimizer, float32."""
        update = ops.floor_divide(ops.cast(step, "float32"), float(self.accumulation))
        rising = self.peak * update / max(self.warmup, 1)
        start = 0 if self.google else self.warmup
        done = ops.clip((update - start) / max(self.steps - start, 1), 0.0, 1.0)
        falling = {
            "constant": lambda: ops.ones_like(done),
            "linear": lambda: 1.0 - done,
            "cosine": lambda: 0.5 * (1.0 + ops.cos(math.pi * done)),
        }[self.shape]()
        return ops.where(update < self.warmup, rising, self.peak * falling)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the same schedule."""
        names = ("peak", "steps", "warmup", "shape", "accumulation", "google")
        return {name: getattr(self, name) for name in names}


class AdamW(keras.optimizers.Optimizer):
    """Adam with decoupled weight decay.

    Without bias correction and with epsilon 1e-6 it is google-research/bert's
    ``AdamWeightDecayOptimizer``; with both the common AdamW (Loshchilov and Hutter 2019), in
    PyTorch's form: the root of the corrected second moment, plus epsilon.

    Args:
        learning_rate: a rate or a schedule.
        weight_decay: fraction of a weight, times the rate, that each update takes away.
        epsilon: added to the root of the second moment.
        bias_correction: whether moments are scaled up while they are young.
        clip: largest global norm of the gradients; 0 = any.
        accumulation: calls whose mean gradient makes one update.
        rates: factor of the rate for a variable's path; None = 1 for each.
    """

    beta_1, beta_2 = 0.9, 0.999

    def __init__(
        self, learning_rate: Any, *, weight_decay: float = 0.01, epsilon: float = 1e-6,
        bias_correction: bool = False, clip: float = 1.0, accumulation: int = 1,
        rates: Rates | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            learning_rate,
            global_clipnorm=clip or None,
            gradient_accumulation_steps=accumulation if accumulation > 1 else None,
            name=type(self).__name__.lower(),
        )
        self.decay, self.epsilon, self.bias_correction = weight_decay, epsilon, bias_correction
        self.rates = rates or (lambda path: 1.0)

    def build(self, variables: Sequence[Any]) -> None:
        """Create the two moments of each variable."""
        if self.built:
            return
        super().build(variables)
        self.paths = [variable.path for variable in variables]
        self.first, self.second = self.add_optimizer_variables(variables, ["first", "second"])

    def apply(self, grads: Sequence[Tensor], trainable_variables: Any = None) -> None:
        """Update the variables; gradients of looked-up tables are made whole first.

        Left as slices, rows that were looked up twice would count wrongly in the global norm.
        """
        super().apply([g if g is None else whole(g) for g in grads], trainable_variables)

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        """Update one variable."""
        place = self._get_variable_index(variable)  # a back end may pass its own variable, no path
        first, second, path = self.first[place], self.second[place], self.paths[place]
        gradient = ops.cast(gradient, first.dtype)
        rate = ops.cast(learning_rate, first.dtype) * self.rates(path)
        self._update(variable, gradient, (first, second), rate, not path.endswith(UNDECAYED))

    def _update(
        self, variable: Any, gradient: Tensor, moments: tuple[Any, Any], rate: Tensor, decays: bool
    ) -> None:
        """Update one variable and its moments."""
        factor, epsilon = self._young()
        if decays and self.decay:
            self.assign_sub(variable, ops.convert_to_tensor(variable) * (rate * self.decay))
        if keras.backend.backend() == "tensorflow":
            _fused_adam(self, variable, gradient, moments, (rate * factor, epsilon))
            return
        first, second = self._moved(gradient, moments)
        self.assign_sub(variable, rate * factor * first / (ops.sqrt(second) + epsilon))

    def _moved(self, gradient: Tensor, moments: tuple[Any, Any]) -> tuple[Any, Any]:
        first, second = moments
        self.assign_add(first, (gradient - first) * (1 - self.beta_1))
        self.assign_add(second, (ops.square(gradient) - second) * (1 - self.beta_2))
        return first, second

    def _young(self) -> tuple[Tensor, Tensor]:
        """Return the factor of the update and the epsilon that make up for young moments.

        With m and v corrected by a and b, m / a / (sqrt(v / b) + e) is sqrt(b) / a times
        m / (sqrt(v) + e sqrt(b)).
        """
        if not self.bias_correction:
            return ops.ones(()), ops.convert_to_tensor(self.epsilon, "float32")
        count = ops.cast(self.iterations + 1, "float32")
        young_1, young_2 = (1 - ops.power(beta, count) for beta in (self.beta_1, self.beta_2))
        return ops.sqrt(young_2) / young_1, self.epsilon * ops.sqrt(young_2)


def _fused_adam(
    optimizer: AdamW, variable: Any, gradient: Tensor, moments: tuple[Any, Any],
    rate_and_epsilon: tuple[Tensor, Tensor],
) -> None:  # fmt: skip
    """Update weight and moments in one pass over memory, by TensorFlow's own kernel."""
    import tensorflow as tf

    rate, epsilon = rate_and_epsilon
    handles = [
        (one if hasattr(one, "handle") else one.value).handle for one in (variable, *moments)
    ]
    tf.raw_ops.ResourceApplyAdam(
        var=handles[0], m=handles[1], v=handles[2], beta1_power=0.0, beta2_power=0.0, lr=rate,
        beta1=optimizer.beta_1, beta2=optimizer.beta_2, epsilon=epsilon, grad=gradient,
    )  # fmt: skip


def whole(gradient: Tensor) -> Tensor:
    """Return a gradient as one array: TensorFlow's of a table is slices, which Keras leaves so."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.convert_to_tensor(gradient)
    return gradient


class ScaledLoss(keras.optimizers.LossScaleOptimizer):
    """Scales the loss so that gradients in float16 neither vanish nor overflow.

    The scale is doubled after 2000 updates, halved instead of an update that overflows.
    """

    def __init__(self, inner_optimizer: AdamW) -> None:
        super().__init__(inner_optimizer, initial_scale=INITIAL_SCALE)

    def apply(self, grads: Sequence[Tensor], trainable_variables: Any = None) -> None:
        """Update the variables; gradients of looked-up tables are made whole first."""
        super().apply([g if g is None else whole(g) for g in grads], trainable_variables)


class Lamb(AdamW):
    """AdamW whose update of each weight is scaled to the weight's own norm (You et al. 2020).

    Biases and normalizations are not scaled.
    """

    def _update(
        self, variable: Any, gradient: Tensor, moments: tuple[Any, Any], rate: Tensor, decays: bool
    ) -> None:
        factor, epsilon = self._young()
        first, second = self._moved(gradient, moments)
        update = factor * first / (ops.sqrt(second) + epsilon)
        if decays:
            weight = ops.convert_to_tensor(variable)
            update = update + self.decay * weight
            weighs, moves = (ops.norm(ops.reshape(x, (-1,))) for x in (weight, update))
            ratio = ops.where(ops.logical_and(weighs > 0, moves > 0), weighs / moves, 1.0)
            update = update * ratio
        self.assign_sub(variable, rate * update)


OPTIMIZERS: dict[str, tuple[type[AdamW], dict[str, Any]]] = {
    "google": (AdamW, {"epsilon": 1e-6, "bias_correction": False}),
    "adamw": (AdamW, {"epsilon": 1e-8, "bias_correction": True}),
    "lamb": (Lamb, {"epsilon": 1e-6, "bias_correction": True}),
}
