"""From a model's folder to a loaded runtime: weights into the graph, settings checked."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from bertfeat.checkpoints import check_vocabulary, detect, lite, model_hash, read, resolve
from bertfeat.checkpoints.lite_cache import lite_folder
from bertfeat.checkpoints.model_folder import ModelFolder
from bertfeat.engine.backend import (
    asked_backend,
    gpu_names,
    is_accelerated,
    load_keras,
    usable_cores,
    uses_onednn,
)
from bertfeat.engine.base import Engine
from bertfeat.engine.choose import (
    Choice,
    check_engine,
    check_precision,
    choose_precision,
    make_engine,
    runs_under_litert,
    splits_by_size,
)
from bertfeat.engine.lite_engine import LiteEngine
from bertfeat.engine.lite_runner import LiteRunner
from bertfeat.engine.sized_engine import SizedEngine
from bertfeat.errors import ConfigError
from bertfeat.extras import require
from bertfeat.features.dtypes import read_ranges
from bertfeat.features.heads import score_activation
from bertfeat.features.runtime import Runtime
from bertfeat.features.spec import PLAIN, DenseKey
from bertfeat.fidelity import Fidelity, measure, remembered
from bertfeat.tokenization import Tokenizer

BATCH_TOKENS = {"litert": 1024, "keras": 2048, "gpu": 16384}
"""Few enough for the processor's caches, enough to outweigh what each operation costs."""


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How a model is loaded and run.

    Attributes:
        precision: ``auto``, ``float32``, ``bfloat16``, ``float16`` or ``int8``; None = what a lite
            folder holds, float32 for any other.
        engine: ``litert`` (a CPU, float32 and int8), ``keras`` (everything else, in TensorFlow or
            what ``KERAS_BACKEND`` names), or ``auto`` (whichever is faster; in bfloat16 on a CPU
            batches of a few tokens are computed in float32 under LiteRT).
        device: ``auto`` (a GPU if there is one), ``cpu`` or ``gpu:N``.
        offline: never ask the network for the model.
        max_seq_len: tokens read of each text; None = what the model's folder says.
        batch_tokens: rows × longest row of one batch; None = what suits the device.
        threads: cores that one operation may use; None leaves it to the back end.
        batch_invariant: compute each text alone, so that its vector is the same to the last bit
            whatever else the call holds; slower.
        lowercase: overrides what the tokenizer's files say.
        progress: show a progress bar while fetching, if stderr is a terminal.
    """

    precision: str | None = None
    engine: str = "auto"
    device: str = "auto"
    offline: bool = False
    max_seq_len: int | None = None
    batch_tokens: int | None = None
    threads: int | None = None
    batch_invariant: bool = False
    lowercase: bool | None = None
    progress: bool = True


@dataclass(frozen=True)
class Loaded:
    """A loaded model: how to run it, where it came from and why in this precision.

    Attributes:
        score_activation: what follows the classification head, float32 (n, labels) to the same.
    """

    runtime: Runtime
    folder: Path
    choice: Choice
    score_activation: Callable[[np.ndarray], np.ndarray]


def load(name: str | Path, options: LoadOptions) -> Loaded:
    """Resolve a model's name, read its folder and put its weights into an engine.

    Raises:
        ModelNotFound, CheckpointError, ConfigError, VocabularyError: as their names say.
        MissingExtra: packages that this model or precision needs are not installed.
    """
    check_precision(options.precision or "float32")
    if options.batch_tokens is not None and options.batch_tokens < 1:
        raise ConfigError(f"batch_tokens={options.batch_tokens} is not a positive number of tokens")
    check_engine(options.engine, options.precision, options.device)
    folder = resolve(str(name), offline=options.offline, progress=options.progress)
    int8 = options.precision == "int8" or detect(folder) == "lite"
    if not int8:
        require(f"{folder}, no lite folder,", "safetensors")
    model = read(lite_folder(folder, progress=options.progress) if int8 else folder)
    tokenizer = Tokenizer.from_folder(model.tokenizer_folder, lowercase=options.lowercase)
    check_vocabulary(model, tokenizer)
    parts = Parts(model, tokenizer, options)
    runtime, choice = parts.int8() if int8 else parts.floating()
    return Loaded(runtime, folder, choice, score_activation(model))


@dataclass(frozen=True)
class Parts:
    """What a runtime is put together from.

    Attributes:
        model: as read.
        tokenizer: the model's.
        options: those of the load.
    """

    model: ModelFolder
    tokenizer: Tokenizer
    options: LoadOptions

    def int8(self) -> tuple[Runtime, Choice]:
        """Put a lite folder under LiteRT.

        Raises:
            ConfigError: another precision, engine or device is asked for.
        """
        if self.options.precision not in (None, "auto", "int8"):
            raise ConfigError(
                f"precision={self.options.precision!r}: {self.model.folder} is a lite folder, "
                "which computes in int8 only; load the model that it was made from"
            )
        check_engine(self.options.engine, "int8", self.options.device)
        runner = self._runner(self.model.folder / lite.GRAPH)
        noted = lite.fidelity(self.model.folder)
        faithful = str(Fidelity.from_dict(noted)) if noted else "fidelity not measured"
        reason = "asked for" if self.options.precision == "int8" else "the folder is a lite one"
        engine = LiteEngine(runner, self.model.config, self.model.tensors)
        choice = Choice("int8", f"{reason}; {faithful}")
        return self._runtime(engine, BATCH_TOKENS["litert"]), choice

    def floating(self) -> tuple[Runtime, Choice]:
        """Put float weights under LiteRT or into a graph of Keras's back end."""
        accelerated = is_accelerated(self.options.device, self.options.threads)
        made = cache(lambda precision: self._floating_runtime(precision, accelerated))

        def mean_cosine(precision: str) -> float:
            return self._fidelity(precision, made).mean_cosine

        choice = choose_precision(self.options.precision or "float32", accelerated, mean_cosine)
        return made(choice.precision), choice

    def _floating_runtime(self, precision: str, accelerated: bool) -> Runtime:
        engine = self.options.engine
        if engine == "auto" and self.model.config.is_decoder:
            engine = "keras"  # the lite graph has no causal attention
        if runs_under_litert(engine, precision, accelerated):
            # by its folder, so that the engine holds no layers besides the runner's
            other = partial(_exact_engine, self.model.folder, self.options)
            return self._runtime(self._litert_engine(other), BATCH_TOKENS["litert"])
        made = large = _keras_engine(self.model, self.options, precision)
        if splits_by_size(engine, precision, accelerated, self._threads):
            made = SizedEngine(self._litert_engine(lambda: large), large)
        return self._runtime(made, BATCH_TOKENS["gpu" if gpu_names() else "keras"])

    def _fidelity(self, precision: str, made: Callable[[str], Runtime]) -> Fidelity:
        """Return the fidelity of a precision, measured once for each model and back end."""
        key = f"{model_hash(self.model.folder)[:16]}-{asked_backend() or 'default'}-{precision}"
        return remembered(key, lambda: measure(made(precision), made("float32")))

    def _litert_engine(self, make_other: Callable[[], Engine]) -> LiteEngine:
        """Put float weights under LiteRT; `make_other` is asked for what the file has not."""
        from bertfeat.engine.lite_convert import convert

        model = self.model
        runner = self._runner(convert(model.config, model.tensors, int8=False))
        kept = {n: np.asarray(a, np.float32) for n, a in lite.kept(model.tensors).items()}
        return LiteEngine(runner, model.config, kept, "float32", make_other)

    def _runner(self, graph: Path | bytes) -> LiteRunner:
        require("LiteRT", "ai_edge_litert", extra="lite")
        return LiteRunner(graph, self._threads)

    @property
    def _threads(self) -> int:
        return self.options.threads or usable_cores()

    def _runtime(self, engine: Engine, batch_tokens: int) -> Runtime:
        model, options = self.model, self.options
        modules = model.sentence or PLAIN
        return Runtime(
            config=model.config,
            tokenizer=self.tokenizer,
            engine=engine,
            heads=tuple(head for head in _heads(model) if "/" not in head),
            modules=modules,
            dense=tuple(DenseKey(layer) for layer in modules.dense),
            is_plain=model.sentence is None,
            max_seq_len=self._max_seq_len(modules.max_seq_length),
            batch_tokens=options.batch_tokens or batch_tokens,
            ranges=read_ranges(model.folder),
            batch_invariant=options.batch_invariant,
        )

    def _max_seq_len(self, stated: int | None) -> int:
        asked, positions = self.options.max_seq_len, self.model.config.max_position_embeddings
        if asked is not None and not 3 <= asked <= positions:
            raise ConfigError(
                f"max_seq_len={asked} is not from 3 to the model's {positions} positions"
            )
        return min(asked or stated or self.tokenizer.max_length or positions, positions)


