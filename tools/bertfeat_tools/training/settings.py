"""How a run is trained, whatever it trains."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

from bertfeat.errors import ConfigError
from bertfeat_tools.training.devices import use_devices
from bertfeat_tools.training.encoder import start

RUN, MODEL = "training", "model"
"""Below the folder that a training is given: what the run keeps, and what it made."""
SCHEDULES = ("linear", "constant", "cosine")
OPTIMIZER_NAMES = ("google", "adamw", "lamb")
PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What every fine-tuning lets its user choose of the loop; the defaults are BERT's.

    Attributes:
        epochs: times through the examples.
        batch_size: examples of a batch.
        learning_rate, optimizer, warmup, weight_decay, precision, gradient_checkpointing, seed: see
            :class:`TrainSettings`.
        devices: that share each batch, under JAX.
    """

    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 5e-5
    optimizer: str = "google"
    warmup: float = 0.1
    weight_decay: float = 0.01
    precision: str = "float32"
    gradient_checkpointing: bool = False
    seed: int = 0
    devices: int = 1

    def start(self) -> None:
        """Start Keras for a run: its random numbers and its devices.

        Raises:
            ConfigError: several devices without JAX, or more than there are.
        """
        start(self.seed)
        use_devices(self.devices)


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """What the loop is told.

    Attributes:
        steps: updates of the weights.
        learning_rate: the highest.
        optimizer: ``google`` (AdamW without bias correction), ``adamw`` or ``lamb``.
        warmup: updates of linear warm-up; below 1 a fraction of the steps.
        schedule: ``linear``, ``constant`` or ``cosine``.
        weight_decay: of all weights but biases and normalizations.
        clip: largest global norm of a gradient; 0 = any.
        accumulation: batches that make one update.
        precision: ``float32``, ``bfloat16`` or ``float16``; weights stay float32.  In float16 the
            loss is scaled, and an update whose gradients overflow is left out.
        gradient_checkpointing: compute the encoder's layers again for the gradient, so that only
            the hidden states between them are kept.
        seed: of the dropout and of fresh weights.
        log_every, save_every, evaluate_every: in updates; 0 = only at the end.
        metric: what decides which weights are best; with ``-`` before it, smaller is better.
        patience: evaluations without a better one after which the run ends; 0 = never.
        keep: checkpoints that stay besides the best.
        rates: factor of the learning rate by a variable's path; 0 = frozen.
    """

    steps: int
    learning_rate: float = 5e-5
    optimizer: str = "google"
    warmup: float = 0.1
    schedule: str = "linear"
    weight_decay: float = 0.01
    clip: float = 1.0
    accumulation: int = 1
    precision: str = "float32"
    gradient_checkpointing: bool = False
    seed: int = 0
    log_every: int = 10
    save_every: int = 0
    evaluate_every: int = 0
    metric: str = "-loss"
    patience: int = 0
    keep: int = 1
    rates: Callable[[str], float] | None = None

    def __post_init__(self) -> None:
        problems = [
            f"{name}={getattr(self, name)!r} is none of {', '.join(known)}"
            for name, known in (
                ("optimizer", OPTIMIZER_NAMES), ("schedule", SCHEDULES), ("precision", PRECISIONS),
            )
            if getattr(self, name) not in known
        ]  # fmt: skip
        problems += [
            f"{name}={getattr(self, name)} is below {least}"
            for name, least in (
                ("steps", 1), ("learning_rate", 0), ("warmup", 0), ("weight_decay", 0),
                ("clip", 0), ("accumulation", 1), ("log_every", 1), ("save_every", 0),
                ("evaluate_every", 0), ("patience", 0), ("keep", 1),
            )
            if getattr(self, name) < least
        ]  # fmt: skip
        if problems:
            raise ConfigError("; ".join(problems))

    @classmethod
    def of(cls, options: Recipe, steps_per_epoch: int, **others: Any) -> "TrainSettings":
        """Take from a task's options those that are the loop's, under the same names.

        Args:
            options: a task's, with fields of its own.
            steps_per_epoch: after so many updates a checkpoint is written and scored.
            others: fields that go before the options'.
        """
        own = {f.name: getattr(options, f.name) for f in fields(cls) if hasattr(options, f.name)}
        every = {"save_every": steps_per_epoch, "evaluate_every": steps_per_epoch}
        return cls(**{**own, **every, "steps": options.epochs * steps_per_epoch, **others})

    @property
    def warmup_steps(self) -> int:
        """Updates of the warm-up."""
        return int(self.warmup * self.steps if self.warmup < 1 else self.warmup)

    def to_dict(self) -> dict[str, Any]:
        """Return everything that decides what comes out, for the manifest and for a resume."""
        values = asdict(self)
        rates = values.pop("rates")
        return values | {"rates": getattr(rates, "__name__", None) or rates and repr(rates)}
