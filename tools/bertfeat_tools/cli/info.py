"""``bertfeat info``: what is installed, what it runs on, and why so."""

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

import bertfeat
from bertfeat_tools.cli.options import CONTEXT, LOAD, PRECISIONS

PACKAGES = (
    "numpy", "tokenizers", "safetensors", "keras", "tensorflow", "tensorflow-cpu", "jax",
    "ai-edge-litert", "pyzmq", "faiss-cpu", "faiss-gpu", "pyarrow", "huggingface_hub",
)  # fmt: skip
DEFAULT_ENGINE = "the default; KERAS_BACKEND=jax chooses the other"


@click.command(context_settings=CONTEXT)
@click.option("--precision", type=click.Choice(PRECISIONS), default="auto", help="What to explain.")
@click.option("--device", default=LOAD.device, metavar="auto|cpu|gpu:N", help="Where to compute.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def info(precision: str, device: str, as_json: bool) -> None:
    """Show versions, devices, and the engine and precision that would be chosen, with reasons."""
    found = describe(precision, device)
    click.echo(json.dumps(found) if as_json else as_text(found))


def describe(precision: str, device: str) -> dict[str, Any]:
    """Return what there is to say.

    Args:
        precision: explain this one.
        device: compute here.
    """
    from bertfeat.engine.backend import gpu_names, load_keras
    from bertfeat.engine.choose import choose_precision

    chosen = os.environ.get("KERAS_BACKEND")
    load_keras(device)
    choice = choose_precision(precision)
    return {
        "bertfeat": bertfeat.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": installed(),
        "cores": os.cpu_count(),
        "accelerators": gpu_names(),
        "engine": os.environ["KERAS_BACKEND"],
        "engine_reason": f"KERAS_BACKEND={chosen} asks for it" if chosen else DEFAULT_ENGINE,
        "precision": choice.precision,
        "precision_reason": choice.reason,
    }


def installed() -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def as_text(found: dict[str, Any]) -> str:
    """Lay the description out as lines."""
    packages = [f"  {name:<16} {number}" for name, number in found["packages"].items()]
    lines = [
        f"bertfeat    {found['bertfeat']}, Python {found['python']}, {found['system']}",
        "packages",
        *packages,
        f"devices     {found['cores']} CPU cores, "
        f"{', '.join(found['accelerators']) or 'no GPU or TPU'}",
        f"engine      {found['engine']}: {found['engine_reason']}",
        f"precision   {found['precision']}: {found['precision_reason']}",
    ]
    return "\n".join(lines)
