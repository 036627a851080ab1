"""The calls that compare, order and find texts."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from bertfeat_client.base import check_count
from bertfeat_client.call import Ask, Call
from bertfeat_client.encoding import DOCUMENT_PROMPTS, QUERY_PROMPTS, Encoding, encode, prompted
from bertfeat_client.errors import InvalidRequest
from bertfeat_client.items import Rows, listed
from bertfeat_client.options import EncodeKeywords, plain
from bertfeat_client.results import Hit, Ranking
from bertfeat_client.similarity import similarity


class Searching(Encoding):
    """Compares texts, orders documents, and searches the server's index."""

    async def similarity(self, a: Any, b: Any, *, model: str | None = None) -> Any:
        """Compare each of a with each of b, by the measure that the model's folder names.

        Args:
            a: texts as for :meth:`encode`, or vectors (n, dim) or (dim,).
            b: likewise.
            model: the model's name on the server.

        Returns:
            float32 (n, m), cosine unless the model says otherwise; one bare string or vector
            has no axis.
        """
        call = self._call()
        left, right = await _vectors(call, a, model), await _vectors(call, b, model)
        measure = (await call.model(model)).get("similarity") or "cosine"
        scores = similarity(np.atleast_2d(left), np.atleast_2d(right), measure)
        return scores.reshape(left.shape[:-1] + right.shape[:-1])[()]

    async def rerank(
        self,
        query: str,
        documents: Iterable[str],
        k: int | None = None,
        *,
        model: str | None = None,
    ) -> Ranking:
        """Order documents by how well they answer a query.

        Args:
            query: one text.
            documents: the texts to order.
            k: how many to return, all by default.
            model: the model's name; by default the server's first cross-encoder, else its default.

        Returns:
            ``Ranked(document, score)`` tuples, best first; ``.method`` is ``cross-encoder`` where
            the server has one loaded, else ``cosine``.
        """
        if not isinstance(query, str):
            raise InvalidRequest(f"query: expected a string, got {type(query).__name__}")
        if k is not None:
            check_count("k", k)
        call, texts = self._call(), listed(documents)[0]
        if (scorer := await _cross_encoder(call, model)) is not None:
            scores = await _scores(call, scorer, [(query, text) for text in texts], {})
            return Ranking(_one_column(scores, scorer), "cross-encoder", k)
        return Ranking(await _cosines(call, model, query, texts), "cosine", k)

    async def score(self, pairs: Any, *, model: str | None = None, raw: bool = False) -> np.ndarray:
        """Score pairs (or texts) by a model's classification head.

        Args:
            pairs: tuples of two strings, or texts as for :meth:`encode`.
            model: the model's name on the server.
            raw: return logits, without what the model's folder puts behind them.

        Returns:
            float32 (n, labels).
        """
        return await _scores(self._call(), model, pairs, {"raw": True} if raw else {})

    async def search(self, texts: Any, k: int = 10, *, index: str | None = None) -> Any:
        """Find the nearest neighbours of texts in the server's index.

        Args:
            texts: as for :meth:`encode`.
            k: neighbours of each text; fewer come if the index holds fewer.
            index: the index's name, if the server has several.

        Returns:
            For each text a list of ``Hit(id, score, text, metadata)``, best first; one bare
            string gives one list.
        """
        check_count("k", k)
        options = {"k": int(k)} | ({"index": index} if index is not None else {})
        replies = await self._call().gather(Ask("search", lambda rows: options), texts)
        ids = replies.array("ids", np.zeros(0, np.int64)).tolist()
        scores = replies.array("scores", np.zeros(0, np.float32)).tolist()
        found = [_hits(*row) for row in zip(ids, scores, replies.items(), strict=True)]
        return replies.checked(found[0] if replies.is_single else found)

    async def index_add(
        self,
        texts: Any,
        ids: Iterable[int] | None = None,
        metadata: Iterable[Mapping[str, Any] | None] | None = None,
        *,
        replace: bool = False,
    ) -> np.ndarray:
        """Put texts into the server's index.

        Large numbers go in several requests, one after the other: after an error, earlier ones
        have been added.  A request that is sent again after a server restart adds nothing twice.

        Args:
            texts: as for :meth:`encode`.
            ids: a number for each text; the index numbers them itself by default.
            metadata: a JSON object for each text.
            replace: whether texts take the place of those that have their ids.

        Returns:
            int64 (n,): the ids; -1 for rows that failed.
        """
        items, is_single = listed(texts)
        given = {"ids": ids, "metadata": metadata}
        columns = {
            name: _one_each(name, values, len(items))
            for name, values in given.items() if values is not None
        }  # fmt: skip

        def options(rows: Rows) -> dict[str, Any]:
            return (
                {"request_id": uuid.uuid4().hex}
                | ({"replace": True} if replace else {})
                | {
                    name: [column[number] for number in rows.numbers]
                    for name, column in columns.items()
                }
            )

        replies = await self._call().gather(Ask("index_add", options, in_flight=1), items)
        added = replies.array("ids", np.zeros((), np.int64))
        added[list(replies.errors)] = -1
        return replies.checked(added[0] if is_single else added)

    async def index_delete(self, ids: Iterable[int]) -> int:
        """Take texts out of the server's index by their ids; return how many there were.

        Raises:
            ConnectionLost: it is not known whether they were taken out; it does no harm to ask
                again.
        """
        options = {"ids": plain("ids", ids)}
        return int((await self._call().ask("index_delete", options=options)).get("deleted", 0))


