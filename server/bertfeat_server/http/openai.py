"""OpenAI's route for embeddings, and Cohere's and Jina's for reranking."""

import uuid

from bertfeat_server.http.bodies import CohereRerankBody, Document, EmbeddingsBody, inputs_of
from bertfeat_server.http.exchange import Answer, Exchange, Route, in_format
from bertfeat_server.http.problems import COHERE, OPENAI, invalid, problem_of

PROMPTS = {
    "query": ("query",), "search_query": ("query",),
    "document": ("document", "passage", "corpus"),
    "search_document": ("document", "passage", "corpus"), "passage": ("passage", "document"),
}  # fmt: skip


async def embeddings(exchange: Exchange[EmbeddingsBody]) -> Answer:
    """Encode texts or token ids as OpenAI's API does; the first bad text fails the request."""
    body = exchange.body
    texts = inputs_of(body.input, "input")
    if body.input_type is not None and body.input_type not in PROMPTS:
        raise invalid(
            f"input_type: {body.input_type!r} is none of {', '.join(PROMPTS)}", "input_type"
        )
    names = PROMPTS.get(body.input_type or "", ())
    prompt = await exchange.prompt_for(body.model, names)
    vectors, info = await exchange.encode(
        texts, model=body.model, dimensions=body.dimensions, prompt_name=prompt
    )
    for error in info.errors.values():
        problem = problem_of(error)
        problem.param = "input"
        raise problem
    tokens = int(info.num_tokens.sum())
    return Answer({
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": row}
            for index, row in enumerate(in_format(vectors, body.encoding_format))
        ],
        "model": info.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })  # fmt: skip


async def models(exchange: Exchange[None]) -> Answer:
    """List the server's models as OpenAI's API does."""
    told = await exchange.client.info()
    return Answer({
        "object": "list",
        "data": [
            {"id": model["name"], "object": "model", "created": 0, "owned_by": "bertfeat"}
            for model in told["models"]
        ],
    })  # fmt: skip


async def rerank(exchange: Exchange[CohereRerankBody]) -> Answer:
    """Order documents by how well they answer a query, as Cohere's and Jina's APIs do."""
    body = exchange.body
    texts = [one.text if isinstance(one, Document) else one for one in body.documents]
    if not texts:
        raise invalid("documents: expected at least one, got none", "documents")
    if body.top_n is not None and body.top_n < 1:
        raise invalid(f"top_n: expected a positive number, got {body.top_n}", "top_n")
    exchange.check_count(texts)
    ranking = await exchange.client.rerank(body.query, texts, k=body.top_n, model=body.model)
    results = [
        {"index": document, "relevance_score": score}
        | ({"document": {"text": texts[document]}} if body.return_documents else {})
        for document, score in ranking
    ]
    return Answer({
        "id": uuid.uuid4().hex, "model": body.model, "results": results,
        "meta": {"method": ranking.method},
    })  # fmt: skip


ROUTES = (
    Route("POST", "/v1/embeddings", embeddings, EmbeddingsBody, OPENAI),
    Route("GET", "/v1/models", models, None, OPENAI),
    Route("POST", "/v1/rerank", rerank, CohereRerankBody, COHERE),
)
