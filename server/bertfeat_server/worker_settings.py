"""What a worker process is told."""

from dataclasses import dataclass

from bertfeat_client import Client
from bertfeat_server.config import ServerConfig


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """What one worker of a server is started with.

    Attributes:
        config: the server's settings.
        name: the model's name on this server.
        source: the model's folder, or the name to resolve.
        label: what the workers of this load of the model go by; by default its name.
        checked: whether the model must first prove to compute what it computes in float32.
        device: where it computes.
        backend: the broker's endpoint for workers.
        token: proves that it belongs to the server.
        identity: its name among all processes.
        frontend: the broker's endpoint for clients, as the server's own processes ask it; empty
            for a worker that joined.
    """

    config: ServerConfig
    name: str
    source: str
    device: str
    backend: str
    token: str
    identity: str = ""
    label: str = ""
    checked: bool = False
    frontend: str = ""

    def client(self) -> Client | None:
        """Return a client of this server, if it is known where."""
        if not self.frontend:
            return None
        timeout_s, header = self.config.worker_timeout_s, {"token": self.token}
        return Client(self.frontend, timeout_s=timeout_s, header=header)
