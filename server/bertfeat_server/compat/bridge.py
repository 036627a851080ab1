"""Old clients' requests turned into calls of ours, and the results into their answers."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np

from bertfeat_client import AsyncClient
from bertfeat_client.errors import ClientError
from bertfeat_server.ask import default_model
from bertfeat_server.compat.frames import (
    VERSION,
    Asked,
    Refusal,
    error_answer,
    json_answer,
    read,
    vectors_answer,
)
from bertfeat_server.logs import Seldom

QUIET_S = 10.0
"""Time between two log lines about what was refused: a flood of junk must not fill the disk."""
SETTLE_S = 0.1
"""A client asks for the settings as soon as it exists; by then its ear is connected too."""
logger = logging.getLogger(__name__)


class Bridge:
    """Answers the messages of old clients.

    Args:
        client: asks the broker.
        show_tokens: whether answers hold the texts' tokens.
        post: sends an answer.
        now: the clock of the log lines' pace.
    """

    def __init__(
        self,
        client: AsyncClient,
        show_tokens: bool,
        post: Callable[[Sequence[Any]], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._show_tokens, self._post, self._now = client, show_tokens, post, now
        self._refused = Seldom(QUIET_S)
        self._commands: dict[bytes, Callable[[], Awaitable[dict[str, Any]]]] = {
            b"SHOW_CONFIG": self._config, b"SHOW_STATUS": self._status,
        }  # fmt: skip

    async def answer(self, frames: Sequence[bytes]) -> None:
        """Answer one message; whatever is wrong with it becomes its answer or a log line."""
        try:
            asked = read(frames)
            self._post(await self._result(asked))
        except Refusal as refusal:
            self._refuse(refusal)

    async def _result(self, asked: Asked) -> list[Any]:
        if asked.command == b"TERMINATION":
            raise Refusal("TERMINATION needs the admin token: bertfeat-serve stop")
        try:
            if asked.command is not None:
                return json_answer(asked.address, await self._commands[asked.command]())
            return vectors_answer(asked.address, *await self._encode(asked))
        except ClientError as error:
            raise Refusal(str(error), asked.address) from error

    async def _encode(self, asked: Asked) -> tuple[np.ndarray, list[list[str]] | None]:
        texts = list(asked.texts)
        client = self._client.with_header(caller=f"compat {asked.address.identity!r}")
        vectors = await client.encode(texts)
        if isinstance(vectors, list):
            vectors = padded(vectors)
        return vectors, await self._tokens(client, texts) if self._show_tokens else None

    async def _tokens(self, client: AsyncClient, texts: list[Any]) -> list[list[str]]:
        limit = int(default_model(await client.info())["max_seq_len"])
        found: Any = await client.tokenize(texts)
        return [cut(text["tokens"], limit) for text in found]

    async def _config(self) -> dict[str, Any]:
        told, _ = await asyncio.gather(self._client.info(), asyncio.sleep(SETTLE_S))
        model = default_model(told)
        return {
            "server_version": VERSION,
            "max_seq_len": model.get("max_seq_len"),
            "show_tokens_to_client": self._show_tokens,
            "model": model["name"],
            "dim": model.get("dim"),
            "precision": model.get("precision"),
            "model_hash": model.get("model_hash"),
            "bertfeat_version": told["version"],
        }

    async def _status(self) -> dict[str, Any]:
        return await self._config() | await self._client.status()

    def _refuse(self, refusal: Refusal) -> None:
        self._refused.count += 1
        if refused := self._refused.due(self._now()):
            logger.warning("%d message(s) of bert-as-service clients were refused; the last: %s",
                           refused, refusal)  # fmt: skip
        if refusal.address is not None:
            self._post(error_answer(refusal.address, str(refusal)))


async def each(
    receive: Callable[[], Awaitable[Sequence[bytes]]],
    answer: Callable[[Sequence[bytes]], Awaitable[None]],
    at_once: int,
) -> None:
    """Answer message after message, so many at once, until cancelled."""
    places = asyncio.Semaphore(at_once)
    tasks: set[asyncio.Task[None]] = set()

    async def one(frames: Sequence[bytes]) -> None:
        try:
            await answer(frames)
        except Exception:
            logger.exception("a message of a bert-as-service client could not be answered")
        finally:
            places.release()

    while True:
        await places.acquire()
        task = asyncio.create_task(one(await receive()))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def padded(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Return token vectors as bert-as-service gives them: (rows, longest, dim), zeros behind."""
    longest = max(len(row) for row in rows)
    result = np.zeros((len(rows), longest, *rows[0].shape[1:]), rows[0].dtype)
    for place, row in zip(result, rows, strict=True):
        place[: len(row)] = row
    return result


def cut(tokens: list[str], limit: int) -> list[str]:
    """Return the tokens that the model reads: too long texts lose those before the last one."""
    return tokens if len(tokens) <= limit else [*tokens[: limit - 1], tokens[-1]]
