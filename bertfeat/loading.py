"""From a model's folder to a loaded runtime: weights into the graph, settings checked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bertfeat.checkpoints import check_vocabulary, read, resolve
from bertfeat.checkpoints.model_folder import ModelFolder
from bertfeat.config import EncoderConfig
from bertfeat.engine.backend import gpu_names, load_keras
from bertfeat.engine.choose import Choice, choose_precision, make_engine
from bertfeat.errors import ConfigError
from bertfeat.features.dtypes import read_ranges
from bertfeat.features.runtime import Runtime
from bertfeat.features.spec import PLAIN, DenseKey
from bertfeat.tokenization import Tokenizer

if TYPE_CHECKING:
    from bertfeat.encoder.bert import Bert


CPU_BATCH_TOKENS = 512
"""A batch whose activations stay in the processor's caches: larger ones wait for memory."""
GPU_BATCH_TOKENS = 16384


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How a model is loaded and run.

    Attributes:
        precision: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
        device: ``auto`` (a GPU if there is one), ``cpu`` or ``gpu:N``.
        offline: never ask the network for the model.
        max_seq_len: tokens read of each text; None = what the model's folder says.
        batch_tokens: rows × longest row of one batch; None = what suits the device.
        threads: cores that one operation may use; None leaves it to the back end.
        lowercase: overrides what the tokenizer's files say.
        progress: show a progress bar while fetching, if stderr is a terminal.
    """

    precision: str = "float32"
    device: str = "auto"
    offline: bool = False
    max_seq_len: int | None = None
    batch_tokens: int | None = None
    threads: int | None = None
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
    """
    if options.batch_tokens is not None and options.batch_tokens < 1:
        raise ConfigError(f"batch_tokens={options.batch_tokens} is not a positive number of tokens")
    folder = resolve(str(name), offline=options.offline, progress=options.progress)
    model = read(folder)
    tokenizer = Tokenizer.from_folder(model.tokenizer_folder, lowercase=options.lowercase)
    check_vocabulary(model, tokenizer)
    load_keras(options.device, options.threads)
    choice = choose_precision(options.precision)
    modules = model.sentence or PLAIN
    heads = _heads(model)
    runtime = Runtime(
        config=model.config,
        tokenizer=tokenizer,
        engine=make_engine(_bert(model, heads, choice.precision), choice.precision),
        heads=tuple(head for head in heads if "/" not in head),
        modules=modules,
        dense=tuple(DenseKey(layer) for layer in modules.dense),
        is_plain=model.sentence is None,
        max_seq_len=_max_seq_len(
            options.max_seq_len, modules.max_seq_length, tokenizer, model.config
        ),
        batch_tokens=options.batch_tokens
        or (GPU_BATCH_TOKENS if gpu_names() else CPU_BATCH_TOKENS),
        ranges=read_ranges(folder),
    )
    return Loaded(runtime, folder, choice, _score_activation(model))


def _heads(model: ModelFolder) -> tuple[str, ...]:
    from bertfeat.encoder.names import HEADS

    groups = {name.partition("/")[0] for name in model.tensors}
    untied = ("masked_lm/decoder",) if "masked_lm/decoder" in model.tensors else ()
    return tuple(head for head in HEADS if head in groups) + untied


def _bert(model: ModelFolder, heads: tuple[str, ...], precision: str) -> "Bert":
    from bertfeat.encoder.bert import Bert

    labels = model.tensors["classifier/bias"].shape[0] if "classifier" in heads else 2
    config = replace(model.config, initializer_range=0.0)
    bert = Bert(config, heads=heads, num_labels=labels, dtype=precision)
    bert.assign(model.tensors)
    return bert


def _max_seq_len(
    asked: int | None, modules: int | None, tokenizer: Tokenizer, config: EncoderConfig
) -> int:
    positions = config.max_position_embeddings
    if asked is not None and not 3 <= asked <= positions:
        raise ConfigError(f"max_seq_len={asked} is not from 3 to the model's {positions} positions")
    return min(asked or modules or tokenizer.max_length or positions, positions)


def _score_activation(model: ModelFolder) -> Callable[[np.ndarray], np.ndarray]:
    """Return what sentence-transformers' CrossEncoder puts behind a model's logits."""
    saved = model.raw_config.get("sentence_transformers")
    saved = saved.get("activation_fn") if isinstance(saved, Mapping) else None
    name = str(saved or model.raw_config.get("sbert_ce_default_activation_function") or "")
    single = "classifier/bias" in model.tensors and len(model.tensors["classifier/bias"]) == 1
    if name.endswith("Sigmoid") or (not name and single):
        return lambda logits: 1 / (1 + np.exp(-logits))
    if name.endswith("Identity") or not name:
        return lambda logits: logits
    raise ConfigError(f"config.json: the score activation {name!r} is none of Identity, Sigmoid")
