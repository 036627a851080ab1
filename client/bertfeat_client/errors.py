"""Every error that the client raises; each server-side one knows its code on the wire.

ClientError
 ├ TransportError
 │  ├ ConnectTimeout (TimeoutError)  no server answered at the endpoint
 │  ├ ReplyTimeout (TimeoutError)    the server did not answer in time
 │  ├ ConnectionLost                 it broke, and the call is not safe to send twice
 │  └ ClientClosed                   the client object was closed
 ├ ProtocolError
 │  ├ MalformedMessage               frames that are not a message of this protocol
 │  └ VersionMismatch                the peer speaks another major version
 ├ ServerError                       the server answered with an error (``code``, ``request_id``)
 │  ├ InvalidRequest (ValueError)    a text or an option is not acceptable
 │  ├ NotFound                       no such model, index or task on this server
 │  ├ Unauthorized                   the server wants an API key, and none or another came
 │  ├ Forbidden                      the call needs the server's admin token
 │  ├ Overloaded                     the queue is full; ``retry_after_s`` says when to come back
 │  ├ DeadlineExceeded (TimeoutError)  the request's own deadline passed on the server
 │  ├ ShuttingDown                   the server drains and takes no new requests
 │  └ InternalError                  the server failed; its log has the reason under ``request_id``
 └ RowErrors (ValueError)            some rows failed; the others are in ``.vectors``
"""

from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """Any error of the client."""


class TransportError(ClientError):
    """The message did not get through."""


class ConnectTimeout(TransportError, TimeoutError):
    """No server answered at the endpoint."""


class ReplyTimeout(TransportError, TimeoutError):
    """The server did not answer in time."""


class ConnectionLost(TransportError):
    """The connection broke after the request was sent, and a second sending may do it twice."""


class ClientClosed(TransportError):
    """The client object was closed."""


class ProtocolError(ClientError):
    """The peers do not understand each other."""


class MalformedMessage(ProtocolError):
    """Frames that are not a message of this protocol."""


class VersionMismatch(ProtocolError):
    """The peer speaks another major version."""


class ServerError(ClientError):
    """The server answered with an error.

    Attributes:
        code: the error's name on the wire.
        request_id: finds the request in the server's log.
        retry_after_s: seconds after which a retry makes sense, or None.
    """

    code = "server_error"

    def __init__(
        self, message: str, request_id: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.request_id = request_id
        self.retry_after_s = retry_after_s


class InvalidRequest(ServerError, ValueError):
    """A text or an option is not acceptable."""

    code = "invalid_request"


class NotFound(ServerError):
    """No such model, index or task on this server."""

    code = "not_found"


class Unauthorized(ServerError):
    """The server wants an API key, and none or another came."""

    code = "unauthorized"


class Forbidden(ServerError):
    """The call needs the server's admin token."""

    code = "forbidden"


class Overloaded(ServerError):
    """The queue is full."""

    code = "overloaded"


class DeadlineExceeded(ServerError, TimeoutError):
    """The request's own deadline passed on the server."""

    code = "deadline_exceeded"


class ShuttingDown(ServerError):
    """The server drains and takes no new requests."""

    code = "shutting_down"


class InternalError(ServerError):
    """The server failed."""

    code = "internal_error"


class RowErrors(ClientError, ValueError):
    """Some rows of a call failed while the others were computed.

    Attributes:
        errors: row number to the error of that row.
        vectors: what the call would have returned, failed rows zero (or empty).
    """

    def __init__(self, errors: Mapping[int, ServerError], vectors: Any) -> None:
        self.errors = dict(errors)
        self.vectors = vectors
        row, first = next(iter(sorted(self.errors.items())))
        super().__init__(
            f"{len(self.errors)} row(s) failed, the first is row {row}: {first}; "
            "the other rows are in .vectors, every error in .errors"
        )

    def __reduce__(self) -> tuple[type["RowErrors"], tuple[dict[int, ServerError], Any]]:
        return type(self), (self.errors, self.vectors)


class TruncationWarning(UserWarning):
    """Texts were longer than the model reads and were cut."""


SERVER_ERRORS: dict[str, type[ServerError]] = {
    error.code: error
    for error in (
        InvalidRequest, NotFound, Unauthorized, Forbidden, Overloaded, DeadlineExceeded,
        ShuttingDown, InternalError,
    )
}  # fmt: skip


def from_wire(error: Any, request_id: str = "") -> ServerError:
    """Make the exception that an error object of the wire stands for.

    Args:
        error: ``{"code", "message"}`` and, where it applies, ``"retry_after_s"``; anything
            else becomes an :class:`InternalError` that shows it.
        request_id: the request that failed.
    """
    if not isinstance(error, Mapping):
        return InternalError(f"the server answered with the error {error!r}", request_id)
    kind = SERVER_ERRORS.get(str(error.get("code")), InternalError)
    retry_after_s = error.get("retry_after_s")
    if not isinstance(retry_after_s, int | float):
        retry_after_s = None
    return kind(str(error.get("message", "")), request_id, retry_after_s)


def to_wire(error: ServerError) -> dict[str, Any]:
    """Return the error object that :func:`from_wire` reads."""
    wire: dict[str, Any] = {"code": error.code, "message": str(error)}
    if error.retry_after_s is not None:
        wire["retry_after_s"] = error.retry_after_s
    return wire
