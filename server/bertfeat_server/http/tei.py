"""The routes of text-embeddings-inference, and ``/``, where ``huggingface_hub`` posts."""

from typing import Any

import numpy as np

from bertfeat_client.errors import NotFound, RowErrors
from bertfeat_server.http.bodies import (
    EmbedBody,
    PredictBody,
    RerankBody,
    RootBody,
    SimilarityBody,
    SimilarityInputs,
    SimilarityParameters,
    TokenizeBody,
    inputs_of,
)
from bertfeat_server.http.exchange import Answer, Exchange, Route, names_of
from bertfeat_server.http.problems import TEI, invalid


def cut(truncate: bool | None, direction: str) -> str:
    """Return our name for where a too long text is cut: it is, unless told otherwise."""
    return "error" if truncate is False else direction.lower()


async def embed(exchange: Exchange[Any]) -> Answer:
    """Encode texts; the first bad one fails the request."""
    body: EmbedBody | RootBody = exchange.body
    assert not isinstance(body.inputs, SimilarityInputs)
    vectors, info = await exchange.encode(
        inputs_of(body.inputs, "inputs"), normalize=body.normalize, dimensions=body.dimensions,
        truncate=cut(body.truncate, body.truncation_direction), prompt_name=body.prompt_name,
    )  # fmt: skip
    if info.errors:
        raise RowErrors(info.errors, None)
    return Answer(vectors)


async def embed_all(exchange: Exchange[EmbedBody]) -> Answer:
    """Return the last layer's vector of each token of each text, special tokens included."""
    body = exchange.body
    texts = inputs_of(body.inputs, "inputs")
    exchange.check_count(texts)
    found = await exchange.client.tokens(
        texts, truncate=cut(body.truncate, body.truncation_direction),
        prompt_name=body.prompt_name,
    )  # fmt: skip
    assert isinstance(found, list)
    exchange.headers["X-Bertfeat-Truncated-Rows"] = str(sum(row.truncated for row in found))
    return Answer([row.vectors[0] for row in found])


async def similarity(exchange: Exchange[SimilarityBody]) -> Answer:
    """Compare one sentence with others by the cosine."""
    return await _compare(exchange, exchange.body.inputs, exchange.body.parameters)


async def root(exchange: Exchange[RootBody]) -> Answer:
    """Do as ``/embed``, or as ``/similarity`` where the inputs are sentences to compare."""
    inputs = exchange.body.inputs
    if isinstance(inputs, SimilarityInputs):
        return await _compare(exchange, inputs, exchange.body.parameters)
    return await embed(exchange)


async def tokenize(exchange: Exchange[TokenizeBody]) -> Answer:
    """Return the tokens of texts with their ids and places."""
    inputs = exchange.body.inputs
    texts = [inputs] if isinstance(inputs, str) else inputs
    exchange.check_count(texts)
    found = await exchange.client.tokenize(
        texts, add_special_tokens=exchange.body.add_special_tokens
    )
    assert isinstance(found, list)
    return Answer([_tokens(row) for row in found])


async def rerank(exchange: Exchange[RerankBody]) -> Answer:
    """Order texts by how well they answer a query."""
    body = exchange.body
    if not body.texts:
        raise invalid("texts: expected at least one, got none", "texts")
    exchange.check_count(body.texts)
    scorer = await _cross_encoder(exchange)
    if scorer is None:
        ranking: list[tuple[int, float]] = list(
            await exchange.client.rerank(body.query, body.texts)
        )
    else:
        pairs = [(body.query, text) for text in body.texts]
        scores = (await exchange.client.score(pairs, model=scorer, raw=True))[:, 0]
        scores = scores if body.raw_scores else _sigmoid(scores)
        ranking = [(int(i), float(scores[i])) for i in np.argsort(-scores, kind="stable")]
    return Answer([
        {"index": index, "score": score}
        | ({"text": body.texts[index]} if body.return_text else {})
        for index, score in ranking
    ])  # fmt: skip


