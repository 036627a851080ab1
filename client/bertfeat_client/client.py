"""The two clients: the calls as they are, and the same calls run by the calling thread."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from bertfeat_client.base import DEFAULT_ENDPOINT
from bertfeat_client.curve import Curve
from bertfeat_client.searching import Searching
from bertfeat_client.tasks import Tasks
from bertfeat_client.transport import Transport

P = ParamSpec("P")
R = TypeVar("R")


class AsyncClient(Searching, Tasks):
    """Asks a bertfeat server; every call is awaited, and many may run at once.

    One object may serve several event loops, opens fresh sockets after a fork, survives a server
    restart and pickles as its options.

    Args: see :class:`Client`.
    """

    async def info(self) -> dict[str, Any]:
        """Return what the server says of itself: version, models, limits, index."""
        return await self._call().ask("info")

    async def status(self) -> dict[str, Any]:
        """Return how the server is: readiness, queue, batches and workers."""
        return await self._call().ask("status")

    async def stop(self, token: str) -> None:
        """Ask the server to finish what it has and end.

        Args:
            token: the server's admin token.

        Raises:
            Forbidden: it is not that token.
        """
        await self._call().ask("stop", token=token)

    async def close(self) -> None:
        """Close the sockets; calls that are under way end with ``ClientClosed``."""
        self._lines.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


class _OnThreads(AsyncClient):
    """The calls on channels that block, so that none of their coroutines ever suspends."""

    _asynchronous = False


def _run(awaitable: Awaitable[R]) -> R:
    """Run a coroutine of :class:`_OnThreads` to its end in the calling thread."""
    try:
        next(iter(awaitable.__await__()))
    except StopIteration as stop:
        result: R = stop.value
        return result
    raise RuntimeError("a blocking channel has suspended; this is a mistake in bertfeat_client")


def _blocking(
    call: Callable[Concatenate[_OnThreads, P], Awaitable[R]],
) -> Callable[Concatenate["Client", P], R]:
    @wraps(call)
    def run(client: "Client", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return _run(call(client._calls, *args, **kwargs))

    return run


def _blocking_stream(
    call: Callable[Concatenate[_OnThreads, P], AsyncGenerator[R, None]],
) -> Callable[Concatenate["Client", P], Iterator[R]]:
    @wraps(call)
    def run(client: "Client", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        stream = call(client._calls, *args, **kwargs)
        try:
            while True:
                try:
                    item = _run(anext(stream))
                except StopAsyncIteration:
                    return
                yield item
        finally:
            _run(stream.aclose())

    return run


class Client:
    """Asks a bertfeat server; every call blocks until its result is there.

    One object may be shared by threads (each has a socket of its own), opens fresh sockets after
    a fork, survives a server restart and pickles as its options.

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
        self._calls = _OnThreads(
            endpoint, timeout_s=timeout_s, max_in_flight=max_in_flight, api_key=api_key,
            curve=curve, header=header, transport=transport,
        )  # fmt: skip

    encode = _blocking(AsyncClient.encode)
    encode_query = _blocking(AsyncClient.encode_query)
    encode_document = _blocking(AsyncClient.encode_document)
    encode_stream = _blocking_stream(AsyncClient.encode_stream)
    tokens = _blocking(AsyncClient.tokens)
    tokenize = _blocking(AsyncClient.tokenize)
    similarity = _blocking(AsyncClient.similarity)
    rerank = _blocking(AsyncClient.rerank)
    score = _blocking(AsyncClient.score)
    tag = _blocking(AsyncClient.tag)
    predict = _blocking(AsyncClient.predict)
    search = _blocking(AsyncClient.search)
    index_add = _blocking(AsyncClient.index_add)
    index_delete = _blocking(AsyncClient.index_delete)
    info = _blocking(AsyncClient.info)
    status = _blocking(AsyncClient.status)
    stop = _blocking(AsyncClient.stop)
    close = _blocking(AsyncClient.close)

    def with_header(self, **fields: str) -> Self:
        """Return this client with further fields in the header of each request.

        Both share their connections: closing one closes the other.
        """
        other = object.__new__(type(self))
        other._calls = self._calls.with_header(**fields)
        return other

    @property
    def endpoint(self) -> str:
        """Where the server is expected."""
        return self._calls.endpoint

    @property
    def timeout_s(self) -> float:
        """Seconds after which any call ends with an error."""
        return self._calls.timeout_s

    def __repr__(self) -> str:
        return f"Client({self.endpoint!r}, timeout_s={self.timeout_s:g})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
