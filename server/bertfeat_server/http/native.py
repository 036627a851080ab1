"""Our own routes, and those that tell about the server."""

from typing import Any

from msgspec import structs

from bertfeat_client.errors import ClientError
from bertfeat_server.ask import default_model
from bertfeat_server.http.bodies import EncodeBody, SearchBody, TagBody, items_of
from bertfeat_server.http.exchange import Answer, Exchange, Route, in_format

HEALTH_TEXT = "a"


async def encode(exchange: Exchange[EncodeBody]) -> Answer:
    """Encode texts: a vector and an outcome for each; a bad text fails alone."""
    options = structs.asdict(exchange.body)
    texts, encoding_format = items_of(options.pop("texts")), options.pop("encoding_format")
    vectors, info = await exchange.encode(texts, **options)
    rows = in_format(vectors, encoding_format)
    for row in info.errors:
        rows[row] = None
    return Answer({
        "vectors": rows,
        "num_tokens": info.num_tokens,
        "truncated": info.truncated,
        "errors": {
            str(row): {"code": error.code, "message": str(error)}
            for row, error in info.errors.items()
        },
        "model": info.model,
        "model_hash": info.model_hash,
        "precision": info.precision,
    })  # fmt: skip


async def search(exchange: Exchange[SearchBody]) -> Answer:
    """Find the nearest neighbours of texts in the server's index."""
    texts = items_of(exchange.body.texts)
    exchange.check_count(texts)
    found = await exchange.client.search(texts, k=exchange.body.k)
    return Answer([[hit._asdict() for hit in hits] for hits in found])


async def tag(exchange: Exchange[TagBody]) -> Answer:
    """Find the entities of texts with a trained tagger."""
    texts = items_of(exchange.body.texts)
    exchange.check_count(texts)
    found = await exchange.client.tag(texts, task=exchange.body.task)
    return Answer([[entity._asdict() for entity in entities] for entities in found])


async def info(exchange: Exchange[None]) -> Answer:
    """Tell the server's version, models, limits and index."""
    told = await exchange.client.info()
    model = default_model(told)
    # the names that text-embeddings-inference has for these stand beside ours
    return Answer(told | {
        "model_id": model["name"],
        "model_sha": model.get("model_hash"),
        "model_dtype": model.get("precision"),
        "model_type": {"reranker" if model.get("cross_encoder") else "embedding": {}},
        "max_input_length": model.get("max_seq_len"),
        "max_client_batch_size": told["limits"]["max_request_texts"],
        "max_batch_tokens": told["limits"]["max_batch_tokens"],
        "auto_truncate": True,
    })  # fmt: skip


async def status(exchange: Exchange[None]) -> Answer:
    """Tell how the server does: queue, requests, batches and workers."""
    return Answer(await exchange.client.status())


async def ready(exchange: Exchange[None]) -> Answer:
    """Answer 200 when every model is loaded and the server takes requests, else 503."""
    try:
        is_ready = (await exchange.client.status())["ready"]
    except ClientError:
        is_ready = False
    return Answer({"ready": is_ready}, status=200 if is_ready else 503)


async def health(exchange: Exchange[None]) -> Answer:
    """Answer 200 when a text can be encoded right now, else 503."""
    try:
        await exchange.client.encode(HEALTH_TEXT)
    except ClientError as error:
        return Answer({"healthy": False, "reason": str(error)}, status=503)
    return Answer({"healthy": True})


ROUTES: tuple[Any, ...] = (
    Route("POST", "/encode", encode, EncodeBody),
    Route("POST", "/search", search, SearchBody),
    Route("POST", "/tag", tag, TagBody),
    Route("GET", "/info", info),
    Route("GET", "/status", status),
    Route("GET", "/ready", ready, is_open=True),
    Route("GET", "/health", health, is_open=True),
)
