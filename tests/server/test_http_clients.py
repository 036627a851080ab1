"""Clients of other servers, unmodified, against our HTTP side."""

import asyncio

import numpy as np
import pytest
from http_served import REAL, http_server

from bertfeat import Encoder

TEXTS = ["the cat sat on the mat", "hello world"]
pytestmark = pytest.mark.filterwarnings("ignore::bertfeat.errors.NotTrainedForSimilarity")


@pytest.fixture(scope="module")
def model(tiny_bert):
    return tiny_bert(seed=5)


@pytest.fixture(scope="module")
def expected(model):
    return Encoder.load(model).encode(TEXTS)


@pytest.fixture(scope="module")
def url(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clients")
    options = [f"--model=tiny={model}", "--precision", "float32"]
    with http_server(folder, *options, **REAL) as (_, http):
        yield str(http.base_url)


@pytest.mark.parametrize("encoding_format", ["float", "base64", None])
def test_openais_client(url, expected, encoding_format):
    openai = pytest.importorskip("openai")
    options = {"encoding_format": encoding_format} if encoding_format else {}
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        found = client.embeddings.create(model="tiny", input=TEXTS, **options)
        rows = [one.embedding for one in found.data]
        if encoding_format == "base64":
            import base64

            rows = [np.frombuffer(base64.b64decode(row), np.float32) for row in rows]
        np.testing.assert_allclose(rows, expected, atol=1e-5)
        assert found.usage.total_tokens > 4
        with pytest.raises(openai.NotFoundError, match="no model 'ada'"):
            client.embeddings.create(model="ada", input="a")
        with pytest.raises(openai.BadRequestError, match="an empty list"):
            client.embeddings.create(model="tiny", input=[])
        assert [one.id for one in client.models.list()] == ["tiny"]


def test_openais_awaited_client(url, expected):
    openai = pytest.importorskip("openai")

    async def ask():
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:
            calls = [client.embeddings.create(model="tiny", input=text) for text in TEXTS]
            return [one.data[0].embedding for one in await asyncio.gather(*calls)]

    np.testing.assert_allclose(asyncio.run(ask()), expected, atol=1e-5)


def test_the_hubs_clients(url, expected):
    hub = pytest.importorskip("huggingface_hub")
    unit = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    client = hub.InferenceClient(base_url=url)
    found = client.feature_extraction(TEXTS[0], normalize=True, truncate=True)
    np.testing.assert_allclose(found, unit[:1], atol=1e-5)
    found = client.sentence_similarity(TEXTS[0], other_sentences=TEXTS)
    np.testing.assert_allclose(found, unit @ unit[0], atol=1e-5)


def test_the_hubs_awaited_client(url, expected):
    hub = pytest.importorskip("huggingface_hub")
    unit = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    if hub.__version__ < "1":
        pytest.importorskip("aiohttp")

    async def ask():
        async with hub.AsyncInferenceClient(base_url=url) as client:
            return await client.feature_extraction(TEXTS[1])

    np.testing.assert_allclose(asyncio.run(ask()), unit[1:], atol=1e-5)
