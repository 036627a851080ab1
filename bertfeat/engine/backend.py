"""Keras and its back end: set up once for the process, loaded without C++ chatter.

TensorFlow writes some lines to file descriptor 2 before any of its log settings apply, so the
descriptor itself is held while it starts; whatever is not known chatter is passed on afterwards.
Device and threads are settings of the whole process, read when the back end starts.
"""

import logging
import os
import platform
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bertfeat.errors import ConfigError

CHATTER = re.compile(
    rb"oneDNN|absl::InitializeLog|cpu_feature_guard|rebuild TensorFlow|cuda|CUDA|cuInit|TensorRT|"
    rb"computation_placer|XNNPACK delegate|Unable to register|gpu_device|xla/service|XLA service"
)
_LOCK = threading.Lock()
_HOLDING = threading.RLock()
_started: tuple[str, int | None] | None = None
_asked_backend: str | None = None
ACCELERATORS = ("nvidia[0-9]*", "kfd", "dxg", "accel*", "vfio/[0-9]*")
"""Device files of GPUs and TPUs."""


def load_keras(device: str = "auto", threads: int | None = None) -> None:
    """Import Keras and start its back end, quietly; later calls only check their settings.

    Args:
        device: ``auto`` (a GPU if there is one), ``cpu`` or ``gpu:N``.
        threads: cores that one operation may use; None leaves it to the back end.

    Raises:
        ConfigError: there is no such device, or the back end runs already with other settings.
    """
    global _started
    with _LOCK:
        if _started is None:
            _set_environment(device, threads)
            with quiet_stderr():
                _wake_up()
            _check_device(device)
            _started = (device, threads)
        asked = (device if device != "auto" else _started[0], threads or _started[1])
        if asked != _started:
            raise ConfigError(
                f"device={device!r}, threads={threads} were asked for, but this process already "
                f"computes with device={_started[0]!r}, threads={_started[1]}; use a new process"
            )


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold what is written to file descriptor 2 and pass on afterwards what is not chatter."""
    with _HOLDING, tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        saved = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            passed = b"".join(line for line in held if not CHATTER.search(line))
            if passed:
                os.write(2, passed)


def _set_environment(device: str, threads: int | None) -> None:
    kind, number = parse_device(device)
    global _asked_backend
    _asked_backend = os.environ.get("KERAS_BACKEND")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if kind == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        os.environ["JAX_PLATFORMS"] = "cpu"
    elif kind == "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = number or "0"
    if threads is not None:
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)


def _wake_up() -> None:
    import keras

    keras.ops.convert_to_tensor(0)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def _check_device(device: str) -> None:
    if device.startswith("gpu") and not gpu_names():
        raise ConfigError(f"device={device!r} is not on this machine; choose cpu or auto")


def parse_device(device: str) -> tuple[str, str]:
    """Return the kind and the number of a device: ``gpu:1`` is ("gpu", "1").

    Raises:
        ConfigError: it is none.
    """
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "gpu") or (number and not number.isdigit()):
        raise ConfigError(f"device={device!r} is none of auto, cpu, gpu:0, gpu:1 …")
    return kind, number


def asked_backend() -> str | None:
    """Return the back end that ``KERAS_BACKEND`` asks for, None where it leaves the choice."""
    return os.environ.get("KERAS_BACKEND") if _started is None else _asked_backend


def is_accelerated(device: str, threads: int | None = None) -> bool:
    """Tell whether a GPU or TPU computes; starts the back end only where there may be one."""
    if device == "cpu" or not any(any(Path("/dev").glob(name)) for name in ACCELERATORS):
        return False
    load_keras(device, threads)
    return bool(gpu_names())


def usable_cores() -> int:
    """Count the processor cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def gpu_names() -> list[str]:
    """Return the GPUs (or TPUs) that the started back end sees."""
    import keras

    return [name for name in keras.distribution.list_devices() if not name.startswith("cpu")]


def uses_onednn() -> bool:
    """Tell whether the started back end is TensorFlow with oneDNN's kernels, which it fuses."""
    import keras

    is_x86 = platform.machine().lower() in ("x86_64", "amd64")
    is_on = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") != "0"
    return is_x86 and is_on and keras.backend.backend() == "tensorflow" and not gpu_names()
