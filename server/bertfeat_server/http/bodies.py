"""The bodies of requests: decoded, checked and described to OpenAPI by these classes alone."""

from typing import Any, Literal

from msgspec import Struct

from bertfeat_client import TokenIds
from bertfeat_server.http.problems import invalid

Float = Literal["float", "base64"]


class TextItem(Struct, forbid_unknown_fields=True):
    """A text that is no plain string: a pair, words already split, or token ids."""

    text: str | None = None
    pair: str | None = None
    words: list[str] | None = None
    ids: list[int] | None = None

    def item(self) -> Any:
        """Return it as the client takes it."""
        given = {
            name for name in ("text", "pair", "words", "ids") if getattr(self, name) is not None
        }
        if given == {"words"}:
            return self.words
        if given == {"ids"}:
            return TokenIds(self.ids or ())
        if given == {"text", "pair"}:
            return self.text, self.pair
        raise invalid(
            'a text: expected a string, {"text", "pair"}, {"words"} or {"ids"}, got an object with '
            + (", ".join(sorted(given)) or "none of these")
        )


Text = str | TextItem
Texts = str | list[Text]
Layers = int | str | list[int]


class EncodeBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """Texts, and how they become vectors; what is left out the server or the model decides."""

    texts: Texts
    model: str | None = None
    layers: Layers | None = None
    combine: str | None = None
    layer_weights: list[float] | None = None
    pooling: str | None = None
    normalize: bool | None = None
    dimensions: int | None = None
    dtype: str | None = None
    truncate: str | None = None
    prompt: str | None = None
    prompt_name: str | None = None
    max_seq_len: int | None = None
    encoding_format: Float = "float"


class EmbeddingsBody(Struct, kw_only=True):
    """OpenAI's body; ``input_type`` is ours: ``query`` or ``document`` take the model's prompts."""

    input: str | list[str | int | list[int]]
    model: str | None = None
    encoding_format: Float = "float"
    dimensions: int | None = None
    input_type: str | None = None
    user: str | None = None


class EmbedBody(Struct, kw_only=True):
    """The body of text-embeddings-inference's ``/embed`` and ``/embed_all``."""

    inputs: str | list[str | int | list[int]]
    normalize: bool = True
    truncate: bool | None = None
    truncation_direction: Literal["right", "left", "Right", "Left"] = "right"
    prompt_name: str | None = None
    dimensions: int | None = None


class SimilarityParameters(Struct, kw_only=True):
    """What may be said of a comparison."""

    truncate: bool | None = None
    truncation_direction: Literal["right", "left", "Right", "Left"] = "right"
    prompt_name: str | None = None


class SimilarityInputs(Struct, kw_only=True):
    """One sentence and those that it is compared with."""

    source_sentence: str
    sentences: list[str]


class SimilarityBody(Struct, kw_only=True):
    """The body of text-embeddings-inference's ``/similarity``."""

    inputs: SimilarityInputs
    parameters: SimilarityParameters | None = None


class RootBody(Struct, kw_only=True):
    """What ``huggingface_hub`` posts to ``/``: the body of ``/embed`` or of ``/similarity``."""

    inputs: str | list[str | int | list[int]] | SimilarityInputs
    parameters: SimilarityParameters | None = None
    normalize: bool = True
    truncate: bool | None = None
    truncation_direction: Literal["right", "left", "Right", "Left"] = "right"
    prompt_name: str | None = None
    dimensions: int | None = None


class TokenizeBody(Struct, kw_only=True):
    """The body of text-embeddings-inference's ``/tokenize``."""

    inputs: str | list[str]
    add_special_tokens: bool = True
    prompt_name: str | None = None


class RerankBody(Struct, kw_only=True):
    """The body of text-embeddings-inference's ``/rerank``."""

    query: str
    texts: list[str]
    raw_scores: bool = False
    return_text: bool = False
    truncate: bool | None = None
    truncation_direction: Literal["right", "left", "Right", "Left"] = "right"


class PredictBody(Struct, kw_only=True):
    """The body of text-embeddings-inference's ``/predict``: texts or pairs."""

    inputs: str | list[str | list[str]]
    raw_scores: bool = False
    truncate: bool | None = None
    task: str | None = None


class Document(Struct, kw_only=True):
    """A document that is an object."""

    text: str


class CohereRerankBody(Struct, kw_only=True):
    """The body of Cohere's and Jina's ``/v1/rerank``."""

    query: str
    documents: list[str | Document]
    model: str | None = None
    top_n: int | None = None
    return_documents: bool = False


class SearchBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """Texts whose neighbours are looked for."""

    texts: Texts
    k: int = 10


class TagBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """Texts whose entities are looked for."""

    texts: Texts
    task: str | None = None


def items_of(texts: Texts) -> list[Any]:
    """Return texts as the client takes them."""
    listed = [texts] if isinstance(texts, str) else texts
    return [text if isinstance(text, str) else text.item() for text in listed]


def inputs_of(given: str | list[str | int | list[int]], param: str) -> list[Any]:
    """Return strings or token ids in the shapes of OpenAI as the client takes them.

    Raises:
        Problem: strings, ids and lists of ids are mixed, or there is nothing.
    """
    if isinstance(given, str):
        return [given]
    kinds = {type(one) for one in given}
    if not given or len(kinds) > 1:
        got = "an empty list" if not given else "a mixture"
        raise invalid(
            f"{param}: expected a string, strings, token ids or lists of them, got {got}", param
        )
    if kinds == {int}:
        return [TokenIds(given)]  # type: ignore[arg-type]
    return [TokenIds(one) if isinstance(one, list) else one for one in given]
