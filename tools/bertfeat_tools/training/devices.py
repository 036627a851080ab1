"""Where a run computes: several devices, each with a part of every batch, and other platforms.

Over JAX only, through ``keras.distribution``: weights are copied to each device, rows of a batch
are dealt out, and gradients are summed; so the outcome is that of one device to rounding.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bertfeat.errors import ConfigError
from bertfeat_tools.training.batches import Batch, Batches
from bertfeat_tools.training.hosts import place


def use_devices(count: int) -> None:
    """Let all models that are made from here on live on several devices.  Call it after ``start``.

    Args:
        count: devices of this machine, and of each other host; 1 = as the back end does by itself.

    Raises:
        ConfigError: the back end is not JAX, or sees fewer devices.
    """
    _, hosts = place()
    if count * hosts == 1:
        return
    import keras

    if keras.backend.backend() != "jax":
        raise ConfigError(
            f"devices={count} needs the back end jax, got {keras.backend.backend()}; set "
            "KERAS_BACKEND=jax, or train on one device"
        )
    import jax

    chosen: list[str] = []
    for host in range(hosts):
        found = [f"{d.platform}:{d.id}" for d in jax.devices() if d.process_index == host]
        if count > len(found):
            raise ConfigError(
                f"devices={count}, but host {host} has {len(found)}: {', '.join(found)}; ask for "
                "as many at most"
            )
        chosen += found[:count]
    from bertfeat_tools.training.parallel import DataParallel

    # Hosts have even parts of each batch (`dealt`), which only Keras's own class puts together.
    parallel = DataParallel if hosts == 1 else keras.distribution.DataParallel
    keras.distribution.set_distribution(parallel(devices=chosen))


def dealt(batches: Batches, count: int) -> Batches:
    """Return this host's part of batches that so many devices of each share (`even_rows`)."""
    number, hosts = place()
    if count * hosts == 1:
        return batches

    def part(step: int) -> Batch:
        whole = even_rows(batches(step), count * hosts)
        return {name: np.split(array, hosts)[number] for name, array in whole.items()}

    return part


def even_rows(batch: Batch, count: int) -> Batch:
    """Add rows of zeros, padding alone, until those of each array are a multiple of the devices."""
    return {
        name: np.pad(array, [(0, -len(array) % count)] + [(0, 0)] * (array.ndim - 1))
        for name, array in batch.items()
    }


def lower(model: Any, batch: Batch, platforms: Sequence[str] = ("tpu", "cuda")) -> Any:
    """Compile one training step for platforms that need not be on this machine, under JAX.

    Args:
        model: compiled, its optimizer built.
        batch: whose shapes the step is for.
        platforms: JAX's names of them.

    Returns:
        A ``jax.export.Exported``, whose ``mlir_module()`` is the program in StableHLO.
    """
    import jax
    from jax import export

    kinds = ("trainable_variables", "non_trainable_variables", "metrics_variables")
    trainable, other, metrics = ([v.value for v in getattr(model, kind)] for kind in kinds)
    state = (trainable, other, [v.value for v in model.optimizer.variables], metrics)
    return export.export(jax.jit(model.train_step), platforms=platforms)(state, (batch,))
