"""The HTTP side."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from bertfeat_server.settings.group import Group, option

DEFAULT_PORT = 8125
PACKAGES = ("starlette", "uvicorn", "msgspec", "orjson", "prometheus_client")


@dataclass(frozen=True, kw_only=True)
class Http(Group):
    """HTTP's port and limits."""

    http_port: int | None = option(None, "HTTP port; 0 = off.", shown=str(DEFAULT_PORT))
    http_max_body_mb: float = option(32.0, "Largest body of an HTTP request.")
    http_max_connections: int = option(512, "HTTP connections at a time.")
    allowed_host: tuple[str, ...] = option(
        (),
        "Further name by which HTTP may be asked; repeat for several.",
        metavar="NAME",
        shown="none",
    )
    cors_origin: tuple[str, ...] = option(
        (), "Origin whose pages may ask over HTTP; repeat for several.", metavar="URL", shown="none"
    )

    @property
    def http(self) -> int | None:
        """The port to serve HTTP on, None for none: by default only where its packages are."""
        if self.http_port is not None:
            return self.http_port or None
        return DEFAULT_PORT if not self.http_missing else None

    @property
    def http_missing(self) -> list[str]:
        """Packages that serving HTTP needs and that are not installed."""
        return [name for name in PACKAGES if find_spec(name) is None]

    def wrong(self) -> Iterator[str]:
        """Say what cannot be."""
        yield from self._no_port(["http_port"] if self.http_port is not None else [])
        yield from self._not_positive(["http_max_body_mb", "http_max_connections"])
        if self.http_port and self.http_missing:
            yield (
                f"http_port={self.http_port} needs {', '.join(self.http_missing)}: "
                'pip install "bertfeat[serve]"'
            )
        for origin in self.cors_origin:
            if not origin.startswith(("http://", "https://")) or origin.count("/") != 2:
                yield f"cors_origin={origin!r} is not like https://example.org"
