"""The calls that turn texts into vectors."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing
from typing import Any, Unpack

from bertfeat_client.base import Base, check_count
from bertfeat_client.call import Ask, Call
from bertfeat_client.errors import InvalidRequest
from bertfeat_client.options import EncodeKeywords, TokenKeywords
from bertfeat_client.truncation import Truncation

QUERY_PROMPTS = ("query",)
DOCUMENT_PROMPTS = ("document", "passage", "corpus")
"""Names that prompts for queries and for documents go by, as in sentence-transformers."""


class Encoding(Base):
    """Encodes texts, at once, as a stream, or token by token."""

    async def encode(
        self, texts: Any, *, return_info: bool = False, **options: Unpack[EncodeKeywords]
    ) -> Any:
        """Turn texts into vectors.

        Args:
            texts: one string, or an iterable of items: strings, tuples of two strings (pairs),
                lists of strings (words).  Any number: they go in as many requests as it takes.
            return_info: return ``(vectors, EncodeInfo)`` and let ``info.errors`` tell of the
                rows that failed.
            options: see :class:`~bertfeat_client.options.EncodeKeywords`.

        Returns:
            Vectors (n, dim), rows in order, float32 unless another dtype was asked for; (n, layers,
            dim) with ``combine="none"``; a list of (tokens, dim) with ``pooling="none"``.  For
            one bare string the first axis is absent.

        Raises:
            RowErrors: some rows failed.
            ClientError: the whole call failed; see :mod:`bertfeat_client.errors`.

        Warns:
            TruncationWarning: texts were cut.
        """
        return await encode(self._call(), texts, options, return_info=return_info)

    async def encode_query(
        self, texts: Any, *, return_info: bool = False, **options: Unpack[EncodeKeywords]
    ) -> Any:
        """Encode texts that search, with the model's prompt for queries if it has one."""
        call = self._call()
        options = await prompted(call, options, QUERY_PROMPTS)
        return await encode(call, texts, options, return_info=return_info)

    async def encode_document(
        self, texts: Any, *, return_info: bool = False, **options: Unpack[EncodeKeywords]
    ) -> Any:
        """Encode texts that are searched, with the model's prompt for documents if it has one."""
        call = self._call()
        options = await prompted(call, options, DOCUMENT_PROMPTS)
        return await encode(call, texts, options, return_info=return_info)

    async def encode_stream(
        self,
        texts: Iterable[Any] | AsyncIterable[Any],
        *,
        batch_size: int = 256,
        return_info: bool = False,
        **options: Unpack[EncodeKeywords],
    ) -> AsyncGenerator[Any, None]:
        """Encode a huge or endless iterable in bounded memory, several requests at a time.

        Args:
            texts: the items, read as they are needed.
            batch_size: texts of one request, at most what the server accepts.
            return_info: yield ``(vectors, EncodeInfo)``.
            options: see :class:`~bertfeat_client.options.EncodeKeywords`.

        Yields:
            The vectors of the next batch, as :meth:`encode` returns them.  Rows in ``info.errors``
            and ``RowErrors.errors`` are those of the batch; the messages name the text's number
            in the stream.  ``timeout_s`` counts anew for each batch.

        Warns:
            TruncationWarning: texts were cut; told once, when the stream ends.
        """
        if isinstance(texts, str):
            raise InvalidRequest("texts: expected an iterable of texts, got one string")
        check_count("batch_size", batch_size)
        truncation = Truncation()
        try:
            async with aclosing(self._call().stream(Ask.encode(options), texts, batch_size)) as all:
                async for first, replies in all:
                    vectors, info = replies.vectors(), replies.info()
                    truncation.add(info.truncated, first)
                    yield (vectors, info) if return_info else replies.checked(vectors)
        finally:
            truncation.warn()

    async def tokens(
        self, texts: Any, *, return_info: bool = False, **options: Unpack[TokenKeywords]
    ) -> Any:
        """Return each text's tokens with their vectors, offsets and word numbers.

        Args:
            texts: as for :meth:`encode`; one bare string gives one object.
            return_info: return ``(features, EncodeInfo)``; rows that failed raise nothing then.
            options: ``layers`` (the last unless told), ``truncate``, ``long`` … (see
                :class:`~bertfeat_client.options.TokenKeywords`).

        Returns:
            A :class:`TokenFeatures` for each text; for one bare string that alone.

        Raises:
            RowErrors: some rows failed; the features of all are its ``.vectors``.
        """
        replies = await self._call().gather(Ask.tokens(options), texts)
        features = replies.tokens()
        result = features[0] if replies.is_single else features
        return (result, replies.info()) if return_info else replies.checked(result)

    async def tokenize(
        self, texts: Any, *, model: str | None = None, add_special_tokens: bool = True
    ) -> list[dict[str, Any]] | dict[str, Any]:
        """Return each text's tokens without running the model; nothing is cut.

        Args:
            texts: as for :meth:`encode`; one bare string gives one object.
            model: the model's name on the server.
            add_special_tokens: whether those are among them.

        Returns:
            For each text ``ids``, ``tokens``, ``special`` (0 or 1) and ``offsets`` (start, stop),
            lists of one entry for each token.

        Raises:
            RowErrors: some rows failed.
        """
        options = {} if add_special_tokens else {"add_special_tokens": False}
        replies = await self._call().gather(Ask("tokenize", lambda rows: options, model), texts)
        found = replies.items()
        return replies.checked(found[0] if replies.is_single else found)


async def encode(
    call: Call, texts: Any, options: EncodeKeywords, *, return_info: bool = False
) -> Any:
    """Encode texts as a step of a call; see :meth:`Encoding.encode`."""
    replies = await call.gather(Ask.encode(options), texts)
    vectors, info = replies.vectors(), replies.info()
    result = vectors[0] if replies.is_single else vectors
    return (result, info) if return_info else replies.checked(result)


async def prompted(call: Call, options: EncodeKeywords, names: tuple[str, ...]) -> EncodeKeywords:
    """Return the options with the first of the named prompts that the model has.

    A prompt that the caller chose stays.
    """
    if options.get("prompt") is not None or options.get("prompt_name") is not None:
        return options
    known = (await call.model(options.get("model"))).get("prompts") or ()
    name = next((name for name in names if name in known), None)
    return options if name is None else {**options, "prompt_name": name}
