"""The table of all routes."""

from importlib.resources import files

from bertfeat_client.errors import ClientError
from bertfeat_server.http import native, openai, openapi, tei
from bertfeat_server.http.exchange import Answer, Exchange, Route
from bertfeat_server.http.metrics import CONTENT_TYPE

HTML = "text/html; charset=utf-8"
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


async def metrics(exchange: Exchange[None]) -> Answer:
    """Return metrics in Prometheus's format."""
    try:
        status = await exchange.client.status()
    except ClientError:
        status = None
    return Answer(exchange.metrics.text(status), media_type=CONTENT_TYPE)


async def description(exchange: Exchange[None]) -> Answer:
    """Return the OpenAPI document of these routes."""
    return Answer(openapi.document(ROUTES))


async def documentation(exchange: Exchange[None]) -> Answer:
    """Show the routes and their bodies to people."""
    return _page("docs.html")


async def status_page(exchange: Exchange[None]) -> Answer:
    """Show how the server does to people."""
    return _page("status.html")


def _page(name: str) -> Answer:
    content = files("bertfeat_server.http").joinpath(name).read_bytes()
    return Answer(content, media_type=HTML, headers=PAGE_HEADERS)


ROUTES: tuple[Route, ...] = (
    *native.ROUTES,
    *tei.ROUTES,
    *openai.ROUTES,
    Route("GET", "/metrics", metrics),
    Route("GET", "/openapi.json", description),
    Route("GET", "/docs", documentation),
    Route("GET", "/", status_page),
)
