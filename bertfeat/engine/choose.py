"""Which precision and which engine run a model on this machine, and why.

The choice goes by what the processor can do, never by timing, so that it is repeatable.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bertfeat.engine.backend import gpu_names
from bertfeat.errors import ConfigError

if TYPE_CHECKING:
    from bertfeat.encoder.bert import Bert
    from bertfeat.engine.base import Engine

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Choice:
    """A precision and the reason for it, in words for the log."""

    precision: str
    reason: str


def choose_precision(asked: str) -> Choice:
    """Turn ``auto`` into the fastest precision that keeps vectors faithful on this hardware.

    Raises:
        ConfigError: the precision is none of ``PRECISIONS``.
    """
    if asked not in PRECISIONS:
        raise ConfigError(f"precision={asked!r} is none of {', '.join(PRECISIONS)}")
    if asked != "auto":
        return Choice(asked, "asked for")
    if gpu_names():
        return Choice("bfloat16", "GPUs multiply bfloat16 matrices fastest")
    flags = {"avx512_bf16", "amx_bf16"} & cpu_flags()
    if flags:
        return Choice("bfloat16", f"this processor has {' and '.join(sorted(flags))}")
    return Choice("float32", "this processor has no bfloat16 instructions")


def cpu_flags() -> set[str]:
    """Return the processor's feature flags as Linux names them (empty elsewhere)."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    line = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return set(line.partition(":")[2].split())


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
