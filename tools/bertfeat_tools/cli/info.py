"""``bertfeat info``: what is installed, what it runs on, and why so."""

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import click

import bertfeat
from bertfeat.engine.choose import PRECISIONS
from bertfeat_tools.cli.options import CONTEXT, LOAD

if TYPE_CHECKING:
    from bertfeat.engine.choose import Choice

PACKAGES = (
    "numpy", "tokenizers", "safetensors", "keras", "tensorflow", "tensorflow-cpu", "jax",
    "ai-edge-litert", "pyzmq", "faiss-cpu", "faiss-gpu", "pyarrow", "huggingface_hub",
)  # fmt: skip
REASONS = {
    "litert": "the fastest on a CPU in float32 and int8",
    "tensorflow": "the default for this precision and device; KERAS_BACKEND=jax chooses JAX",
    "jax": "the default",
}


@click.command(context_settings=CONTEXT)
@click.option("--precision", type=click.Choice(PRECISIONS), default="auto", help="What to explain.")
@click.option("--device", default=LOAD.device, metavar="auto|cpu|gpu:N", help="Where to compute.")
@click.option(
    "--model", metavar="NAME_OR_FOLDER", show_default="none is loaded",
    help="Load this model and say how faithful the precision is for it.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def info(precision: str, device: str, model: str | None, as_json: bool) -> None:
    """Show versions, devices, and the engine and precision that would be chosen, with reasons."""
    found = describe(precision, device, model)
    click.echo(json.dumps(found) if as_json else as_text(found))


def describe(precision: str, device: str, model: str | None = None) -> dict[str, Any]:
    """Return what there is to say.

    Args:
        precision: explain this one.
        device: compute here.
        model: load it; None tells what holds for any model.
    """
    from bertfeat.engine.backend import asked_backend, gpu_names

    asked = asked_backend()
    engine, choice = _choose_for(model, precision, device) if model else _choose(precision, device)
    return {
        "bertfeat": bertfeat.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": installed(),
        "cores": os.cpu_count(),
        "accelerators": [] if engine == "litert" else gpu_names(),
        "engine": engine,
        "engine_reason": f"KERAS_BACKEND={asked} asks for it" if asked else REASONS[engine],
        "precision": choice.precision,
        "precision_reason": choice.reason,
    }


def _choose(precision: str, device: str) -> tuple[str, "Choice"]:
    from bertfeat.engine.backend import asked_backend, is_accelerated, load_keras
    from bertfeat.engine.choose import check_engine, choose_precision, runs_under_litert

    check_engine("auto", precision, device)
    accelerated = is_accelerated(device)
    choice = choose_precision(precision, accelerated)
    if runs_under_litert("auto", choice.precision, accelerated):
        return "litert", choice
    load_keras(device)
    return asked_backend() or "tensorflow", choice


def _choose_for(model: str, precision: str, device: str) -> tuple[str, "Choice"]:
    from bertfeat.loading import LoadOptions, load

    loaded = load(model, LoadOptions(precision=precision, device=device))
    return loaded.runtime.engine.name, loaded.choice


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
