"""One request on its way through a handler, and the answer that the handler gives."""

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from bertfeat_client import AsyncClient, EncodeInfo
from bertfeat_client.errors import NotFound
from bertfeat_server.access.keys import Key
from bertfeat_server.ask import default_model
from bertfeat_server.http.metrics import Metrics
from bertfeat_server.http.problems import NATIVE, invalid

Body = TypeVar("Body")


@dataclass
class Answer:
    """What is sent back.

    Attributes:
        content: anything that JSON can hold, NumPy's numbers and arrays included; text is sent as
            it is.
        status: HTTP's number.
        media_type: of the content.
        headers: besides those that every answer has.
    """

    content: Any
    status: int = 200
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Exchange(Generic[Body]):
    """What a handler is given.

    Attributes:
        body: decoded and checked.
        client: asks the broker.
        metrics: what this process has counted.
        key: whose API key came with it, None where there are no keys.
        headers: go with the answer, whatever it is.
    """

    body: Body
    client: AsyncClient
    metrics: Metrics
    key: Key | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def check_count(self, texts: list[Any]) -> None:
        """Check a request's texts against what its key may send at once.

        Raises:
            Problem: there are too many.
        """
        if self.key is not None and len(texts) > self.key.max_request_texts:
            most = int(self.key.max_request_texts)
            raise invalid(f"{len(texts)} texts, the key {self.key.name!r} may send {most} at once")

    async def encode(self, texts: list[Any], **options: Any) -> tuple[Any, EncodeInfo]:
        """Encode texts and note what the headers tell of it; rows may have failed.

        Args:
            texts: as for the client.
            options: those of the client, None for what is not said.
        """
        self.check_count(texts)
        given = {name: value for name, value in options.items() if value is not None}
        vectors, info = await self.client.encode(texts, return_info=True, **given)
        self.tell(info)
        return vectors, info

    def tell(self, info: EncodeInfo) -> None:
        """Note in headers how many texts were cut, and how long the server took."""
        self.headers["X-Bertfeat-Truncated-Rows"] = str(int(info.truncated.sum()))
        self.headers["X-Compute-Tokens"] = str(int(info.num_tokens.sum()))
        for header, name in (
            ("X-Total-Time", "total_ms"), ("X-Queue-Time", "queue_ms"),
            ("X-Inference-Time", "compute_ms"),
        ):  # fmt: skip
            if name in info.timing:
                self.headers[header] = f"{info.timing[name]:g}"

    async def default_model(self) -> dict[str, Any]:
        """Return what the server says of its default model."""
        return default_model(await self.client.info())

    async def prompt_for(self, model: str | None, names: tuple[str, ...]) -> str | None:
        """Return the first of the names that the model has a prompt of, None if it has none.

        Raises:
            NotFound: names are given and there is no such model.
        """
        if not names:
            return None
        told = await self.client.info()
        wanted = model or told["default_model"]
        for one in told["models"]:
            if one["name"] == wanted:
                known = one.get("prompts") or ()
                return next((name for name in names if name in known), None)
        raise NotFound(f"no model {wanted!r} here; this server has {names_of(told)}")


Handler = Callable[[Exchange[Any]], Awaitable[Answer]]


@dataclass(frozen=True)
class Route:
    """One row of the table of routes.

    Attributes:
        method: GET or POST.
        path: where.
        handler: turns an exchange into its answer; its first line is the route's description.
        body: the class of the body, None if it has none.
        family: whose error shapes it has.
        is_open: whether it answers without a key.
    """

    method: str
    path: str
    handler: Handler
    body: type | None = None
    family: str = NATIVE
    is_open: bool = False


def names_of(told: Mapping[str, Any]) -> str:
    """Return the names of a server's models, as its ``info`` tells them."""
    return ", ".join(model["name"] for model in told["models"])


def in_format(vectors: Any, encoding_format: str) -> list[Any]:
    """Return each row as it is sent: an array, or its little-endian bytes in base64."""
    if encoding_format == "float":
        return list(vectors)
    return [
        base64.b64encode(row.astype(row.dtype.newbyteorder("<"), copy=False).tobytes()).decode()
        for row in vectors
    ]