async def predict(exchange: Exchange[PredictBody]) -> Answer:
    """Return the scores of a classification model's labels, best first."""
    inputs, is_batch = _predictions(exchange.body.inputs)
    exchange.check_count(inputs)
    scorer = None if exchange.body.task else await _cross_encoder(exchange)
    if scorer is None and (exchange.body.task or await _has_task(exchange)):
        found = await exchange.client.predict(inputs, task=exchange.body.task)
        named = [_named(prediction) for prediction in found]
        return Answer(named if is_batch else named[0])
    if scorer is None:
        told = await exchange.client.info()
        raise NotFound(f"no model with a classification head here; there are {names_of(told)}")
    logits = await exchange.client.score(inputs, model=scorer, raw=True)
    scores = logits if exchange.body.raw_scores else _probabilities(logits)
    rows = [
        [{"label": f"LABEL_{label}", "score": float(row[label])} for label in np.argsort(-row)]
        for row in scores
    ]
    return Answer(rows if is_batch else rows[0])


async def _compare(
    exchange: Exchange[Any], inputs: SimilarityInputs, parameters: SimilarityParameters | None
) -> Answer:
    if not inputs.sentences:
        raise invalid("inputs.sentences: expected at least one, got none", "inputs")
    said = parameters or SimilarityParameters()
    vectors, info = await exchange.encode(
        [inputs.source_sentence, *inputs.sentences], normalize=True,
        truncate=cut(said.truncate, said.truncation_direction), prompt_name=said.prompt_name,
    )  # fmt: skip
    if info.errors:
        raise RowErrors(info.errors, None)
    return Answer(vectors[1:] @ vectors[0])


async def _has_task(exchange: Exchange[Any]) -> bool:
    tasks = (await exchange.client.info()).get("tasks") or ()
    return any(task.get("task") == "predict" for task in tasks)


def _named(prediction: Any) -> list[dict[str, Any]]:
    """Return the labels of a prediction with their scores, best first; a value has one label."""
    scores = prediction.scores or {"score": prediction.score}
    ordered = sorted(scores.items(), key=lambda pair: -pair[1])
    return [{"label": label, "score": score} for label, score in ordered]


async def _cross_encoder(exchange: Exchange[Any]) -> str | None:
    models = (await exchange.client.info())["models"]
    return next((str(one["name"]) for one in models if one.get("cross_encoder")), None)


def _tokens(row: dict[str, Any]) -> list[dict[str, Any]]:
    columns = zip(row["ids"], row["tokens"], row["special"], row["offsets"], strict=True)
    return [
        {
            "id": number, "text": token, "special": bool(special),
            "start": None if special else start, "stop": None if special else stop,
        }
        for number, token, special, (start, stop) in columns
    ]  # fmt: skip


def _predictions(inputs: str | list[str | list[str]]) -> tuple[list[Any], bool]:
    """Return texts and pairs, and whether a list of results is due: two strings are one pair."""
    if isinstance(inputs, str):
        return [inputs], False
    if len(inputs) == 2 and all(isinstance(one, str) for one in inputs):
        return [tuple(inputs)], False
    if not inputs:
        raise invalid("inputs: expected at least one text, got none", "inputs")
    return [_text_or_pair(one) for one in inputs], True


def _text_or_pair(one: str | list[str]) -> Any:
    parts = [one] if isinstance(one, str) else one
    if not 1 <= len(parts) <= 2:
        raise invalid(f"inputs: expected one or two strings in each, got {len(parts)}", "inputs")
    return parts[0] if len(parts) == 1 else tuple(parts)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    result: np.ndarray = 1 / (1 + np.exp(-logits))
    return result


def _probabilities(logits: np.ndarray) -> np.ndarray:
    if logits.shape[1] == 1:
        return _sigmoid(logits)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: np.ndarray = shifted / shifted.sum(axis=1, keepdims=True)
    return result


ROUTES = (
    Route("POST", "/", root, RootBody, TEI),
    Route("POST", "/embed", embed, EmbedBody, TEI),
    Route("POST", "/embed_all", embed_all, EmbedBody, TEI),
    Route("POST", "/similarity", similarity, SimilarityBody, TEI),
    Route("POST", "/tokenize", tokenize, TokenizeBody, TEI),
    Route("POST", "/rerank", rerank, RerankBody, TEI),
    Route("POST", "/predict", predict, PredictBody, TEI),
)
