"""``Encoder``: text in, vectors out. It joins tokenizer, engine and features, and adds nothing."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Unpack, overload

import numpy as np

from bertfeat.checkpoints import model_hash
from bertfeat.config import EncoderConfig
from bertfeat.errors import RowErrors
from bertfeat.features import heads
from bertfeat.features.options import EncodeKeywords, EncodeOptions
from bertfeat.features.pooled import EncodeInfo, encode_items, warm_up, warn_of_plain_bert
from bertfeat.features.ranking import Ranked, best
from bertfeat.features.runtime import Runtime
from bertfeat.features.texts import as_items, iterate
from bertfeat.features.tokens import TokenFeatures, WindowOptions, extract_items
from bertfeat.loading import Loaded, LoadOptions, load
from bertfeat.tokenization import Tokenizer

Vectors = np.ndarray | list[np.ndarray]
QUERY_PROMPTS = ("query",)
DOCUMENT_PROMPTS = ("document", "passage", "corpus")


class Encoder:
    """A BERT encoder with its tokenizer; made by :meth:`load`.

    Attributes:
        runtime: the loaded model as the features use it.
        folder: where the model lies.
        precision: what it computes in, and ``precision_reason`` why.
    """

    def __init__(self, loaded: Loaded) -> None:
        self.runtime: Runtime = loaded.runtime
        self.folder: Path = loaded.folder
        self.precision, self.precision_reason = loaded.choice.precision, loaded.choice.reason
        self._score_activation = loaded.score_activation
        self._notice_due = loaded.runtime.is_plain

    @classmethod
    def load(cls, model: str | Path = "all-MiniLM-L6-v2", **options: Any) -> "Encoder":
        """Load a model by name or folder.

        Args:
            model: a folder, a name such as ``all-MiniLM-L6-v2``, or ``organization/name``.
            options: the fields of :class:`bertfeat.loading.LoadOptions`: ``precision``,
                ``device``, ``offline``, ``max_seq_len``, ``batch_tokens``, ``threads`` …

        Raises:
            ModelNotFound: the name led nowhere; lists what was tried.
            CheckpointError, ConfigError, VocabularyError: the folder's files cannot be used.
        """
        return cls(load(model, LoadOptions(**options)))

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        return self.runtime.tokenizer

    @property
    def config(self) -> EncoderConfig:
        """The encoder's sizes and constants."""
        return self.runtime.config

    @property
    def max_seq_len(self) -> int:
        """Tokens read of each text, specials included."""
        return self.runtime.max_seq_len

    @property
    def num_layers(self) -> int:
        """Number of transformer layers; hidden states are numbered 0 to this."""
        return self.config.num_hidden_layers

    @cached_property
    def dim(self) -> int:
        """Length of the vectors that ``encode`` makes unless told otherwise."""
        return self.runtime.spec(EncodeOptions()).dim

    @cached_property
    def model_hash(self) -> str:
        """The sha256 of the weights."""
        return model_hash(self.folder)

    def has_head(self, head: str) -> bool:
        """Whether the checkpoint has ``pooler``, ``masked_lm``, and so on."""
        return head in self.runtime.heads

    @overload
    def encode(
        self, texts: Any, *, return_info: Literal[False] = ..., **options: Unpack[EncodeKeywords]
    ) -> Any: ...
    @overload
    def encode(
        self, texts: Any, *, return_info: Literal[True], **options: Unpack[EncodeKeywords]
    ) -> tuple[Any, EncodeInfo]: ...
    def encode(
        self, texts: Any, *, return_info: bool = False, **options: Unpack[EncodeKeywords]
    ) -> Any:
        """Turn texts into vectors, one for each text.

        Args:
            texts: a string, or any iterable of strings, pairs (tuples) and word lists.
            return_info: also return what happened to each row; then no row raises.
            options: see :class:`bertfeat.features.options.EncodeOptions`.

        Returns:
            float32 (n, dim), or (dim,) for a bare string; (n, layers, dim) with
            ``combine="none"``; with ``pooling="none"`` a list of (tokens, dim) arrays.  Other
            dtypes as asked.  With ``return_info`` a pair of that and an :class:`EncodeInfo`.

        Raises:
            InputError: an option is not acceptable, or ``texts`` is no collection.
            RowErrors: some texts failed; the others' vectors are in it.
        """
        chosen = EncodeOptions.from_mapping(options)
        items, single = as_items(texts)
        vectors, info = encode_items(self.runtime, items, chosen)
        if self._notice_due and chosen.pooling is None and chosen.layers is None:
            self._notice_due = False
            warn_of_plain_bert(self.folder.name, stacklevel=2)
        info.warn_if_truncated(self.runtime.limit(chosen), stacklevel=2)
        result = vectors[0] if single else vectors
        if return_info:
            return result, info
        if info.errors:
            raise RowErrors(info.errors, result)
        return result

    def encode_query(self, texts: Any, **options: Any) -> Any:
        """Do as :meth:`encode`, with the model's prompt for queries if it has one."""
        return self.encode(texts, **self._with_prompt(QUERY_PROMPTS, options))

    def encode_document(self, texts: Any, **options: Any) -> Any:
        """Do as :meth:`encode`, with the model's prompt for documents if it has one.

        That is the prompt named ``document``, else ``passage``, else ``corpus``.
        """
        return self.encode(texts, **self._with_prompt(DOCUMENT_PROMPTS, options))

    def extract(
        self,
        texts: Any,
        *,
        layers: Any = -1,
        long: str = "truncate",
        stride: int = 128,
        return_errors: bool = False,
        **options: Any,
    ) -> Iterator[TokenFeatures]:
        """Yield the vectors of every token of each text: ragged, in order, lazily.

        Args:
            texts: as for :meth:`encode`; read only as far as the results are.
            layers: see :func:`bertfeat.features.layers.resolve_layers`.
            long: ``truncate``, or ``window``: long texts in windows, each token taken once, where
                it has the largest context.
            stride: tokens that neighbouring windows share.
            return_errors: leave errors in the items instead of raising at the end.
            options: ``truncate``, ``max_seq_len``, ``prompt``, ``prompt_name`` (none by default).

        Raises:
            InputError: an option is not acceptable.
            RowErrors: after the last item, if some texts failed (``.vectors`` is None).
        """
        kind = {"layers": layers, "combine": "none", "pooling": "none"}
        prompt = {} if options.get("prompt_name") else {"prompt": ""}
        chosen = EncodeOptions.from_mapping(kind | prompt | options)
        windows = WindowOptions(long, stride)
        self.runtime.spec(chosen)
        return self._extract(iterate(texts), chosen, windows, return_errors)

    def outputs(self, text: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Return inner tensors of one text by name (see ``bertfeat.encoder.names``)."""
        return heads.outputs_of(self.runtime, text, names)

    def attentions(self, text: Any) -> np.ndarray:
        """Return attention probabilities, float32 (layers, heads, tokens, tokens)."""
        names = [f"attentions.{layer}" for layer in range(self.num_layers)]
        found = self.outputs(text, names)
        return np.stack([found[name] for name in names])

    def fill_mask(self, text: Any, k: int = 5) -> list[list[heads.Candidate]]:
        """Return, for each [MASK] of a text, the ``k`` likeliest (token, probability)."""
        return heads.fill_mask(self.runtime, text, k)

    def next_sentence(self, first: str, second: str) -> float:
        """Return the probability that the second text follows the first."""
        return heads.next_sentence(self.runtime, first, second)

    def pseudo_log_likelihood(self, text: Any) -> float:
        """Return the sum of log P(token | all other tokens), in nats."""
        return heads.pseudo_log_likelihood(self.runtime, text)

    def score(self, pairs: Any, *, raw: bool = False) -> np.ndarray:
        """Score pairs (or texts) by the classification head, float32 (n, labels); raw: logits."""
        items, _ = as_items(pairs)
        return heads.classify(self.runtime, items, heads.logits if raw else self._score_activation)

    @property
    def rerank_method(self) -> str:
        """How :meth:`rerank` compares: ``cross-encoder`` or ``cosine``."""
        return "cross-encoder" if self.has_head("classifier") else "cosine"

    def rerank(self, query: str, documents: Any, k: int | None = None) -> list[Ranked]:
        """Return the ``k`` documents that fit a query best (all unless told), best first."""
        items, _ = as_items(documents)
        if not items:
            return []
        if self.rerank_method == "cross-encoder":
            scores = self.score([(query, document) for document in items])[:, 0]
        else:
            asked = self.encode_query(query, normalize=True)
            scores = self.encode_document(items, normalize=True) @ asked
        return best(scores, k)

    def warm_up(self) -> None:
        """Compile the default computation, so that no real call has to wait for that."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warm_up(self.runtime)

    def _extract(
        self, items: Iterator[Any], options: EncodeOptions, windows: WindowOptions, keep: bool
    ) -> Iterator[TokenFeatures]:
        errors: dict[int, Exception] = {}
        info = EncodeInfo.of_rows(0)
        cut: list[bool] = []
        for row, features in enumerate(extract_items(self.runtime, items, options, windows)):
            if features.error is not None:
                errors[row] = features.error
            cut.append(features.truncated)
            yield features
        info.truncated = np.array(cut, bool)
        info.warn_if_truncated(self.runtime.limit(options), stacklevel=2)
        if errors and not keep:
            raise RowErrors(errors, None)

    def _with_prompt(self, names: Iterable[str], options: dict[str, Any]) -> dict[str, Any]:
        if options.get("prompt") is not None or options.get("prompt_name") is not None:
            return options
        prompts = self.runtime.modules.prompts
        return options | {"prompt": next((prompts[name] for name in names if name in prompts), "")}
