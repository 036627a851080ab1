"""The loop: step after step until the last one or until nothing gets better.

A run that is killed at any moment and started again ends with the weights, to the last bit, of
one that was not: batches depend on the step's number alone, and a checkpoint holds everything
that changes, the states of the dropout among it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from bertfeat.engine.backend import gpu_names
from bertfeat_tools.training.batches import Batches
from bertfeat_tools.training.checkpoints import BEST, Checkpoints, restore
from bertfeat_tools.training.hosts import is_first, of_the_first
from bertfeat_tools.training.model import TrainingModel
from bertfeat_tools.training.records import Curves, NoCurves, write_manifest
from bertfeat_tools.training.settings import TrainSettings
from bertfeat_tools.training.step import Step, make_step

Evaluate = Callable[[TrainingModel], dict[str, float]]
Progress = Callable[[int, int, Mapping[str, float]], None]


@dataclass
class TrainResult:
    """What a run came to.

    Attributes:
        step: updates done.
        scores: the evaluation of the weights that the model has now: the best ones'.
        best_step: the updates that these had; equals `step` without evaluation.
        train_s: seconds of training in this process, evaluation and checkpoints left out.
    """

    step: int
    scores: dict[str, float] = field(default_factory=dict)
    best_step: int = 0
    train_s: float = 0.0


def train(
    model: TrainingModel,
    batches: Batches,
    settings: TrainSettings,
    folder: Path,
    *,
    evaluate: Evaluate | None = None,
    progress: Progress | None = None,
    facts: Mapping[str, Any] | None = None,
) -> TrainResult:
    """Train a model, going on where an interrupted run in the same folder stopped.

    Args:
        model: its weights are set from the newest checkpoint, and at the end to the best.
        batches: the batch of each step.
        settings: how.
        folder: gets checkpoints, ``metrics.jsonl``, ``tensorboard/`` and ``manifest.json``.
        evaluate: scores of the model as it stands.
        progress: called after each update with its number, their total and the scalars.
        facts: what else decides the outcome (hashes of data), noted and checked.

    Raises:
        CheckpointError: the folder belongs to another run, or cannot be written.
        FloatingPointError: the loss is no finite number.
    """
    if is_first():
        folder.mkdir(parents=True, exist_ok=True)
        write_manifest(folder, settings.to_dict(), facts or {})
    run = Run(model, batches, settings, Checkpoints(folder / "checkpoints", settings.keep))
    run.prepare()
    curves = (Curves if is_first() else NoCurves)(folder, run.result.step)
    try:
        run.go(curves, evaluate, progress or (lambda step, steps, values: None))
    finally:
        curves.close()
    return run.result


@dataclass
class Run:
    """One run: a model on its way through its steps."""

    model: TrainingModel
    batches: Batches
    settings: TrainSettings
    checkpoints: Checkpoints
    result: TrainResult = field(default_factory=lambda: TrainResult(0))
    without_gain: int = 0
    step: Step | None = None

    def prepare(self) -> None:
        """Compile the model and take up the newest checkpoint."""
        self.compile()
        with of_the_first(self.checkpoints.newest()) as newest:
            if newest is not None:
                state = restore(newest, self.variables)
                self.result = TrainResult(state["step"], state["scores"], state["best_step"])
                self.without_gain = state["without_gain"]

    def compile(self) -> None:
        """Freeze what does not learn, choose what is computed again, make the optimizer."""
        rates = self.settings.rates or (lambda path: 1.0)
        for variable in self.model.trainable_variables:
            variable.trainable = rates(variable.path) > 0
        if self.settings.gradient_checkpointing:
            for layer in self.model.bert.encoder_layers:
                layer.recompute = True
        jit = bool(gpu_names()) or keras.backend.backend() == "jax"  # op by op it would crawl
        self.model.compile(
            optimizer=optimizer(self.settings), jit_compile=jit, auto_scale_loss=False
        )
        self.model.optimizer.build(self.model.trainable_variables)

    @property
    def variables(self) -> list[Any]:
        """Everything that a step may change."""
        return [*self.model.variables, *self.model.optimizer.variables]

    @property
    def is_over(self) -> bool:
        """Whether no step is left, or patience is at its end."""
        impatient = 0 < self.settings.patience <= self.without_gain
        return impatient or self.result.step >= self.settings.steps

    def go(self, curves: Curves, evaluate: Evaluate | None, progress: Progress) -> None:
        """Do the steps that are left, then take the best weights."""
        while not self.is_over:
            started = time.perf_counter()
            values = self.update()
            took = time.perf_counter() - started
            self.result.step += 1
            self.result.train_s += took
            last = self.result.step == self.settings.steps
            if last or self.result.step % self.settings.log_every == 0:
                curves.add(self.result.step, "train", {**values, "step_s": round(took, 6)})
            progress(self.result.step, self.settings.steps, values)
            if evaluate and self._is_due(self.settings.evaluate_every):
                self.judge(curves, evaluate(self.model))
            if self._is_due(self.settings.save_every):
                self.checkpoints.save_step(self.result.step, self.variables, self._state())
        with of_the_first(self.checkpoints.best()) as best:
            if best is not None:
                restore(best, self.model.variables)

    def update(self) -> dict[str, float]:
        """Do one update of the weights and return the means of its scalars."""
        accumulation, first = self.settings.accumulation, self.result.step
        found = []
        for number in range(first * accumulation, (first + 1) * accumulation):
            batch = self.batches(number)
            self.step = self.step or make_step(self.model, batch)
            found.append(self.step(batch))
        values = {name: sum(float(f[name]) for f in found) / len(found) for name in found[0]}
        if not abs(values["loss"]) < float("inf"):
            raise FloatingPointError(
                f"the loss of step {self.result.step + 1} is {values['loss']}; lower the learning "
                "rate, or train in float32, and start again from the last checkpoint"
            )
        return values

    def judge(self, curves: Curves, scores: dict[str, float]) -> None:
        """Note an evaluation; keep the weights if they are the best so far."""
        curves.add(self.result.step, "evaluate", scores)
        metric = self.settings.metric
        name, sign = metric.lstrip("-"), -1 if metric.startswith("-") else 1
        before = self.result.scores
        if before and sign * scores[name] <= sign * before[name]:
            self.without_gain += 1
            return
        self.result.scores, self.result.best_step = dict(scores), self.result.step
        self.without_gain = 0
        self.checkpoints.save(BEST, self.model.variables, {"scores": scores})

    def _is_due(self, every: int) -> bool:
        last = self.result.step >= self.settings.steps
        return last or (every > 0 and self.result.step % every == 0)

    def _state(self) -> dict[str, Any]:
        return {
            "scores": self.result.scores,
            "best_step": self.result.best_step,
            "without_gain": self.without_gain,
        }


def optimizer(settings: TrainSettings) -> Any:
    """Return the optimizer that settings describe."""
    from bertfeat_tools.training.optimizers import OPTIMIZERS, ScaledLoss, Schedule

    kind, constants = OPTIMIZERS[settings.optimizer]
    rate = Schedule(
        settings.learning_rate, settings.steps, settings.warmup_steps, settings.schedule,
        settings.accumulation, google=settings.optimizer == "google",
    )  # fmt: skip
    made = kind(
        rate, weight_decay=settings.weight_decay, clip=settings.clip,
        accumulation=settings.accumulation, rates=settings.rates, **constants,
    )  # fmt: skip
    return ScaledLoss(made) if settings.precision == "float16" else made
