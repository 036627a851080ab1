"""The OpenAPI document, made from the table of routes and the classes of their bodies."""

import inspect
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from bertfeat_server.http.exchange import Route
from bertfeat_server.http.problems import Problem

SCHEMAS = "#/components/schemas/{name}"


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of a table of routes."""
    bodies = [route.body for route in routes if route.body is not None]
    refs, schemas = msgspec.json.schema_components(bodies, ref_template=SCHEMAS)
    body_of = dict(zip(bodies, refs, strict=True))
    families = sorted({route.family for route in routes})
    schemas |= {_error_name(family): _error_schema(family) for family in families}
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, body_of)
    return {
        "openapi": "3.1.0",
        "info": {"title": "bertfeat", "version": _version()},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, body_of: dict[type, Any]) -> dict[str, Any]:
    about = inspect.getdoc(route.handler) or ""
    error = {"$ref": SCHEMAS.format(name=_error_name(route.family))}
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}{route.path}".replace("/", "_"),
        "summary": about.partition("\n")[0],
        "responses": {
            "200": {"description": "The result."},
            "default": {
                "description": "An error.", "content": {"application/json": {"schema": error}}
            },
        },
    }  # fmt: skip
    if not route.is_open:
        operation["security"] = [{}, {"key": []}]
    if route.body is not None:
        content = {"application/json": {"schema": body_of[route.body]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _error_name(family: str) -> str:
    return f"{family.capitalize()}Error"


def _error_schema(family: str) -> dict[str, Any]:
    """Describe a family's errors from one of them."""
    return _schema_of(Problem(400, "invalid_request", "text", "field").body(family, "id"))


def _schema_of(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        properties = {name: _schema_of(one) for name, one in value.items()}
        return {"type": "object", "required": list(properties), "properties": properties}
    return {"type": ["string", "null"]}


def _version() -> str:
    try:
        return version("bertfeat")
    except PackageNotFoundError:
        return "unknown"
