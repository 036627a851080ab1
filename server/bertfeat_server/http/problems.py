"""What can go wrong over HTTP, and how each family of routes says it."""

import math
from typing import Any

from bertfeat_client import errors

NATIVE, OPENAI, TEI, COHERE = "native", "openai", "tei", "cohere"
"""The families: our own routes, and those whose shapes are another server's."""


class Problem(Exception):
    """A request that gets no result.

    Attributes:
        status: HTTP's number.
        code: our name for the kind.
        param: the field of the body that is wrong, if it is one.
        retry_after_s: after how many seconds to come back.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """The headers that go with it."""
        found = {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}
        if self.retry_after_s is not None:
            found["Retry-After"] = str(max(1, math.ceil(self.retry_after_s)))
        return found

    def body(self, family: str, request_id: str) -> dict[str, Any]:
        """Return the answer's body in the shape of a family."""
        message = str(self)
        if family == OPENAI:
            kind = OPENAI_TYPES.get(self.status, "invalid_request_error")
            code = OPENAI_CODES.get(self.code, self.code)
            return {"error": {"message": message, "type": kind, "param": self.param, "code": code}}
        if family == TEI:
            return {"error": message, "error_type": TEI_TYPES.get(self.code, "Backend")}
        if family == COHERE:
            return {"message": message, "id": request_id}
        return {"error": {"code": self.code, "message": message, "request_id": request_id}}

    def status_in(self, family: str) -> int:
        """Return HTTP's number as a family has it."""
        return TEI_STATUS.get(self.code, self.status) if family == TEI else self.status


OPENAI_TYPES = {
    401: "authentication_error", 403: "permission_error", 429: "rate_limit_error",
    500: "server_error", 503: "server_error", 504: "server_error",
}  # fmt: skip
OPENAI_CODES = {"unauthorized": "invalid_api_key", "overloaded": "rate_limit_exceeded"}
TEI_TYPES = {
    "invalid_request": "Validation", "too_large": "Validation", "not_found": "Validation",
    "overloaded": "Overloaded", "shutting_down": "Unhealthy", "unreachable": "Unhealthy",
}  # fmt: skip
TEI_STATUS = {"invalid_request": 422, "internal_error": 424, "deadline_exceeded": 424}
STATUS: dict[type[errors.ClientError], tuple[int, str]] = {
    errors.InvalidRequest: (400, "invalid_request"),
    errors.NotFound: (404, "not_found"),
    errors.Unauthorized: (401, "unauthorized"),
    errors.Forbidden: (403, "forbidden"),
    errors.Overloaded: (429, "overloaded"),
    errors.DeadlineExceeded: (504, "deadline_exceeded"),
    errors.ShuttingDown: (503, "shutting_down"),
    errors.InternalError: (500, "internal_error"),
    errors.ServerError: (500, "internal_error"),
    errors.ReplyTimeout: (504, "deadline_exceeded"),
    errors.ConnectTimeout: (503, "unreachable"),
    errors.ConnectionLost: (503, "unreachable"),
    errors.TransportError: (503, "unreachable"),
    errors.ProtocolError: (500, "internal_error"),
    errors.ClientError: (500, "internal_error"),
}


def problem_of(error: errors.ClientError) -> Problem:
    """Turn an error of the client into what HTTP says of it; of failed rows the first counts."""
    if isinstance(error, errors.RowErrors):
        return problem_of(error.errors[min(error.errors)])
    status, code = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    return Problem(status, code, str(error), retry_after_s=getattr(error, "retry_after_s", None))


def invalid(message: str, param: str | None = None) -> Problem:
    """Return the problem of a body that is not what was expected."""
    return Problem(400, "invalid_request", message, param)
