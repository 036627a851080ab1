"""A BERT of torch's own kernels on padded batches: what ``gpu.py`` is compared with."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bertfeat.config import EncoderConfig


def padded(
    config: EncoderConfig, texts: list[list[int]], batch_tokens: int
) -> Callable[[], Any] | None:
    """Return a function that runs texts through torch in bfloat16, None where it sees no GPU.

    Batches are sorted by length and padded to their longest text; attention is torch's fused one,
    with a mask where there is padding.
    """
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    model = _bert(config).to("cuda", torch.bfloat16).eval()
    batches = [
        (torch.from_numpy(ids), torch.from_numpy(ids > 0))
        for ids in _batches(sorted(texts, key=len, reverse=True), batch_tokens)
    ]

    def run() -> list[np.ndarray]:
        with torch.inference_mode():
            found = [model(ids.cuda(), mask.cuda()) for ids, mask in batches]
            return [vectors.float().cpu().numpy() for vectors in found]

    return run


def _batches(texts: list[list[int]], batch_tokens: int) -> list[np.ndarray]:
    batches, start = [], 0
    while start < len(texts):
        length = len(texts[start])
        rows = texts[start : start + max(1, batch_tokens // length)]
        ids = np.zeros((len(rows), length), np.int64)
        for row, text in zip(ids, rows, strict=True):
            row[: len(text)] = text
        batches.append(ids)
        start += len(rows)
    return batches


def _bert(config: EncoderConfig) -> Any:
    from torch import nn
    from torch.nn import functional

    hidden, heads = config.hidden_size, config.num_attention_heads

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
            self.wide = nn.Linear(hidden, config.intermediate_size)
            self.narrow = nn.Linear(config.intermediate_size, hidden)
            self.norms = nn.ModuleList(nn.LayerNorm(hidden, eps=1e-12) for _ in range(2))

        def forward(self, x: Any, mask: Any) -> Any:
            rows, tokens, _ = x.shape
            split = self.qkv(x).view(rows, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)
            context = functional.scaled_dot_product_attention(*split, attn_mask=mask)
            x = self.norms[0](x + self.out(context.transpose(1, 2).reshape(rows, tokens, hidden)))
            return self.norms[1](x + self.narrow(functional.gelu(self.wide(x))))

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(config.vocab_size, hidden)
            self.places = nn.Embedding(config.max_position_embeddings, hidden)
            self.norm = nn.LayerNorm(hidden, eps=1e-12)
            self.layers = nn.ModuleList(Layer() for _ in range(config.num_hidden_layers))

        def forward(self, ids: Any, mask: Any) -> Any:
            x = self.norm(self.words(ids) + self.places.weight[: ids.shape[1]])
            attended = None if bool(mask.all()) else mask[:, None, None]
            for layer in self.layers:
                x = layer(x, attended)
            weights = mask[..., None].to(x.dtype)
            return (x * weights).sum(1) / weights.sum(1)

    return Encoder()
