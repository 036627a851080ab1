"""The application: the table of routes behind the guard, and what every answer has in common."""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route as Path

from bertfeat_client import AsyncClient
from bertfeat_client.errors import ClientError
from bertfeat_server.access.keys import Key
from bertfeat_server.http.exchange import Answer, Exchange, Route
from bertfeat_server.http.guard import Guard
from bertfeat_server.http.metrics import Metrics
from bertfeat_server.http.problems import Problem, invalid, problem_of
from bertfeat_server.http.table import ROUTES

REQUEST_ID = re.compile(r"[\x21-\x7e]{1,200}")
PLACE = re.compile(r" - at `\$\.?(.*)`$")
BODY_S = 30
"""Time that a body may take to come: who sends slowly keeps a connection from others."""
logger = logging.getLogger(__name__)


class App:
    """The routes of one server.

    Args:
        client: asks the broker.
        guard: lets requests in.
    """

    def __init__(self, client: AsyncClient, guard: Guard) -> None:
        self.client, self.guard, self.metrics = client, guard, Metrics()

    def starlette(self) -> Starlette:
        """Return the application that a web server runs."""
        middleware = [
            Middleware(
                CORSMiddleware,
                allow_origins=list(self.guard.origins), allow_methods=["GET", "POST"],
                allow_headers=["authorization", "content-type"],
                expose_headers=["X-Request-Id", "X-Bertfeat-Truncated-Rows"],
            )
        ]  # fmt: skip
        paths = [
            Path(route.path, self._endpoint(route), methods=[route.method]) for route in ROUTES
        ]
        return Starlette(routes=paths, middleware=middleware if self.guard.origins else [])

    def _endpoint(self, route: Route) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            started = time.perf_counter()
            name = request.headers.get("x-request-id", "")
            name = name if REQUEST_ID.fullmatch(name) else uuid.uuid4().hex
            response = await self._respond(route, request, name)
            response.headers["X-Request-Id"] = name
            seconds = time.perf_counter() - started
            self.metrics.count(route.method, route.path, response.status_code, seconds)
            return response

        return endpoint

    async def _respond(self, route: Route, request: Request, name: str) -> Response:
        headers: dict[str, str] = {}
        try:
            key = self.guard.admit(request.method, dict(request.headers), route.is_open)
            body = await self._body(route, request)
            traced = {"traceparent": found} if (found := request.headers.get("traceparent")) else {}
            client = self.client.with_header(
                caller=_caller(request, key), request_id=name, **traced
            )
            exchange = Exchange(body, client, self.metrics, key, headers)
            answer = await _unless_gone(request, route.handler(exchange))
            return _response(answer, headers)
        except ClientDisconnect:
            return Response(status_code=499)
        except Problem as found:
            problem = found
        except ClientError as error:
            problem = problem_of(error)
        except Exception:
            logger.exception("request %s to %s failed", name, route.path)
            problem = Problem(500, "internal_error", "the server failed; its log has more")
        if problem.status >= 500:
            logger.warning("request %s to %s: %s", name, route.path, problem)
        content = problem.body(route.family, name)
        return _response(
            Answer(content, problem.status_in(route.family)), headers | problem.headers
        )

    async def _read(self, request: Request) -> bytes:
        data = bytearray()
        async for chunk in request.stream():
            data += chunk
            if len(data) > self.guard.max_body:
                raise self.guard.too_large()
        return bytes(data)

    async def _body(self, route: Route, request: Request) -> Any:
        if route.body is None:
            return None
        try:
            async with asyncio.timeout(BODY_S):
                data = await self._read(request)
        except TimeoutError as error:
            raise Problem(408, "timeout", f"the body did not come within {BODY_S} s") from error
        try:
            return msgspec.json.decode(data, type=route.body)
        except msgspec.ValidationError as error:
            place = PLACE.search(str(error))
            raise invalid(str(error), place[1] if place else None) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise invalid(f"the body is not JSON: {error}") from error


async def _unless_gone(request: Request, work: Awaitable[Answer]) -> Answer:
    """Wait for an answer, but no longer than the caller does: the broker is told to drop it.

    Raises:
        ClientDisconnect: the caller is gone.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


def _caller(request: Request, key: Key | None) -> str:
    """Return whose share of the server a request uses."""
    if key is not None:
        return key.name
    return f"http {request.client.host}" if request.client is not None else "http"


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _response(answer: Answer, headers: dict[str, str]) -> Response:
    content = answer.content
    if not isinstance(content, bytes):
        content = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(content, answer.status, headers | answer.headers, answer.media_type)
