"""The encoder's configuration: exactly the keys of a BERT ``config.json``.

It checks what a file asks for and reports every problem at once.  It does not look at weights.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from bertfeat.errors import ConfigError

ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish", "tanh", "linear")
REQUIRED = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "max_position_embeddings",
)  # fmt: skip
# What a key must say if it is there at all: anything else changes the arithmetic.
FIXED: dict[str, tuple[Any, ...]] = {
    "model_type": ("bert",),
    "position_embedding_type": ("absolute",),
    "is_encoder_decoder": (False,),
    "add_cross_attention": (False,),
    "pruned_heads": ({}, None),
    "chunk_size_feed_forward": (0,),
}


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Sizes and constants of a BERT encoder, named as in ``config.json``.

    With ``is_decoder`` a token attends to none that follows it.
    """

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int = 2
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-12
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    initializer_range: float = 0.02
    pad_token_id: int = 0
    is_decoder: bool = False

    def __post_init__(self) -> None:
        _raise_if(self._problems(), "the encoder's configuration")

    @classmethod
    def from_dict(
        cls, raw: Mapping[str, Any], source: str = "config.json", *, google: bool = False
    ) -> "EncoderConfig":
        """Read a model's configuration; keys that do not change the encoder are ignored.

        Args:
            raw: the parsed file.
            source: names the file in errors.
            google: a ``bert_config.json``, where a missing ``type_vocab_size`` means 16
                (google-research/bert modeling.py, BertConfig).

        Raises:
            ConfigError: keys are missing, contradict each other or ask for what is not computed;
                the message lists all of them.
        """
        problems = [f"{key} is missing" for key in REQUIRED if raw.get(key) is None]
        problems += [
            f"{key}={raw[key]!r} is not supported, only {' or '.join(map(repr, accepted))}"
            for key, accepted in FIXED.items()
            if key in raw and raw[key] not in accepted
        ]
        if raw.get("embedding_size") not in (None, raw.get("hidden_size")):
            problems.append(f"embedding_size={raw['embedding_size']!r} differs from hidden_size")
        known = {f.name: raw[f.name] for f in fields(cls) if raw.get(f.name) is not None}
        if google:
            known.setdefault("type_vocab_size", 16)
        problems += cls._unchecked(known)._problems(known)
        _raise_if(problems, source)
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as the keys and values of a ``config.json``."""
        return asdict(self)

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @classmethod
    def _unchecked(cls, values: Mapping[str, Any]) -> "EncoderConfig":
        config = object.__new__(cls)
        for field in fields(cls):
            object.__setattr__(config, field.name, values.get(field.name, field.default))
        return config

    def _problems(self, given: Mapping[str, Any] | None = None) -> list[str]:
        """List what is wrong; keys that were not given are reported elsewhere."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        present = {k: v for k, v in values.items() if given is None or k in given}
        problems = [_wrong_number(key, value) for key, value in present.items()]
        hidden, heads = present.get("hidden_size", 0), present.get("num_attention_heads", 0)
        if _is_count(hidden) and _is_count(heads) and int(hidden) % int(heads):
            problems.append(f"num_attention_heads={heads} does not divide hidden_size={hidden}")
        if (act := values["hidden_act"]) not in ACTIVATIONS:
            problems.append(f"hidden_act={act!r} is none of {', '.join(ACTIVATIONS)}")
        return [problem for problem in problems if problem]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _wrong_number(key: str, value: Any) -> str:
    if key in ("hidden_act", "initializer_range"):
        return ""
    if key == "is_decoder":
        return "" if isinstance(value, bool) else f"{key}={value!r} is neither true nor false"
    if key == "pad_token_id":
        return "" if isinstance(value, int) and value >= 0 else f"{key}={value!r} is no token id"
    if key.endswith(("_prob", "_eps")):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        good = number and 0 <= value < 1
        return "" if good else f"{key}={value!r} is not a number from 0 to below 1"
    return "" if _is_count(value) else f"{key}={value!r} is not a positive whole number"


def _raise_if(problems: list[str], source: str) -> None:
    if problems:
        raise ConfigError(
            f"{source}: {'; '.join(problems)}. Only encoders of BERT architecture can be loaded"
        )
