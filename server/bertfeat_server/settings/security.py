"""Who may ask, and over which connections."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from bertfeat_server.settings.compat import Compat
from bertfeat_server.settings.group import option
from bertfeat_server.settings.http import Http
from bertfeat_server.settings.listening import Listening


@dataclass(frozen=True, kw_only=True)
class Security(Listening, Http, Compat):
    """Keys, and what may be open without them."""

    api_key_file: str | None = option(
        None, "API keys of callers (see docs/security.md).", metavar="FILE", shown="anybody may ask"
    )
    curve_secret_key_file: str | None = option(
        None, "The server's own key: ZeroMQ is encrypted.", metavar="FILE", shown="not encrypted"
    )
    curve_clients_folder: str | None = option(
        None,
        "Public keys of the clients that may connect then.",
        metavar="FOLDER",
        shown="every client that knows the server's",
    )
    insecure: bool = option(False, "Listen on a public address without keys.")

    def wrong(self) -> Iterator[str]:
        """Say what cannot be."""
        if self.curve_clients_folder and not self.curve_secret_key_file:
            yield "curve_clients_folder needs curve_secret_key_file, the server's own key"
        if not self.insecure:
            yield from self._exposed()

    def _exposed(self) -> Iterator[str]:
        """Say what is open to other machines without asking who comes."""
        advice = "or say --insecure if whoever reaches this machine may ask"
        if is_public(self.frontend) and not (self.api_key_file or self.curve_clients_folder):
            yield (
                f"{self.frontend} can be reached from other machines: give --api-key-file, or "
                f"--curve-secret-key-file with --curve-clients-folder, {advice}"
            )
        if self.http and not is_loopback(self.host) and not self.api_key_file:
            yield f"HTTP on {self.host} is open to other machines: give --api-key-file, {advice}"
        if is_public(self.worker_endpoint):
            yield f"{self.worker_endpoint} carries texts to workers in the clear: {advice[3:]}"
        if self.compat and not is_loopback(self.host):
            yield f"bert-as-service's ports on {self.host} know no keys: {advice[3:]}"


def is_loopback(host: str) -> bool:
    """Say whether an address or name is reached from this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_public(endpoint: str) -> bool:
    """Say whether an endpoint can be reached from other machines."""
    return endpoint.startswith("tcp://") and not is_loopback(urlsplit(endpoint).hostname or "")
