"""How much a server takes at once, and how long things may last."""

from collections.abc import Iterator
from dataclasses import dataclass

from bertfeat_server.settings.group import Group, option

POSITIVE = (
    "max_batch_tokens", "max_queue_tokens", "max_request_texts", "max_text_chars",
    "default_timeout_s", "worker_timeout_s", "max_message_mb", "max_connections",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Limits(Group):
    """Sizes and times."""

    max_batch_tokens: int = option(
        1024, "Estimated tokens computed together at most; a GPU wants 16384 or more."
    )
    max_wait_ms: float = option(0.0, "Time that a batch which is not full waits for more texts.")
    max_queue_tokens: int = option(
        1_000_000, "Estimated tokens that may wait; beyond it requests are told to come back."
    )
    max_request_texts: int = option(4096, "Texts in one request at most.")
    max_text_chars: int = option(100_000, "Characters in one text at most.")
    max_message_mb: float = option(64.0, "Size of one message over ZeroMQ at most, in MiB.")
    max_connections: int = option(
        4096, "ZeroMQ connections at a time; beyond it no more are accepted until one goes."
    )
    default_timeout_s: float = option(60.0, "Time a request has unless it says otherwise.")
    worker_timeout_s: float = option(
        120.0,
        "Time after which a worker that is still busy with one batch is replaced; sooner if the "
        "batch is small.",
    )
    drain_timeout_s: float = option(30.0, "Time that running requests get when the server stops.")

    @property
    def queue_limits(self) -> tuple[int, int, float]:
        """Estimated tokens of a batch, those that may wait, and seconds that a batch waits."""
        return self.max_batch_tokens, self.max_queue_tokens, self.max_wait_ms / 1000

    @property
    def max_message_bytes(self) -> int:
        """The size of one message at most, all frames together."""
        return int(self.max_message_mb * 2**20)

    def wrong(self) -> Iterator[str]:
        """Say what cannot be."""
        yield from self._not_positive(POSITIVE)
        yield from self._negative(["max_wait_ms", "drain_timeout_s"])
