"""Which prompt the routes take for ``input_type``, and what they ask the broker for it."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

from bertfeat_client.errors import NotFound
from bertfeat_server.http.bodies import EmbeddingsBody
from bertfeat_server.http.exchange import Exchange
from bertfeat_server.http.openai import embeddings
from bertfeat_server.http.problems import Problem


class Broker:
    """A client's end, which notes what it was asked."""

    def __init__(self, prompts):
        self.told = {"default_model": "m", "models": [{"name": "m", "prompts": prompts}]}
        self.infos, self.options = 0, {}

    async def info(self):
        self.infos += 1
        return self.told

    async def encode(self, texts, return_info, **options):
        self.options = options
        info = SimpleNamespace(
            errors={}, num_tokens=np.full(len(texts), 3), truncated=np.zeros(len(texts), bool),
            timing={}, model="m",
        )  # fmt: skip
        return np.zeros((len(texts), 2), np.float32), info


def asked(prompts=(), **body):
    broker = Broker(list(prompts))
    answer = asyncio.run(embeddings(Exchange(EmbeddingsBody(input="cat", **body), broker, None)))
    assert len(answer.content["data"]) == 1
    return broker


def test_a_request_without_a_prompt_asks_for_its_vectors_only():
    broker = asked(["query"], model="m")
    assert (broker.infos, broker.options) == (0, {"model": "m"})


@pytest.mark.parametrize(
    ("prompts", "input_type", "taken"),
    [
        (["query", "document"], "query", "query"),
        (["query", "passage"], "document", "passage"),
        (["corpus"], "search_document", "corpus"),
        (["query"], "passage", None),
    ],
)
def test_an_input_type_takes_the_first_prompt_that_the_model_has(prompts, input_type, taken):
    broker = asked(prompts, input_type=input_type)
    assert (broker.infos, broker.options.get("prompt_name")) == (1, taken)


def test_an_unknown_model_or_input_type_is_refused():
    with pytest.raises(NotFound, match="no model 'other' here; this server has m"):
        asked(input_type="query", model="other")
    with pytest.raises(Problem, match="'questions' is none of query"):
        asked(input_type="questions")
