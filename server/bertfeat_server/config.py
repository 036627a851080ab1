"""The settings of a server, each stated once: default, meaning and limits.

The command line is made from these fields (see ``options``): a field ``max_wait_ms`` is the option
``--max-wait-ms`` and the environment variable ``BERTFEAT_SERVE_MAX_WAIT_MS``.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from bertfeat.engine.backend import usable_cores
from bertfeat.engine.choose import PRECISIONS
from bertfeat.errors import ConfigError
from bertfeat.features.options import COMBINATIONS, POOLING_ALIASES, POOLINGS

DEFAULT_MODEL = "all-MiniLM-L6-v2"
COMBINED = tuple(name for name in COMBINATIONS if name != "weighted")
POOLED = (*POOLINGS, *POOLING_ALIASES)
LOG_LEVELS = ("debug", "info", "warning", "error")
POSITIVE = (
    "workers", "max_batch_tokens", "max_queue_tokens", "max_request_texts", "max_text_chars",
    "default_timeout_s", "worker_timeout_s", "threads", "max_seq_len",
)  # fmt: skip


def _option(default: Any, help: str, **more: Any) -> Any:
    return field(default=default, metadata={"help": help, **more})


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """What ``bertfeat-serve start`` may be told.

    Raises:
        ConfigError: on construction, one that lists everything that cannot be.
    """

    host: str = _option("127.0.0.1", "Address to listen on.")
    port: int = _option(5557, "TCP port for clients; 0 takes a free one.")
    endpoint: str = _option(
        "", "ZeroMQ endpoint for clients instead: ipc://PATH.", shown="tcp://HOST:PORT"
    )
    http_port: int = _option(0, "HTTP port; this version serves ZeroMQ only, so 0 = off.")
    model: tuple[str, ...] = _option(
        (DEFAULT_MODEL,), "Model to serve, NAME=FOLDER or a name or folder; repeat for several."
    )
    workers: int = _option(1, "Worker processes for each model.")
    max_batch_tokens: int = _option(2048, "Estimated tokens computed together at most.")
    max_wait_ms: float = _option(0.0, "Time that a batch which is not full waits for more texts.")
    max_queue_tokens: int = _option(
        1_000_000, "Estimated tokens that may wait; beyond it requests are told to come back."
    )
    max_request_texts: int = _option(4096, "Texts in one request at most.")
    max_text_chars: int = _option(100_000, "Characters in one text at most.")
    default_timeout_s: float = _option(60.0, "Time a request has unless it says otherwise.")
    worker_timeout_s: float = _option(
        120.0, "Time after which a worker that is still busy with one batch is replaced."
    )
    drain_timeout_s: float = _option(30.0, "Time that running requests get when the server stops.")
    index: str | None = _option(None, "FAISS index to serve.", metavar="FOLDER", shown="no index")
    precision: str = _option("auto", "Arithmetic of the workers.", choices=PRECISIONS)
    device: str = _option("auto", "auto, cpu, or gpu:0,1 with one worker for each GPU.")
    threads: int | None = _option(None, "Threads of a worker.", shown="its share of the cores")
    batch_invariant: bool = _option(
        False, "Compute each text alone: the same bits whatever shares its batch; slower."
    )
    max_seq_len: int | None = _option(
        None,
        "Tokens read of each text, at most what the model reads.",
        names=("--max-seq-length",),
        shown="the model's own",
    )
    layers: str | None = _option(
        None, "Layers of encode where a request names none: -1, -4: or all.", shown="the model's"
    )
    combine: str | None = _option(
        None, "Likewise, how layers are combined.", choices=COMBINED, shown="the model's"
    )
    pooling: str | None = _option(
        None,
        "Likewise, how tokens are pooled: " + ", ".join(POOLINGS) + ".",
        choices=POOLED,
        metavar="NAME",
        shown="the model's",
    )
    normalize: bool | None = _option(
        None, "Likewise, whether vectors get length 1.", shown="the model's"
    )
    log_level: str = _option("info", "What is logged on stderr.", choices=LOG_LEVELS)
    log_json: bool = _option(False, "Log one JSON object a line.")
    offline: bool = _option(False, "Never fetch a model over the network.")
    quiet: bool = _option(False, "Print no summary at start.")
    encoder_factory: str = _option(
        "bertfeat_server.worker:load_encoder", "Python path of the loader of encoders.", hidden=True
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", tuple(self.model))
        wrong = [*self._wrong_numbers(), *self._wrong_choices(), *self._wrong_names()]
        if wrong:
            raise ConfigError("the server cannot be started like this: " + "; ".join(wrong))

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "ServerConfig":
        """Read what :meth:`to_dict` gave, say in another process."""
        return cls(**raw)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON can hold them."""
        return asdict(self) | {"model": list(self.model)}

    @property
    def frontend(self) -> str:
        """The endpoint to bind for clients."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.endpoint or f"tcp://{host}:{self.port or '*'}"

    @property
    def models(self) -> dict[str, str]:
        """Name to name-or-folder of every model; the first is the default one."""
        return dict(_name_model(text) for text in self.model)

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
        return self.threads or max(1, usable_cores() // (len(self.devices) * len(self.model)))

    @property
    def encode_defaults(self) -> dict[str, Any]:
        """Options of ``encode`` that hold where a request says nothing."""
        names = ("layers", "combine", "pooling", "normalize")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def _wrong_numbers(self) -> list[str]:
        values = {name: getattr(self, name) for name in POSITIVE}
        wrong = [
            f"{name}={value} is not positive"
            for name, value in values.items()
            if value is not None and not value > 0
        ]
        if not 0 <= self.port < 65536:
            wrong.append(f"port={self.port} is not between 0 and 65535")
        if self.http_port != 0:
            wrong.append(
                f"http_port={self.http_port}: HTTP is not served yet, only 0 (off) is right"
            )
        for name in ("max_wait_ms", "drain_timeout_s"):
            if not getattr(self, name) >= 0:
                wrong.append(f"{name}={getattr(self, name)} is negative")
        return wrong

    def _wrong_choices(self) -> list[str]:
        return [
            f"{option.name}={getattr(self, option.name)!r} is none of "
            + ", ".join(option.metadata["choices"])
            for option in fields(self)
            if "choices" in option.metadata
            and getattr(self, option.name) not in (None, *option.metadata["choices"])
        ]

    def _wrong_names(self) -> list[str]:
        wrong = []
        if self.endpoint and not self.endpoint.startswith(("tcp://", "ipc://")):
            wrong.append(f"endpoint={self.endpoint!r} begins with neither tcp:// nor ipc://")
        named = [_name_model(text) for text in self.model]
        if not named or not all(name and source for name, source in named):
            wrong.append(f"model={self.model!r} is not NAME=FOLDER, a name or a folder")
        if len({name for name, _ in named}) < len(named):
            wrong.append(f"model={self.model!r} gives one name twice; write NAME=FOLDER")
        kind, _, numbers = self.device.partition(":")
        if kind not in ("auto", "cpu", "gpu") or (
            numbers and not (kind == "gpu" and all(n.isdigit() for n in numbers.split(",")))
        ):
            wrong.append(f"device={self.device!r} is none of auto, cpu, gpu, gpu:0,1")
        return wrong


def _name_model(text: str) -> tuple[str, str]:
    if text.startswith(("https://", "http://")):
        return Path(text.partition("#")[0]).name.partition(".")[0], text
    name, equals, source = text.partition("=")
    if equals:
        return name, source
    return (Path(text).expanduser().resolve().name if Path(text).is_dir() else text), text
