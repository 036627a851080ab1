"""Several processes, on one machine or many, that train one model under JAX.

Each is started with the same command and its own number, reads the same data and computes its part
of every batch; what is restored comes from the first one's disk, and the first alone writes.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bertfeat.errors import ConfigError

AUTO = "auto"
CHUNK = 1 << 26
"""Bytes of a file that are sent at once."""


@dataclass(frozen=True)
class Hosts:
    """Who trains together.

    Attributes:
        address: ``HOST:PORT`` at which the first one listens; ``auto`` = what a TPU VM, Slurm or
            Open MPI tells, number and count too.
        number: of this process, from 0.
        count: of all.
    """

    address: str
    number: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        name, _, port = self.address.rpartition(":")
        if self.address != AUTO and not (name and port.isdigit()):
            raise ConfigError(
                f"hosts={self.address!r} is neither HOST:PORT of the first process nor {AUTO}"
            )
        if not 0 <= self.number < self.count:
            raise ConfigError(
                f"host number {self.number} of {self.count}: numbers are 0 to {self.count - 1}; "
                "give each process its own"
            )


def join(hosts: Hosts) -> None:
    """Meet the other processes.  Call it before Keras starts.

    From then on stdout is Python's alone: what native code prints there goes to stderr.

    Raises:
        ConfigError: the back end is not JAX.
    """
    if os.environ.get("KERAS_BACKEND") != "jax":
        raise ConfigError("several hosts need the back end jax; set KERAS_BACKEND=jax")
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    if hosts.address == AUTO:
        jax.distributed.initialize()
    else:
        jax.distributed.initialize(hosts.address, hosts.count, hosts.number)
    keep_stdout()


def keep_stdout() -> None:
    """Send to stderr what native code prints on stdout, as Gloo does of its connections."""
    sys.stdout.flush()
    sys.stdout = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding)
    os.dup2(2, 1)


def place() -> tuple[int, int]:
    """Return the number of this process, and of how many it is one: (0, 1) for one alone."""
    jax = sys.modules.get("jax")
    if jax is None or not jax.distributed.is_initialized():
        return 0, 1
    return jax.process_index(), jax.process_count()


def is_first() -> bool:
    """Tell whether this process writes."""
    return place()[0] == 0


@contextmanager
def of_the_first(path: Path | None) -> Iterator[Path | None]:
    """Give each process a file that the first one has, or None where that has None.

    Args:
        path: looked at by the first process only.
    """
    number, count = place()
    if count == 1:
        yield path
        return
    from jax.experimental.multihost_utils import broadcast_one_to_all as sent

    own = path if number == 0 else None
    length = own.stat().st_size if own else 0
    head = divmod(length, CHUNK) if own or number else (-1, 0)
    whole, rest = (int(value) for value in sent(np.array(head, np.int32)))
    if whole < 0:
        yield None
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "sent"
        with copy.open("wb") as file:
            for chunk, size in enumerate([CHUNK] * whole + [rest] * bool(rest)):
                part = np.zeros(size, np.uint8)
                if own:
                    part = np.fromfile(own, np.uint8, size, offset=chunk * CHUNK)
                file.write(np.asarray(sent(part)).tobytes())
        yield own or copy
