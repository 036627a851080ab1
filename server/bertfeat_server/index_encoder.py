"""The index process's encoder: the server itself, asked as any client asks it."""

import logging
import math
import time
from typing import Any, Protocol

import numpy as np

from bertfeat.index.description import IndexDescription
from bertfeat_client import Client, EncodeInfo
from bertfeat_client.errors import DeadlineExceeded, InternalError, ReplyTimeout, TransportError

LOOK_AGAIN_S = 0.2
PATIENCE_S = 10
logger = logging.getLogger(__name__)


class TextEncoder(Protocol):
    """What the index needs of an encoder."""

    def encode(
        self, items: list[Any], prompt: str | None, end: float
    ) -> tuple[np.ndarray, EncodeInfo]:
        """Encode items until a time of ``time.monotonic``; see :meth:`BrokerEncoder.encode`."""
        ...


class BrokerEncoder:
    """Encodes for one index over the broker's frontend.

    Args:
        frontend: the broker's endpoint for clients.
        description: the index; its model must be one of the server's.
        token: the server's, so that requests at hand are answered when it drains.

    Attributes:
        model: that model's name on the server; known after :meth:`find_model`.
    """

    def __init__(self, frontend: str, description: IndexDescription, token: str = "") -> None:
        self._frontend, self._description, self._token = frontend, description, token
        self._client = self._connect(PATIENCE_S)
        self.model = ""

    def find_model(self) -> None:
        """Wait until the server has told the hashes of its models, and find the index's.

        Raises:
            IndexStoreError: none of them made the index.
        """
        while not self._found(self._models()):
            time.sleep(LOOK_AGAIN_S)

    def encode(
        self, items: list[Any], prompt: str | None, end: float
    ) -> tuple[np.ndarray, EncodeInfo]:
        """Encode items as the index's features say.

        Args:
            items: strings, pairs (tuples) and word lists; others become errors of their rows.
            prompt: text put before each, or None for the model's own.
            end: time of ``time.monotonic`` at which nobody waits any more.

        Returns:
            float32 (n, dim), rows that failed zero, and what happened to each.

        Raises:
            DeadlineExceeded: the vectors did not come in time.
            ServerError: the server refused the whole request.
        """
        client = self._client_for(end - time.monotonic())
        options: Any = self._description.options(prompt) | {"model": self.model}
        try:
            vectors, info = client.encode(items, return_info=True, **options)
        except ReplyTimeout as error:
            raise DeadlineExceeded("the texts were not encoded in time") from error
        if info.model_hash != self._description.model_hash:
            raise InternalError(
                f"model {self.model} has other weights than those that made the index"
            )
        return vectors, info

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _models(self) -> list[dict[str, Any]]:
        try:
            models: list[dict[str, Any]] = self._client.info().get("models", [])
        except TransportError as error:
            logger.warning("the broker does not answer yet: %s", error)
            return []
        return models

    def _found(self, models: list[dict[str, Any]]) -> bool:
        told = [model for model in models if "model_hash" in model]
        for model in told:
            if model["model_hash"] == self._description.model_hash:
                self.model = str(model["name"])
                return True
        if told and len(told) == len(models):
            self._description.check_model(told[0]["model_hash"], str(told[0]["name"]))
        return False

    def _client_for(self, seconds: float) -> Client:
        """Return a client with this time-out, in whole seconds so that most calls share one."""
        if seconds <= 0:
            raise DeadlineExceeded("the request's time was over before it was computed")
        timeout_s = math.ceil(seconds)
        if self._client.timeout_s != timeout_s:
            self._client.close()
            self._client = self._connect(timeout_s)
        return self._client

    def _connect(self, timeout_s: float) -> Client:
        return Client(self._frontend, timeout_s=timeout_s, header={"token": self._token})
