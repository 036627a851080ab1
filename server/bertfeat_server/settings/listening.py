"""Where a server listens."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bertfeat_server.settings.group import Group, option

TCP = re.compile(r"tcp://.+:\d+")


@dataclass(frozen=True, kw_only=True)
class Listening(Group):
    """Addresses and ports."""

    host: str = option("127.0.0.1", "Address to listen on.")
    port: int = option(5557, "TCP port for clients; 0 takes a free one.")
    endpoint: str = option(
        "", "ZeroMQ endpoint for clients instead: ipc://PATH.", shown="tcp://HOST:PORT"
    )
    worker_endpoint: str = option(
        "", "Endpoint for workers on other machines too: tcp://HOST:PORT.", shown="none"
    )

    @property
    def frontend(self) -> str:
        """The endpoint to bind for clients."""
        return self.endpoint or f"tcp://{self.url_host}:{self.port or '*'}"

    @property
    def url_host(self) -> str:
        """The address as it stands in an endpoint."""
        return f"[{self.host}]" if ":" in self.host else self.host

    def wrong(self) -> Iterator[str]:
        """Say what cannot be."""
        yield from self._no_port(["port"])
        if self.endpoint and not self.endpoint.startswith(("tcp://", "ipc://")):
            yield f"endpoint={self.endpoint!r} begins with neither tcp:// nor ipc://"
        if self.worker_endpoint and not TCP.fullmatch(self.worker_endpoint):
            yield f"worker_endpoint={self.worker_endpoint!r} is not like tcp://10.0.0.1:5558"