async def _vectors(call: Call, given: Any, model: str | None) -> np.ndarray:
    if isinstance(given, np.ndarray) and given.dtype.kind in "fiu":
        return given
    vectors: np.ndarray = await encode(call, given, {"model": model})
    return vectors


async def _cross_encoder(call: Call, model: str | None) -> str | None:
    """Return the name of the model that scores pairs, if there is one."""
    if model is not None:
        return model if (await call.model(model)).get("cross_encoder") else None
    for name in [one["name"] for one in (await call.info()).get("models") or []]:
        if (await call.model(name)).get("cross_encoder"):
            return str(name)
    return None


async def _scores(
    call: Call, model: str | None, pairs: Any, options: Mapping[str, Any]
) -> np.ndarray:
    replies = await call.gather(Ask("score", lambda rows: options, model), pairs)
    scores: np.ndarray = replies.checked(replies.array("scores", np.zeros(1, np.float32)))
    return scores


def _one_column(scores: np.ndarray, model: str) -> np.ndarray:
    if scores.shape[1] != 1:
        raise InvalidRequest(
            f"model {model!r} gives {scores.shape[1]} scores for a pair; to order documents takes "
            "one that gives one"
        )
    column: np.ndarray = scores[:, 0]
    return column


async def _cosines(call: Call, model: str | None, query: str, texts: list[Any]) -> np.ndarray:
    options: EncodeKeywords = {"model": model}
    asked = await encode(call, query, await prompted(call, options, QUERY_PROMPTS))
    found = await encode(call, texts, await prompted(call, options, DOCUMENT_PROMPTS))
    cosines: np.ndarray = similarity(asked[None], found)[0]
    return cosines


def _hits(ids: list[int], scores: list[float], items: list[Any] | None) -> list[Hit]:
    found = []
    for number, score, item in zip(ids, scores, items or [], strict=False):
        if number >= 0:
            found.append(Hit(number, score, (item or {}).get("text"), (item or {}).get("metadata")))
    return found


def _one_each(name: str, values: Iterable[Any], count: int) -> list[Any]:
    column: list[Any] = plain(name, values)
    if not isinstance(column, list) or len(column) != count:
        got = len(column) if isinstance(column, list) else type(column).__name__
        raise InvalidRequest(f"{name}: expected a list of {count}, one for each text, got {got}")
    return column
