"""BERT, pooling and search in plain NumPy: the independent oracle of the tests.

Written from the paper and the published formulas, in float64, one text at a time and without
padding; it shares no code with the library.
"""

import json
import math
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

erf = np.vectorize(math.erf)


class ReferenceBert:
    """Reads a Hugging Face folder and computes every inner tensor of one text."""

    def __init__(self, folder: Path) -> None:
        self.config = json.loads((folder / "config.json").read_text())
        tensors = load_file(folder / "model.safetensors")
        self.tensors = {
            name.removeprefix("bert."): value.astype(np.float64) for name, value in tensors.items()
        }

    def linear(self, name, x):
        return x @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]

    def norm(self, name, x):
        centred = x - x.mean(-1, keepdims=True)
        variance = (centred**2).mean(-1, keepdims=True)
        scaled = centred / np.sqrt(variance + self.config["layer_norm_eps"])
        return scaled * self.tensors[f"{name}.weight"] + self.tensors[f"{name}.bias"]

    def gelu(self, x):
        if self.config["hidden_act"] == "gelu":
            return x * 0.5 * (1 + erf(x / math.sqrt(2)))
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    def heads(self, x):
        count = self.config["num_attention_heads"]
        return x.reshape(len(x), count, -1).transpose(1, 0, 2)  # (N, S, D)

    def forward(self, input_ids, token_type_ids):
        """Return names of ``bertfeat.encoder.names`` to arrays without batch axis."""
        found = {
            "word_embeddings": self.table("word")[np.array(input_ids)],
            "position_embeddings": self.table("position")[: len(input_ids)],
            "token_type_embeddings": self.table("token_type")[np.array(token_type_ids)],
        }
        found["embeddings_sum"] = sum(found.values())
        hidden = self.norm("embeddings.LayerNorm", found["embeddings_sum"])
        found["hidden_states.0"] = hidden
        for i in range(self.config["num_hidden_layers"]):
            hidden = self.layer(i, hidden, found)
            found[f"hidden_states.{i + 1}"] = hidden
        if "pooler.dense.weight" in self.tensors:
            found["pooled"] = np.tanh(self.linear("pooler.dense", hidden[0]))
        self.pretraining_heads(hidden, found)
        return found

    def table(self, kind):
        return self.tensors[f"embeddings.{kind}_embeddings.weight"]

    def layer(self, i, hidden, found):
        prefix = f"encoder.layer.{i}"
        query, key, value = (
            self.heads(self.linear(f"{prefix}.attention.self.{name}", hidden))
            for name in ("query", "key", "value")
        )
        probabilities = softmax(query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1]))
        found |= {f"queries.{i}": query, f"keys.{i}": key, f"values.{i}": value}
        found[f"attentions.{i}"] = probabilities
        context = (probabilities @ value).transpose(1, 0, 2).reshape(hidden.shape)
        projected = self.linear(f"{prefix}.attention.output.dense", context)
        attended = self.norm(f"{prefix}.attention.output.LayerNorm", hidden + projected)
        widened = self.gelu(self.linear(f"{prefix}.intermediate.dense", attended))
        narrowed = self.linear(f"{prefix}.output.dense", widened)
        return self.norm(f"{prefix}.output.LayerNorm", attended + narrowed)

    def pretraining_heads(self, hidden, found):
        if "cls.predictions.bias" in self.tensors:
            transformed = self.gelu(self.linear("cls.predictions.transform.dense", hidden))
            transformed = self.norm("cls.predictions.transform.LayerNorm", transformed)
            logits = transformed @ self.table("word").T + self.tensors["cls.predictions.bias"]
            found["masked_lm_logits"] = logits
        if "cls.seq_relationship.weight" in self.tensors:
            found["next_sentence_logits"] = self.linear("cls.seq_relationship", found["pooled"])
        if "classifier.weight" in self.tensors:
            found["classifier_logits"] = self.linear("classifier", found["pooled"])


def softmax(x):
    exponentials = np.exp(x - x.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def combine(states, how, weights=None):
    """Combine layers, each (S, H): to (S, F), or (S, L, H) for ``none``."""
    stacked = np.stack(states, axis=1)
    if how == "none":
        return stacked
    if how == "concat":
        return np.concatenate(states, axis=-1)
    if how == "weighted":
        return np.einsum("l,slh->sh", np.array(weights), stacked)
    return getattr(stacked, how)(axis=1)


def pool(tokens, how, special):
    """Pool (S, …, F) over the tokens of one text; ``special`` marks its special tokens."""
    content = [i for i, mark in enumerate(special) if not mark]
    place = {"cls": 0, "sep": len(tokens) - 1, "first": content[0], "last": content[-1]}
    if how in place:
        return tokens[place[how]]
    if how == "mean":
        return tokens.mean(0)
    if how == "max":
        return tokens.max(0)
    if how == "mean_max":
        return np.concatenate([tokens.mean(0), tokens.max(0)], axis=-1)
    if how == "mean_sqrt_len":
        return tokens.sum(0) / math.sqrt(len(tokens))
    if how == "weighted_mean":
        weights = np.arange(1, len(tokens) + 1) / sum(range(1, len(tokens) + 1))
        return np.tensordot(weights, tokens, 1)
    return tokens


def finish(vectors, normalize, dimensions=None):
    """Cut to dimensions, then scale the last axis to length 1."""
    vectors = vectors[..., :dimensions]
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(length, 1e-12) if normalize else vectors
