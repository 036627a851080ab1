"""What both clients are made of: their options, their lines, their end."""

import re
from collections.abc import Mapping
from typing import Any, Self

from bertfeat_client.call import Call
from bertfeat_client.curve import Curve
from bertfeat_client.errors import InvalidRequest
from bertfeat_client.lines import Lines
from bertfeat_client.transport import Transport
from bertfeat_client.zeromq import ZeroMQ

DEFAULT_ENDPOINT = "tcp://127.0.0.1:5557"
ENDPOINT = re.compile(r"tcp://.+:\d+|ipc://.+")


class Base:
    """The options of a client and the lines that its calls go over.

    Args:
        endpoint: ``tcp://HOST:PORT`` or ``ipc://PATH``.
        timeout_s: seconds after which any call ends with an error.
        max_in_flight: requests of one call that are under way at a time.
        api_key: shown with each request, where the server asks for keys.
        curve: keys of an encrypted connection, where the server wants one.
        header: further fields of each request's header.
        transport: moves the frames, by default over ZeroMQ.

    Raises:
        InvalidRequest: the endpoint or a number makes no sense.
    """

    _asynchronous = True

    def __init__(
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        timeout_s: float = 60.0,
        max_in_flight: int = 4,
        api_key: str | None = None,
        curve: Curve | None = None,
        header: Mapping[str, str] | None = None,
        transport: Transport | None = None,
    ) -> None:
        if transport is None and not ENDPOINT.fullmatch(endpoint):
            raise InvalidRequest(
                f"endpoint: expected tcp://HOST:PORT or ipc://PATH, got {endpoint!r}"
            )
        if not timeout_s > 0:
            raise InvalidRequest(f"timeout_s: expected a positive number, got {timeout_s!r}")
        check_count("max_in_flight", max_in_flight)
        self.timeout_s, self.max_in_flight = timeout_s, max_in_flight
        self._header = dict(header or {}) | ({} if api_key is None else {"key": api_key})
        self._transport = transport or ZeroMQ(endpoint, curve)
        self._lines = Lines(self._transport, asynchronous=self._asynchronous)

    @property
    def endpoint(self) -> str:
        """Where the server is expected."""
        return self._transport.endpoint

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.endpoint!r}, timeout_s={self.timeout_s:g})"

    def __getstate__(self) -> dict[str, Any]:
        names = "timeout_s", "max_in_flight", "_header", "_transport"
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lines = Lines(self._transport, asynchronous=self._asynchronous)

    def with_header(self, **fields: str) -> Self:
        """Return this client with further fields in the header of each request.

        Both share their connections: closing one closes the other.
        """
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, _header=self._header | fields)
        return other

    def _call(self) -> Call:
        """Begin a call: its time runs from now on."""
        return Call(self._lines.here(), self.timeout_s, self.max_in_flight, self._header)


def check_count(name: str, value: Any) -> None:
    """Check that a number of things is a positive integer.

    Raises:
        InvalidRequest: it is not.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
        raise InvalidRequest(f"{name}: expected a positive whole number, got {value!r}")
