"""What a run writes beside its weights: curves as JSON lines and for TensorBoard, a manifest."""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from bertfeat.checkpoints.folder_files import write_json
from bertfeat.checkpoints.whole_file import whole_file
from bertfeat.errors import CheckpointError

METRICS = "metrics.jsonl"
MANIFEST = "manifest.json"
PACKAGES = ("bertfeat", "keras", "tensorflow", "tensorflow-cpu", "jax", "numpy", "tokenizers")


@dataclass
class Curves:
    """Scalars over the steps of one run, in ``metrics.jsonl`` and in TensorBoard's event files.

    Attributes:
        folder: the run's.
        start: update after which the run goes on; later lines of an earlier run are dropped.
    """

    folder: Path
    start: int = 0
    _writer: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / METRICS
        kept = [line for line in read_curves(self.folder) if line["step"] <= self.start]
        with whole_file(path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), "utf-8")
        self._file = path.open("a", encoding="utf-8")

    def add(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        """Append the scalars of a step.

        Args:
            step: updates done.
            kind: ``train`` or ``evaluate``.
            values: the scalars.
        """
        self._file.write(json.dumps({"step": step, "kind": kind, **values}) + "\n")
        self._file.flush()
        self._tensorboard(step, kind, values)

    def close(self) -> None:
        """Flush and close the files."""
        self._file.close()
        if self._writer is not None:
            self._writer.close()

    def _tensorboard(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        import tensorflow as tf

        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.folder / "tensorboard"))
        with self._writer.as_default():
            for name, value in values.items():
                tag = f"{kind}/{name}"
                tf.summary.write(tag, tf.constant(float(value)), step, metadata=_scalar(tag))


class NoCurves(Curves):
    """Curves that are another process's to write."""

    def __post_init__(self) -> None:
        """Open nothing."""

    def add(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        """Append nothing."""

    def close(self) -> None:
        """Close nothing."""


def read_curves(folder: Path) -> list[dict[str, Any]]:
    """Read the lines of a run's ``metrics.jsonl``; a half line at the end is left out."""
    path = folder / METRICS
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def write_manifest(folder: Path, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Note versions, settings and hashes, or check that a run goes on as it began.

    Args:
        folder: the run's.
        settings: everything that decides the outcome.
        facts: hashes of data, vocabulary and weights, and the like.

    Raises:
        CheckpointError: the folder holds a run with other settings or other data.
    """
    path = folder / MANIFEST
    now = {"settings": dict(settings), "facts": dict(facts)}
    if path.is_file():
        before = json.loads(path.read_text("utf-8"))
        changed = [
            f"{name}: was {before[part].get(name)!r}, is {now[part].get(name)!r}"
            for part in now
            for name in sorted({*before[part], *now[part]})
            if before[part].get(name) != json.loads(json.dumps(now[part].get(name)))
        ]
        if changed:
            raise CheckpointError(
                f"{folder} holds a run with other settings or data:\n  " + "\n  ".join(changed)
                + "\nChoose another folder, or delete this one to begin anew"
            )  # fmt: skip
        return
    write_json(path, {**now, "versions": versions(), "machine": platform.platform()})


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that compute."""
    installed = {dist.metadata["Name"].lower(): dist.version for dist in metadata.distributions()}
    found = {name: installed[name] for name in PACKAGES if name in installed}
    return {"python": platform.python_version(), **found}


def _scalar(tag: str) -> Any:
    from tensorflow.core.framework import summary_pb2

    plugin = summary_pb2.SummaryMetadata.PluginData(plugin_name="scalars")
    return summary_pb2.SummaryMetadata(plugin_data=plugin, display_name=tag)
