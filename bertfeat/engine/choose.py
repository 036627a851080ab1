"""Which precision and which engine run a model on this machine, and why.

The choice goes by what the processor can do, never by timing, so that it is repeatable.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bertfeat.engine.backend import asked_backend, parse_device
from bertfeat.errors import ConfigError

if TYPE_CHECKING:
    from bertfeat.encoder.bert import Bert
    from bertfeat.engine.base import Engine

PRECISIONS = ("auto", "float32", "bfloat16", "float16", "int8")
ENGINES = ("auto", "litert", "keras")
CPU_INFO = Path("/proc/cpuinfo")
FAITHFUL = 0.9999
"""The least mean cosine to float32 of what ``auto`` chooses."""


@dataclass(frozen=True)
class Choice:
    """A precision and the reason for it, in words for the log."""

    precision: str
    reason: str


def check_precision(asked: str) -> None:
    """Check that there is such a precision.

    Raises:
        ConfigError: the precision is none of ``PRECISIONS``.
    """
    if asked not in PRECISIONS:
        raise ConfigError(f"precision={asked!r} is none of {', '.join(PRECISIONS)}")


def check_engine(engine: str, precision: str | None, device: str) -> None:
    """Check that an engine runs a precision on a device.

    Raises:
        ConfigError: there is no such engine, or it does not.
    """
    if engine not in ENGINES:
        raise ConfigError(f"engine={engine!r} is none of {', '.join(ENGINES)}")
    if engine == "litert" and precision not in (None, "float32", "int8"):
        raise ConfigError(f"precision={precision!r}: LiteRT computes in float32 and int8 only")
    if engine == "keras" and precision == "int8":
        raise ConfigError("precision='int8' is computed under LiteRT only; leave engine out")
    if parse_device(device)[0] == "gpu" and (engine == "litert" or precision == "int8"):
        raise ConfigError(f"device={device!r}: LiteRT computes on the CPU only")


def runs_under_litert(engine: str, precision: str, accelerated: bool) -> bool:
    """Tell which engine runs a precision: LiteRT (the faster one on a CPU), else Keras."""
    if engine == "auto" and precision == "float32":
        return not accelerated and asked_backend() is None
    return engine == "litert" or precision == "int8"


def splits_by_size(engine: str, precision: str, accelerated: bool, threads: int) -> bool:
    """Tell whether small batches go to LiteRT in float32, as it answers them sooner."""
    is_slow_to_answer = precision == "bfloat16" and threads > 1
    has_both = engine == "auto" and runs_under_litert("auto", "float32", accelerated)
    return is_slow_to_answer and has_both and find_spec("ai_edge_litert") is not None


def choose_precision(
    asked: str, accelerated: bool, mean_cosine: Callable[[str], float] = lambda _: 1.0
) -> Choice:
    """Turn ``auto`` into the fastest precision that keeps vectors faithful on this hardware.

    Args:
        asked: one of ``PRECISIONS``.
        accelerated: whether a GPU or TPU computes.
        mean_cosine: measures a precision against float32 for the model in question.
    """
    if asked != "auto":
        return Choice(asked, "asked for")
    hardware = _bfloat16_hardware(accelerated)
    if hardware is None:
        return Choice("float32", "this processor has no bfloat16 instructions")
    cosine = mean_cosine("bfloat16")
    if cosine < FAITHFUL:
        return Choice(
            "float32",
            f"{hardware}, but this model's vectors in it have cosine {cosine:.5f} to float32, "
            f"less than {FAITHFUL}",
        )
    return Choice("bfloat16", f"{hardware}, cosine to float32 {cosine:.5f}")


def _bfloat16_hardware(accelerated: bool) -> str | None:
    if accelerated:
        return "GPUs multiply bfloat16 matrices fastest"
    flags = {"avx512_bf16", "amx_bf16"} & cpu_flags()
    return f"this processor has {' and '.join(sorted(flags))}" if flags else None


def cpu_flags() -> set[str]:
    """Return the processor's feature flags as Linux names them (empty elsewhere).

    None that ``ONEDNN_MAX_CPU_ISA`` keeps TensorFlow's kernels from using.
    """
    try:
        text = CPU_INFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    line = next((line for line in text.splitlines() if line.startswith("flags")), "")
    flags = set(line.partition(":")[2].split())
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "ALL").upper()
    if "AMX" not in limit and limit not in ("ALL", "DEFAULT"):
        flags.discard("amx_bf16")
    if "AVX2" in limit or "SSE" in limit or limit in ("AVX", "AVX512_CORE", "AVX512_CORE_VNNI"):
        flags.discard("avx512_bf16")
    return flags


def make_engine(bert: "Bert", precision: str) -> "Engine":
    """Return the engine of Keras's back end for a loaded encoder.

    Raises:
        ConfigError: Keras runs on a back end other than TensorFlow or JAX.
    """
    import keras

    if keras.backend.backend() == "tensorflow":
        from bertfeat.engine.tensorflow_engine import TensorFlowEngine

        return TensorFlowEngine(bert, precision)
    if keras.backend.backend() == "jax":
        from bertfeat.engine.jax_engine import JaxEngine

        return JaxEngine(bert, precision)
    raise ConfigError(
        f"KERAS_BACKEND={keras.backend.backend()!r} cannot run the encoder; "
        "choose tensorflow or jax"
    )
