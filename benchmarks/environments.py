"""Install the peers, each family in an environment of its own, and make their form of the model.

All of it lies below ``.venv-peers``.

``requirements/peers.txt`` says what belongs to which. What will not install is told by one line,
remembered, and tried again once its folder is gone or its pins have changed.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path

from bertfeat.checkpoints import model_hash
from child import HERE, LOCAL_ONLY, Failed, one_line

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".venv-peers"
PINS = ROOT / "requirements" / "peers.txt"
LEFT_OUT = ROOT / "requirements" / "peers-without.txt"
LIMIT_S = 1800
MAKERS = {"onnx": "onnx", "gguf": "llama"}
"""Environments that make a form, where its name is not theirs."""


def pins() -> dict[str, list[str]]:
    """Read which packages each environment has: a line ``# [name]`` opens its part."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in PINS.read_text("utf-8").splitlines():
        if line.startswith("# ["):
            name = line[3:-1]
        elif line and not line.startswith("#"):
            found.setdefault(name, []).append(line)
    return found


def python_of(environment: str) -> Path:
    """Return an environment's interpreter; the empty name is our own."""
    return PEERS / environment / "bin" / "python" if environment else Path(sys.executable)


def install(environment: str) -> str:
    """Make an environment if need be; return why it cannot be had, or an empty string."""
    wanted = pins()[environment]
    stamp = PEERS / environment / "installed.json"
    if stamp.is_file():
        before = json.loads(stamp.read_text("utf-8"))
        if before["pins"] == wanted:
            return str(before["reason"])
    print(f"installing {', '.join(wanted)} into {stamp.parent}", file=sys.stderr)
    reason = _install(environment, wanted)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(json.dumps({"pins": wanted, "reason": reason}) + "\n", "utf-8")
    return reason


def obtain(environment: str, form: str, model: Path) -> Path:
    """Install an environment and return the model's folder in the form that is read there.

    Raises:
        Failed: one of the two cannot be had.
    """
    if environment and (reason := install(environment)):
        raise Failed(reason)
    if not form:
        return model
    target = PEERS / "models" / model_hash(model)[:12] / form
    if not target.exists():
        print(f"making {target}", file=sys.stderr)
        script = str(HERE / "exports.py")
        maker = MAKERS.get(form, form)
        if (reason := install(maker)) or (
            reason := _run(
                [str(python_of(maker)), script, form, str(model), str(target)], LOCAL_ONLY
            )
        ):
            raise Failed(f"no {form} model: {reason}")
    return target


def versions(names: Sequence[str], environment: str = "") -> dict[str, str]:
    """Return which of these packages an environment has, and in which versions."""
    places = [str(path) for path in (PEERS / environment).glob("lib/python*/site-packages")]
    found = {
        each.metadata["Name"].lower().replace("_", "-"): each.version
        for each in distributions(path=places if environment else sys.path)
    }
    return {name: found[name] for name in names if name in found}


def _install(environment: str, wanted: list[str]) -> str:
    try:
        from uv import find_uv_bin
    except ImportError:
        return "the package uv is missing; the extra [dev] brings it"
    links = os.environ.get("PIP_FIND_LINKS")  # uv reads no setting of pip's
    extra = {"UV_FIND_LINKS": ",".join(links.split())} if links else {}
    uv, folder = find_uv_bin(), str(PEERS / environment)
    return _run(
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], extra
    ) or _run(
        [uv, "pip", "install", "--quiet", "--python", str(python_of(environment)),
         "--override", str(LEFT_OUT), *wanted], extra,
    )  # fmt: skip


def _run(command: list[str], extra: Mapping[str, str]) -> str:
    """Run a program to its end; return why it failed, or an empty string."""
    try:
        done = subprocess.run(
            command, env=os.environ | extra, capture_output=True, text=True, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired:
        return f"it took more than {LIMIT_S} s"
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if line.strip()] or ["without a word"]
    return one_line(lines[-1] if "Traceback" in done.stderr else " ".join(lines))
