"""BERT feature extraction: text goes in, vectors come out."""

from typing import TYPE_CHECKING, Any

from bertfeat.extras import require

if TYPE_CHECKING:
    from bertfeat.api import Encoder

__all__ = ["Encoder"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load the encoder when it is asked for, so that ``import bertfeat`` is instant."""
    if name != "Encoder":
        raise AttributeError(f"module 'bertfeat' has no attribute {name!r}")
    require("bertfeat.Encoder", "tokenizers")
    from bertfeat.api import Encoder

    return Encoder