def _heads(model: ModelFolder) -> tuple[str, ...]:
    from bertfeat.encoder.names import HEADS

    groups = {name.partition("/")[0] for name in model.tensors}
    untied = ("masked_lm/decoder",) if "masked_lm/decoder" in model.tensors else ()
    return tuple(head for head in HEADS if head in groups) + untied


def _exact_engine(folder: Path, options: LoadOptions) -> Engine:
    return _keras_engine(read(folder), options, "float32")


def _keras_engine(model: ModelFolder, options: LoadOptions, precision: str) -> Engine:
    """Put a model's weights into a graph of Keras's back end."""
    backend = asked_backend() or "tensorflow"
    require(f"{precision} under {backend}", "keras", backend)
    load_keras(options.device, options.threads)
    from bertfeat.encoder.bert import Bert

    heads = _heads(model)
    labels = model.tensors["classifier/bias"].shape[0] if "classifier" in heads else 2
    config = replace(model.config, initializer_range=0.0)
    # oneDNN's softmax of bfloat16 adds up in float32
    scores = "bfloat16" if precision == "bfloat16" and uses_onednn() else "float32"
    bert = Bert(config, heads=heads, num_labels=labels, dtype=precision, score_dtype=scores)
    bert.assign(model.tensors)
    return make_engine(bert, precision)
