"""What every checkpoint format is read into and written from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from bertfeat.config import EncoderConfig


@dataclass(frozen=True)
class Dense:
    """A layer behind the pooling: ``activation(vector @ kernel + bias)``.

    Attributes:
        kernel: float (in, out).
        bias: float (out,), or None.
        activation: ``identity``, ``tanh``, ``gelu``, ``relu``, ``sigmoid`` or ``silu``.
    """

    kernel: np.ndarray
    bias: np.ndarray | None = None
    activation: str = "identity"


@dataclass(frozen=True)
class SentenceModules:
    """What a sentence-transformers folder says about sentence vectors.

    Attributes:
        pooling: our names; several are concatenated in this order.
        include_prompt: whether the prompt's tokens take part in the pooling.
        dense: applied in order to the pooled vector.
        normalize: whether the result gets length 1.
        max_seq_length: tokens, specials included; None leaves it to the tokenizer.
        prompts: name to the text put in front.
        default_prompt_name: the prompt that ``encode`` uses unless told otherwise.
        similarity: ``cosine``, ``dot``, ``euclidean`` or ``manhattan``.
        truncate_dim: the vectors are cut to so many dimensions.
        do_lower_case: lower-case the text whatever the tokenizer does.
    """

    pooling: tuple[str, ...] = ("mean",)
    include_prompt: bool = True
    dense: tuple[Dense, ...] = ()
    normalize: bool = False
    max_seq_length: int | None = None
    prompts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    default_prompt_name: str | None = None
    similarity: str | None = None
    truncate_dim: int | None = None
    do_lower_case: bool = False


@dataclass(frozen=True)
class ModelFolder:
    """A model as read from disk.

    Attributes:
        folder: where it lies.
        format: ``google``, ``huggingface`` or ``sentence-transformers``.
        config: the encoder's configuration.
        raw_config: the configuration file as it stands, keys of others included.
        tensors: canonical name (``tensor_names``) to array, in the type that the file holds.
        sentence: how sentence vectors are made; None where the folder does not say.
        subfolder: where in ``folder`` the encoder's and the tokenizer's files lie.
    """

    folder: Path
    format: str
    config: EncoderConfig
    raw_config: Mapping[str, Any]
    tensors: Mapping[str, np.ndarray]
    sentence: SentenceModules | None = None
    subfolder: str = ""

    @property
    def tokenizer_folder(self) -> Path:
        """Where the tokenizer's files lie."""
        return self.folder / self.subfolder
