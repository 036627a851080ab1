"""An encoder for a server of which only the broker is to be measured."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from bertfeat.features.runtime import Work


class Nothing:
    """An encoder that computes nothing."""

    precision, precision_reason, model_hash = "none", "asked for", "0" * 64
    dim, max_seq_len, num_layers, rerank_method = 384, 256, 6, "cosine"
    runtime = SimpleNamespace(modules=SimpleNamespace(similarity="cosine", prompts={}), work=Work())

    def encode(self, items: list[Any], **options: Any) -> tuple[np.ndarray, Any]:
        """Return zeros."""
        n = len(items)
        info = SimpleNamespace(
            num_tokens=np.ones(n, np.int32), truncated=np.zeros(n, bool), errors={}
        )
        return np.zeros((n, self.dim), np.float32), info


def make(source: str, **options: Any) -> Nothing:
    """Return it as the server's factory."""
    return Nothing()
