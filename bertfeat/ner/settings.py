"""What a tagger is: labels, scheme, features, network.  Saved beside its weights."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bertfeat.errors import CheckpointError, InputError

FILE = "tagger.json"
OWN_ENCODER = "./encoder"
"""The encoder of a tagger that was trained together with it: a folder within the tagger's."""
COMBINATIONS = ("concat", "sum", "mean", "weighted")
RNNS = ("lstm", "gru", "none")


@dataclass(frozen=True, kw_only=True)
class TaggerSettings:
    """Everything besides the weights.

    Attributes:
        labels: every tag, ``O`` first.
        scheme: that of the tags.
        encoder: name or folder of the encoder, or ``OWN_ENCODER``; ``""`` for a trainable character
            table.
        encoder_hash: sha256 of its weights.
        layers: numbers of its layers.
        hidden_size: width of one layer, or of the character table.
        combine: how layers become one: ``concat``, ``sum``, ``mean`` or ``weighted`` (learned).
        pooling, context, max_seq_len: see :class:`bertfeat.ner.word_vectors.FeatureOptions`.
        characters: the table's words, number 2 on (0 = padding, 1 = unknown).
        rnn: ``lstm``, ``gru`` or ``none``.
        rnn_layers, rnn_units: of each direction.
        dropout: of the features and between layers.
        crf: a CRF on top, else each tag for itself.
        constrained: whether the CRF is trained among allowed paths only; decoding always is.
    """

    labels: tuple[str, ...]
    scheme: str = "IOB2"
    encoder: str = ""
    encoder_hash: str = ""
    layers: tuple[int, ...] = ()
    hidden_size: int = 100
    combine: str = "concat"
    pooling: str = "first"
    context: str = "none"
    max_seq_len: int = 512
    characters: tuple[str, ...] = ()
    rnn: str = "lstm"
    rnn_layers: int = 2
    rnn_units: int = 128
    dropout: float = 0.5
    crf: bool = True
    constrained: bool = False

    def __post_init__(self) -> None:
        for name, known in (("combine", COMBINATIONS), ("rnn", RNNS)):
            if getattr(self, name) not in known:
                raise InputError(f"{name}={getattr(self, name)!r} is none of {', '.join(known)}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout={self.dropout} is not from 0 to below 1")

    def encoder_in(self, folder: Path) -> str:
        """Return where the encoder is found, the tagger's folder being `folder`."""
        return str(folder / OWN_ENCODER) if self.encoder == OWN_ENCODER else self.encoder

    def save(self, folder: Path) -> None:
        """Write ``tagger.json``."""
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False)
        (folder / FILE).write_text(text + "\n", "utf-8")

    def to_dict(self) -> dict[str, Any]:
        """Return what :meth:`from_dict` makes the same settings of."""
        return {n: list(v) if isinstance(v, tuple) else v for n, v in asdict(self).items()}

    @classmethod
    def load(cls, folder: Path) -> "TaggerSettings":
        """Read ``tagger.json``.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        try:
            raw = json.loads((folder / FILE).read_text("utf-8"))
            return cls.from_dict(raw)
        except OSError as error:
            raise CheckpointError(
                f"{folder} is no tagger: {FILE} cannot be read ({error.strerror}); bertfeat ner "
                "train makes such a folder"
            ) from error
        except (ValueError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{folder / FILE} is damaged: {error}") from error

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "TaggerSettings":
        """Make settings of parsed JSON."""
        known: dict[str, Any] = {f.name: raw[f.name] for f in fields(cls) if f.name in raw}
        known = {n: tuple(v) if isinstance(v, list) else v for n, v in known.items()}
        return cls(**known)
