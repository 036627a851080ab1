"""Which models a server serves, and how they are computed."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bertfeat.engine.backend import usable_cores
from bertfeat.engine.choose import PRECISIONS
from bertfeat_server.settings.group import Group, option
from bertfeat_server.tasks import kind_of

DEFAULT_MODEL = "all-MiniLM-L6-v2"


@dataclass(frozen=True, kw_only=True)
class Models(Group):
    """Models, workers and their arithmetic."""

    model: tuple[str, ...] = option(
        (DEFAULT_MODEL,), "Model to serve, NAME=FOLDER or a name or folder; repeat for several."
    )
    task: tuple[str, ...] = option(
        (), "Trained head to serve, NAME=FOLDER; repeat for several.", shown="none"
    )
    lazy: bool = option(False, "Load each model but the first when it is asked for.")
    unload_after_s: float = option(
        0.0, "Seconds after which a model that nobody asks for is unloaded, until it is asked for.",
        names=("--unload-after",), shown="never",
    )  # fmt: skip
    workers: int = option(1, "Worker processes for each model.")
    index: str | None = option(None, "FAISS index to serve.", metavar="FOLDER", shown="no index")
    precision: str = option("auto", "Arithmetic of the workers.", choices=PRECISIONS)
    device: str = option("auto", "auto, cpu, or gpu:0,1 with one worker for each GPU.")
    threads: int | None = option(None, "Threads of a worker.", shown="its share of the cores")
    batch_invariant: bool = option(
        False, "Compute each text alone: the same bits whatever shares its batch; slower."
    )
    max_seq_len: int | None = option(
        None,
        "Tokens read of each text, at most what the model reads.",
        names=("--max-seq-length",),
        shown="the model's own",
    )
    offline: bool = option(False, "Never fetch a model over the network.")
    encoder_factory: str = option(
        "bertfeat_server.worker:load_encoder", "Python path of the loader of encoders.", hidden=True
    )

    @cached_property
    def models(self) -> dict[str, str]:
        """Name to name-or-folder of every model; the first is the default one."""
        return dict(name_model(text) for text in self.model)

    @cached_property
    def tasks(self) -> dict[str, str]:
        """Name to folder of every trained head."""
        return dict(name_model(text) for text in self.task)

    @cached_property
    def task_ops(self) -> dict[str, str]:
        """Name of every trained head to the operation that it answers."""
        return {name: kind_of(folder) for name, folder in self.tasks.items()}

    @cached_property
    def served(self) -> dict[str, str]:
        """Name to source of all that has workers: models, then tasks."""
        return self.models | self.tasks

    @property
    def devices(self) -> tuple[str, ...]:
        """The device of each worker of a model."""
        kind, _, numbers = self.device.partition(":")
        listed = [f"{kind}:{number}" for number in numbers.split(",")] if numbers else [kind]
        count = max(self.workers, len(listed))
        return tuple(listed[number % len(listed)] for number in range(count))

    @property
    def worker_threads(self) -> int:
        """Threads of one worker: as told, else its share of the cores."""
        return self.threads or max(1, usable_cores() // (len(self.devices) * len(self.served)))

    def wrong(self) -> Iterator[str]:
        """Say what cannot be."""
        yield from self._not_positive(["workers", "threads", "max_seq_len"])
        yield from self._negative(["unload_after_s"])
        if self.lazy and self.index is not None:
            yield "lazy=True: the index needs its model from the start"
        named = [name_model(text) for text in (*self.model, *self.task)]
        if not self.model or not all(name and source for name, source in named):
            yield f"model={(*self.model, *self.task)!r} is not NAME=FOLDER, a name or a folder"
        if len({name for name, _ in named}) < len(named):
            yield f"model={(*self.model, *self.task)!r} gives one name twice; write NAME=FOLDER"
        kind, _, numbers = self.device.partition(":")
        if kind not in ("auto", "cpu", "gpu") or (
            numbers and not (kind == "gpu" and all(n.isdigit() for n in numbers.split(",")))
        ):
            yield f"device={self.device!r} is none of auto, cpu, gpu, gpu:0,1"


def name_model(text: str) -> tuple[str, str]:
    """Return the name and the source of a model that is given as ``NAME=FOLDER`` or shorter."""
    if text.startswith(("https://", "http://")):
        return Path(text.partition("#")[0]).name.partition(".")[0], text
    name, equals, source = text.partition("=")
    if equals:
        return name, source
    return (Path(text).expanduser().resolve().name if Path(text).is_dir() else text), text
